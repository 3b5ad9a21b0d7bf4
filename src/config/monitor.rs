//! The keys `monitor` and `logging` of ChatStack's files: what they say is rewritten into the timing settings and the tolerance
//! that mean the same here, and what has no meaning here deserves a remark.
//!
//! There, each cycle starts `check_interval` after the one before; a failed check is tried again `retry_attempts` times,
//! `retry_delay` apart, before its failure counts; and a message is sent with the failure that is the
//! `consecutive_failures`th in a row. Numbers are seconds.

use std::borrow::Cow;
use std::rc::Rc;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Error};

use super::duration::DurationText;
use super::place::Place;
use super::suggest;
use super::timings::{Level, MAX_INTERVAL, MIN_INTERVAL, Timings};
use super::written::TimingOptions;
use super::yaml::{Node, Value, fields, from_node, is_plain_key, read};
use crate::model::Tolerance;

/// The most runs and cycles that can be asked for.
const MAX_COUNT: u32 = 999;

/// Keys here, with the setting that each stands for and that must not be given too.
const CONFLICTS: [(&[&str], &[&str]); 4] = [
    (&["check_interval"], &["interval"]),
    (&["retry_attempts"], &["failures_before_down"]),
    (&["retry_delay"], &["recheck_interval"]),
    (&["alerts", "consecutive_failures"], &["tolerance", "down"]),
];

/// The pace of ChatStack's monitor, as its files have it; new files set defaults instead.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MonitorOptions {
    /// The interval, in seconds: defaults.interval.
    pub check_interval: Option<Seconds>,
    /// How often a failed check is tried again before its failure counts: failures_before_down is one more.
    pub retry_attempts: Option<u32>,
    /// From one of these tries to the next, in seconds: defaults.recheck_interval.
    pub retry_delay: Option<Seconds>,
    /// When somebody is told.
    pub alerts: Option<AlertOptions>,
}

/// When somebody is told.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertOptions {
    /// With which failure in a row: defaults.tolerance.down is one interval less.
    pub consecutive_failures: Option<u32>,
    /// Whether recoveries are told. No meaning here: send_resolved in the Alertmanager's configuration.
    pub recovery_notification: Option<bool>,
}

/// A duration written as a number of seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seconds(pub Duration);

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        let duration = Duration::try_from_secs_f64(seconds).map_err(|_| {
            D::Error::custom("expected a number of seconds from 0 on, without a unit, such as 30")
        })?;
        // What is written as 0.1 should be it.
        Ok(Self(Duration::from_micros(
            u64::try_from(duration.as_micros()).unwrap_or(u64::MAX),
        )))
    }
}

impl JsonSchema for Seconds {
    fn schema_name() -> Cow<'static, str> {
        "Seconds".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "minimum": 0, "description": "A number of seconds." })
    }
}

/// What `monitor` of the document at `document` makes of `base`; the defaults stand above it.
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
                "says the same as defaults.{}, which is given too: keep one of them",
                new.join(".")
            ));
        }
    }
    let node = with_meaning(node, &place);
    let Some(options) = read::<MonitorOptions>(&node, &place).value else {
        return base;
    };
    let (timings, tolerance) = base;
    let timings = timings.with(&options.timing(&timings, &place), Level::Monitor, &place);
    // Without a pace of its own, that of the defaults counts, which are read later.
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

/// Remarks that `logging`, which stands at `place`, has no effect.
pub fn remark_logging(logging: Option<&Node>, place: &Place<'_>) {
    if logging.is_some_and(|logging| !logging.is_null()) {
        place.remark("has no effect here: use the flags --log.level and --log.format");
    }
}

/// `monitor` without the keys that mean nothing here, each of which deserves a remark. One that is nearly a key with a
/// meaning stays: it is a slip.
fn with_meaning(node: &Node, place: &Place<'_>) -> Node {
    let mut node = known::<MonitorOptions>(node, place);
    if let Value::Map(entries) = &mut node.value
        && let Some(entry) = Rc::make_mut(entries)
            .iter_mut()
            .find(|entry| &*entry.key == "alerts")
    {
        entry.value = known::<AlertOptions>(&entry.value, &place.field("alerts"));
    }
    node
}

fn known<T: DeserializeOwned>(node: &Node, place: &Place<'_>) -> Node {
    let Some(entries) = node.entries() else {
        return node.clone();
    };
    let names = fields::<T>();
    let may_be_meant = |key: &str| {
        let is_near = || suggest::nearest(key, names.iter().copied()).is_some();
        names.contains(&key) || !is_plain_key(key) || is_near()
    };
    let (kept, strange): (Vec<_>, Vec<_>) = entries
        .iter()
        .cloned()
        .partition(|entry| may_be_meant(&entry.key));
    for entry in strange {
        place.field(&entry.key).remark(format_args!(
            "has no effect here: what has one in {} is {}",
            place.path(),
            names.join(", ")
        ));
    }
    Node::new(node.mark, Value::Map(Rc::new(kept)))
}

fn has(node: &Node, keys: &[&str]) -> bool {
    let Some((first, rest)) = keys.split_first() else {
        return !node.is_null();
    };
    node.get(first).is_some_and(|value| has(value, rest))
}

impl MonitorOptions {
    /// The settings that mean the same.
    fn timing(&self, built_in: &Timings, place: &Place<'_>) -> TimingOptions {
        let interval = self.check_interval.and_then(|Seconds(interval)| {
            if (MIN_INTERVAL..=MAX_INTERVAL).contains(&interval) {
                return Some(interval);
            }
            place.field("check_interval").error(format_args!(
                "{} seconds are impossible: write {} to {}",
                interval.as_secs_f64(),
                MIN_INTERVAL.as_secs_f64(),
                MAX_INTERVAL.as_secs()
            ));
            None
        });
        let longest = interval.unwrap_or(built_in.interval());
        let delay = self.retry_delay.map(|Seconds(delay)| {
            if delay > longest {
                place.field("retry_delay").remark(format_args!(
                    "is longer than the interval ({}): a check that fails runs each interval",
                    DurationText(longest)
                ));
            }
            delay.clamp(MIN_INTERVAL, longest)
        });
        let attempts = bounded(self.retry_attempts, 0, &place.field("retry_attempts"));
        TimingOptions {
            interval: interval.map(DurationText),
            recheck_interval: delay.map(DurationText),
            failures_before_down: attempts.map(|attempts| attempts + 1),
            ..TimingOptions::default()
        }
    }

    /// How long `down` is borne so that the alert comes with the failure that it came with.
    fn tolerance(&self, interval: Duration, place: &Place<'_>) -> Option<Duration> {
        let place = place.field("alerts");
        let alerts = self.alerts.as_ref()?;
        if alerts.recovery_notification.is_some() {
            place.field("recovery_notification").remark(
                "has no effect here: recoveries are told where a receiver of the Alertmanager has send_resolved: true, as \
                 the shipped ones do",
            );
        }
        let place = place.field("consecutive_failures");
        let failures = bounded(alerts.consecutive_failures, 1, &place)?;
        Some(interval.saturating_mul(failures - 1))
    }
}

/// A count from `least` on; another one is reported.
fn bounded(count: Option<u32>, least: u32, place: &Place<'_>) -> Option<u32> {
    let count = count?;
    if (least..=MAX_COUNT).contains(&count) {
        return Some(count);
    }
    place.error(format_args!(
        "{count} is impossible: write {least} to {MAX_COUNT}"
    ));
    None
}
