//! The keys `monitor` and `logging` of ChatStack's files. They are translated to the equivalent timing settings and tolerance.
//! Keys without an equivalent cause a warning.
//!
//! ChatStack's monitor starts a cycle every `check_interval`. It retries a failed check `retry_attempts` times, `retry_delay`
//! apart, before the failure counts. It sends a message after `consecutive_failures` failures. Numbers are seconds.

use std::rc::Rc;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::duration::DurationText;
use super::level::Level;
use super::monitor_options::{AlertOptions, MonitorOptions, Seconds};
use super::options::TimingOptions;
use super::place::{Place, is_plain_key};
use super::suggest;
use super::timings::{MAX_INTERVAL, MIN_INTERVAL, Timings};
use super::yaml::{Node, Value, fields, from_node, read};
use crate::model::Tolerance;

/// The largest number of retries or failures.
const MAX_COUNT: u32 = 999;

/// The keys of `monitor`, each with the equivalent key of `defaults`. Only one of the two may be given.
const CONFLICTS: [(&[&str], &[&str]); 4] = [
    (&["check_interval"], &["interval"]),
    (&["retry_attempts"], &["failures_before_down"]),
    (&["retry_delay"], &["recheck_interval"]),
    (&["alerts", "consecutive_failures"], &["tolerance", "down"]),
];

/// Applies `monitor` of the document at `document` to `base`. `defaults` override it later.
pub fn read_monitor(
    monitor: Option<&Node>,
    defaults: Option<&Node>,
    document: &Place<'_>,
    base: (Timings, Tolerance),
) -> (Timings, Tolerance) {
    let place = document.field("monitor");
    let Some(node) = monitor.filter(|node| !node.is_null()) else {
        return base;
    };
    for (old, new) in CONFLICTS {
        if defaults.is_some_and(|defaults| has(defaults, new)) && has(node, old) {
            let place = old.iter().fold(place.clone(), |place, key| place.field(key));
            place.error_at_key(format_args!(
                "conflicts with defaults.{}: remove one of the two",
                new.join(".")
            ));
        }
    }
    let node = without_unsupported_keys(node, &place);
    let Some(options) = read::<MonitorOptions>(&node, &place).value else {
        return base;
    };
    let (timings, tolerance) = base;
    let timings = timings.with(&options.timing(&timings, &place), Level::Monitor, &place);
    // Without a check_interval, the interval of the defaults applies. They are read later.
    let of_defaults = || from_node::<DurationText>(defaults?.get("interval")?).ok();
    let interval = match (options.check_interval, of_defaults()) {
        (None, Some(DurationText(interval))) => interval,
        _ => timings.interval(),
    };
    let down = options.tolerance(interval, &place);
    (
        timings,
        Tolerance {
            down: down.unwrap_or(tolerance.down),
            ..tolerance
        },
    )
}

/// Warns that `logging`, which is at `place`, is ignored.
pub fn warn_about_logging(logging: Option<&Node>, place: &Place<'_>) {
    if logging.is_some_and(|logging| !logging.is_null()) {
        place.warn("ignored: use the flags --log.level and --log.format");
    }
}

/// Removes the keys of `monitor` that have no equivalent, with a warning each. A key that is similar to a supported one stays:
/// it is probably misspelt.
fn without_unsupported_keys(node: &Node, place: &Place<'_>) -> Node {
    let mut node = supported_keys::<MonitorOptions>(node, place);
    if let Value::Map(entries) = &mut node.value
        && let Some(entry) = Rc::make_mut(entries)
            .iter_mut()
            .find(|entry| &*entry.key == "alerts")
    {
        entry.value = supported_keys::<AlertOptions>(&entry.value, &place.field("alerts"));
    }
    node
}

fn supported_keys<T: DeserializeOwned>(node: &Node, place: &Place<'_>) -> Node {
    let Some(entries) = node.entries() else {
        return node.clone();
    };
    let names = fields::<T>();
    let is_supported_or_misspelt = |key: &str| {
        let is_near = || suggest::nearest(key, names.iter().copied()).is_some();
        names.contains(&key) || !is_plain_key(key) || is_near()
    };
    let (supported, unsupported): (Vec<_>, Vec<_>) = entries
        .iter()
        .cloned()
        .partition(|entry| is_supported_or_misspelt(&entry.key));
    for entry in unsupported {
        place.field(&entry.key).warn(format_args!(
            "ignored: the supported keys of {} are {}",
            place.path(),
            names.join(", ")
        ));
    }
    Node::new(node.mark, Value::Map(Rc::new(supported)))
}

fn has(node: &Node, keys: &[&str]) -> bool {
    let Some((first, rest)) = keys.split_first() else {
        return !node.is_null();
    };
    node.get(first).is_some_and(|value| has(value, rest))
}

impl MonitorOptions {
    /// The equivalent settings.
    fn timing(&self, built_in: &Timings, place: &Place<'_>) -> TimingOptions {
        let interval = self.check_interval.and_then(|Seconds(interval)| {
            if (MIN_INTERVAL..=MAX_INTERVAL).contains(&interval) {
                return Some(interval);
            }
            place.field("check_interval").error(format_args!(
                "{} seconds are out of range: write {} to {}",
                interval.as_secs_f64(),
                MIN_INTERVAL.as_secs_f64(),
                MAX_INTERVAL.as_secs()
            ));
            None
        });
        let longest = interval.unwrap_or(built_in.interval());
        let delay = self.retry_delay.map(|Seconds(delay)| {
            if delay > longest {
                place.field("retry_delay").warn(format_args!(
                    "longer than the interval ({}), which applies to failing checks as well",
                    DurationText(longest)
                ));
            }
            delay.clamp(MIN_INTERVAL, longest)
        });
        let attempts = in_range(self.retry_attempts, 0, &place.field("retry_attempts"));
        TimingOptions {
            interval: interval.map(DurationText),
            recheck_interval: delay.map(DurationText),
            failures_before_down: attempts.map(|attempts| attempts + 1),
            ..TimingOptions::default()
        }
    }

    /// The tolerance of `down` with which the alert fires after the same failure as before.
    fn tolerance(&self, interval: Duration, place: &Place<'_>) -> Option<Duration> {
        let place = place.field("alerts");
        let alerts = self.alerts.as_ref()?;
        if alerts.recovery_notification.is_some() {
            place.field("recovery_notification").warn(
                "ignored: set send_resolved: true in a receiver of Alertmanager, as the shipped configuration does",
            );
        }
        let place = place.field("consecutive_failures");
        let failures = in_range(alerts.consecutive_failures, 1, &place)?;
        Some(interval.saturating_mul(failures - 1))
    }
}

/// The count if it is at least `least`. Reports an error otherwise.
fn in_range(count: Option<u32>, least: u32, place: &Place<'_>) -> Option<u32> {
    let count = count?;
    if (least..=MAX_COUNT).contains(&count) {
        return Some(count);
    }
    place.error(format_args!(
        "{count} is out of range: write {least} to {MAX_COUNT}"
    ));
    None
}
