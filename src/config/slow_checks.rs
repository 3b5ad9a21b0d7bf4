//! Warns about objectives that the checks of a service can't judge, because they are too rare, or because failed runs cost too much.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::duration::DurationText;
use super::place::{Path, Place};
use super::settings::CheckSettings;
use super::slo::{InheritedSlo, Objective};
use crate::model::Severity;

/// Warns if a check of the service at `place` can't judge the objective. `warned` has the objectives that were warned about, so that one
/// for all services is reported once.
pub fn warn(
    slo: &InheritedSlo,
    key: &str,
    checks: &[Arc<CheckSettings>],
    place: &Place<'_>,
    warned: &RefCell<HashSet<Path>>,
) {
    let critical = checks.iter().filter(|check| check.severity == Severity::Critical);
    let slowest = critical.max_by_key(|check| shortest_judged(check));
    let (Some(objective), Some(check)) = (slo.objective(), slowest) else {
        return;
    };
    let limit = objective.down_time_of_first_alert();
    if shortest_judged(check) <= limit || !warned.borrow_mut().insert(slo.path().clone()) {
        return;
    }
    let limit = DurationText(match limit.as_secs() {
        0 => limit,
        seconds => Duration::from_secs(seconds),
    });
    let advice = match Objective::highest_for(shortest_judged(check)) {
        Some(highest) => format!("an objective of at most {highest}"),
        None => "objective: off for this service".to_owned(),
    };
    let strict = format_args!(
        "too strict for the check {} of {key}: 2% of its error budget is {limit} of down time, but",
        check.name.as_str()
    );
    let place = place.at_path(slo.path().clone());
    if check.interval >= check.down_time_of_two_failures() {
        place.warn(format_args!(
            "{strict} an outage as long as the interval ({}) can pass unnoticed; set an interval of at most {limit}, or {advice}",
            DurationText(check.interval),
        ));
    } else {
        place.warn(format_args!(
            "{strict} two failed runs cost {}; lower recheck_interval, timeout or successes_before_up, or set {advice}",
            DurationText(check.down_time_of_two_failures()),
        ));
    }
}

/// The shortest down time within an hour that the runs of a check can show reliably.
fn shortest_judged(check: &CheckSettings) -> Duration {
    check.interval.max(check.down_time_of_two_failures())
}
