//! Reads what one unit or container uses, at most every few seconds, and derives its CPU use and its count of OOM kills.

use std::time::Duration;

use tokio::time::Instant;

use super::limits::{self, LimitProblem, Subject};
use super::oom::{Observation, OomCounter};
use super::path::GroupPath;
use super::reads::Cgroups;
use super::usage::{Families, Usage, sample};
use crate::config::resource_limits::ResourceLimits;
use crate::model::{Problem, Sample};

/// How often the files are read. One reading costs about as much as three runs of a systemd check, which would be too much for checks
/// that run every second. Runs in between use the values of the last reading.
const READ_INTERVAL: Duration = Duration::from_secs(15);

/// How often the files are read if there are limits on what they contain.
const LIMITED_READ_INTERVAL: Duration = Duration::from_secs(5);

/// How much earlier a reading may be: a run of a check with an interval of 1 s or 5 s must not miss its turn by a few milliseconds.
const EARLY: Duration = Duration::from_millis(100);

/// The shortest time over which the CPU use is averaged.
const MIN_CPU_WINDOW: Duration = Duration::from_secs(1);

/// After this time without a measured value, limits on it are reported as not comparable. A group is readable a moment after the start
/// of its unit, and an engine that was busy is queried again after a minute.
const MISSING_AFTER: Duration = Duration::from_secs(90);

/// The readings of one group.
#[derive(Debug, Default)]
pub struct Meter {
    cgroups: Cgroups,
    interval: Duration,
    last: Option<Reading>,
    /// The CPU time at an earlier reading of the same group: when, its id, and nanoseconds.
    cpu_base: Option<(Instant, u64, u64)>,
    /// The average number of CPUs in use since that reading.
    cpu: Option<f64>,
    kills: OomCounter,
    oom_kills: u64,
    missing_since: Option<Instant>,
    /// The problem at the last comparison with the limits. It stays while values are missing for a moment.
    reached: Option<Problem>,
}

#[derive(Debug)]
struct Reading {
    at: Instant,
    /// `None` if the group could not be read.
    usage: Option<Usage>,
}

impl Meter {
    /// A meter of groups in these hierarchies. With limits, it reads more often.
    pub fn new(cgroups: &Cgroups, limits: &ResourceLimits) -> Self {
        let has_limits = *limits != ResourceLimits::default();
        Self {
            cgroups: cgroups.clone(),
            interval: if has_limits {
                LIMITED_READ_INTERVAL
            } else {
                READ_INTERVAL
            },
            ..Self::default()
        }
    }

    /// Whether the values are due for a reading.
    pub fn is_due(&self, now: Instant) -> bool {
        let next = |last: &Reading| last.at + self.interval - EARLY;
        self.last.as_ref().is_none_or(|last| next(last) <= now)
    }

    /// Makes the next reading due, because the unit was started or stopped.
    pub fn renew(&mut self) {
        self.last = None;
        self.reached = None;
    }

    /// Reads the files of a group. Returns whether it could be read within `wait`.
    pub async fn read(&mut self, path: &GroupPath, now: Instant, wait: Duration) -> bool {
        let usage = self.cgroups.read(path, wait).await;
        let is_read = usage.is_some();
        self.record(usage, now);
        is_read
    }

    /// Records a reading from elsewhere, or that there is none.
    pub fn record(&mut self, usage: Option<Usage>, now: Instant) {
        self.update_cpu(usage.as_ref(), now);
        self.last = Some(Reading { at: now, usage });
    }

    fn update_cpu(&mut self, usage: Option<&Usage>, now: Instant) {
        let Some((id, nanos)) = usage.and_then(|usage| Some((usage.id, usage.cpu_nanos?))) else {
            (self.cpu, self.cpu_base) = (None, None);
            return;
        };
        match self.cpu_base {
            // A lower value belongs to another start, even if the number of the group is the same.
            Some((at, base_id, base)) if base_id == id && nanos >= base => {
                let window = now.saturating_duration_since(at);
                if window < MIN_CPU_WINDOW {
                    return;
                }
                self.cpu = Some(Duration::from_nanos(nanos - base).as_secs_f64() / window.as_secs_f64());
            }
            _ => self.cpu = None,
        }
        self.cpu_base = Some((now, id, nanos));
    }

    /// Forgets the values: the unit does not run.
    pub fn stop(&mut self) {
        (self.last, self.cpu_base, self.cpu) = (None, None, None);
        self.missing_since = None;
        self.reached = None;
    }

    /// Counts OOM kills: those of the last reading, and those that the manager reports.
    pub fn count_kills(&mut self, reported: u64, is_last_start: bool, is_running: bool) {
        let group = self.usage().and_then(|usage| Some((usage.id, usage.oom_kills?)));
        self.oom_kills = self.kills.observe(Observation {
            reported,
            is_last_start,
            is_running,
            group,
        });
    }

    /// The values of the last reading.
    pub fn usage(&self) -> Option<&Usage> {
        self.last.as_ref().and_then(|last| last.usage.as_ref())
    }

    /// Adds the samples. The count of OOM kills stays while the unit does not run.
    #[allow(clippy::cast_precision_loss, reason = "exact up to 2^53")]
    pub fn push(&self, families: &Families, label: Option<&str>, samples: &mut Vec<Sample>) {
        if let Some(usage) = self.usage() {
            usage.push(families, label, samples);
        }
        samples.push(sample(families.oom_kills, label, self.oom_kills as f64));
    }

    /// The problem of a running unit that reaches a limit, or whose limits can't be compared for a while.
    pub fn judge(
        &mut self,
        limits: &ResourceLimits,
        subject: Subject<'_>,
        now: Instant,
    ) -> Option<LimitProblem> {
        let unmeasured = limits::unmeasured(self.usage(), limits, subject);
        let reached = self
            .usage()
            .and_then(|usage| limits::judge(usage, self.cpu, limits, subject));
        // The CPU use is an average, so after a missing reading it is known only at the second one.
        let is_cpu_pending = limits.cpu_below.is_some() && self.cpu.is_none();
        if is_cpu_pending
            && unmeasured.is_none()
            && reached.is_none()
            && let Some(before) = &self.reached
        {
            return Some(LimitProblem::Reached(before.clone()));
        }
        let Some(unmeasured) = unmeasured else {
            self.missing_since = None;
            self.reached.clone_from(&reached);
            return reached.map(LimitProblem::Reached);
        };
        let since = *self.missing_since.get_or_insert(now);
        let is_long = now.saturating_duration_since(since) >= MISSING_AFTER;
        if is_long {
            self.reached = None;
        }
        reached
            .or_else(|| self.reached.clone())
            .map(LimitProblem::Reached)
            .or_else(|| is_long.then_some(LimitProblem::NotComparable(unmeasured)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUBJECT: Subject<'_> = Subject {
        name: "a",
        advice: "b",
    };

    fn usage(id: u64, seconds: u64) -> Usage {
        Usage {
            id,
            cpu_nanos: Some(seconds * 1_000_000_000),
            ..Usage::default()
        }
    }

    #[test]
    fn with_limits_a_reading_is_due_more_often() {
        let limited = ResourceLimits {
            tasks_below: Some(1),
            ..ResourceLimits::default()
        };
        for (limits, interval) in [(ResourceLimits::default(), 15_000), (limited, 5_000)] {
            let (mut meter, start) = (Meter::new(&Cgroups::default(), &limits), Instant::now());
            assert!(meter.is_due(start));
            meter.record(None, start);
            assert!(!meter.is_due(start + Duration::from_millis(interval - 1_000)));
            assert!(meter.is_due(start + Duration::from_millis(interval - 50)));
            meter.renew();
            assert!(meter.is_due(start));
        }
    }

    #[test]
    fn the_cpu_use_is_the_average_since_the_last_reading_of_the_same_start() {
        let (mut meter, start) = (Meter::default(), Instant::now());
        let at = |seconds: f64| start + Duration::from_secs_f64(seconds);
        let mut after = |usage: Option<Usage>, seconds| {
            meter.record(usage, at(seconds));
            meter.cpu
        };
        assert_eq!(after(Some(usage(1, 10)), 0.0), None);
        assert_eq!(after(Some(usage(1, 15)), 5.0), Some(1.0));
        // Too soon for an average.
        assert_eq!(after(Some(usage(1, 17)), 5.5), Some(1.0));
        assert_eq!(after(Some(usage(1, 30)), 10.0), Some(3.0));
        // Another start, then a start that the number of the group does not show.
        assert_eq!(after(Some(usage(2, 40)), 15.0), None);
        assert_eq!(after(Some(usage(2, 50)), 20.0), Some(2.0));
        assert_eq!(after(Some(usage(2, 1)), 25.0), None);
        assert_eq!(after(None, 30.0), None);
        assert_eq!(after(Some(usage(2, 2)), 35.0), None);
    }

    #[test]
    fn limits_that_can_not_be_compared_are_reported_after_a_while() {
        let (mut meter, start) = (Meter::default(), Instant::now());
        let limits = ResourceLimits {
            tasks_below: Some(1),
            ..ResourceLimits::default()
        };
        let after = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(meter.judge(&limits, SUBJECT, start), None);
        assert_eq!(meter.judge(&limits, SUBJECT, after(89)), None);
        assert!(matches!(
            meter.judge(&limits, SUBJECT, after(90)),
            Some(LimitProblem::NotComparable(_))
        ));
        let tasks = Usage {
            tasks: Some(0),
            ..usage(1, 1)
        };
        meter.record(Some(tasks), after(91));
        assert_eq!(meter.judge(&limits, SUBJECT, after(91)), None);
        meter.stop();
        assert_eq!(meter.judge(&limits, SUBJECT, after(100)), None);
    }

    /// A busy engine returns no statistics for a minute.
    #[test]
    fn a_reached_limit_stays_while_values_are_missing_for_a_moment() {
        let (mut meter, start) = (Meter::default(), Instant::now());
        let limits = ResourceLimits {
            tasks_below: Some(1),
            ..ResourceLimits::default()
        };
        let after = |seconds| start + Duration::from_secs(seconds);
        let tasks = Usage {
            tasks: Some(1),
            ..usage(1, 1)
        };
        meter.record(Some(tasks), start);
        let reached = meter.judge(&limits, SUBJECT, start);
        assert!(matches!(reached, Some(LimitProblem::Reached(_))));
        for second in [5, 94] {
            meter.record(None, after(second));
            assert_eq!(meter.judge(&limits, SUBJECT, after(second)), reached);
        }
        assert!(matches!(
            meter.judge(&limits, SUBJECT, after(95)),
            Some(LimitProblem::NotComparable(_))
        ));
        // The next start has not reached it.
        let tasks = |count| {
            Some(Usage {
                tasks: Some(count),
                ..usage(2, 1)
            })
        };
        meter.record(tasks(1), after(96));
        assert_eq!(meter.judge(&limits, SUBJECT, after(96)), reached);
        meter.renew();
        meter.record(None, after(97));
        assert_eq!(meter.judge(&limits, SUBJECT, after(97)), None);
    }

    #[test]
    fn a_reached_cpu_limit_stays_until_the_cpu_use_is_known_again() {
        let (mut meter, start) = (Meter::default(), Instant::now());
        let limits = ResourceLimits {
            cpu_below: Some(0.5),
            ..ResourceLimits::default()
        };
        let mut after = |usage: Option<Usage>, seconds| {
            let now = start + Duration::from_secs(seconds);
            meter.record(usage, now);
            meter.judge(&limits, SUBJECT, now)
        };
        assert_eq!(after(Some(usage(1, 10)), 0), None);
        let reached = after(Some(usage(1, 20)), 10);
        assert!(matches!(reached, Some(LimitProblem::Reached(_))));
        assert_eq!(after(None, 15), reached);
        assert_eq!(after(Some(usage(1, 30)), 20), reached);
        assert_eq!(after(Some(usage(1, 30)), 25), None);
    }

    #[test]
    fn kills_stay_counted_while_the_unit_does_not_run() {
        let mut meter = Meter::default();
        meter.count_kills(0, false, false);
        let killed = Usage {
            oom_kills: Some(2),
            ..usage(1, 1)
        };
        meter.record(Some(killed), Instant::now());
        meter.count_kills(0, false, true);
        meter.stop();
        meter.count_kills(0, false, false);
        assert_eq!(meter.oom_kills, 2);
    }
}
