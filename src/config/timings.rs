//! Timing settings and their levels: built-in, defaults, tier, service, check. Each level overrides the ones before. A value is
//! validated at the level that sets it, so that a wrong default is one error, not one per check.

use std::time::Duration;

use super::duration::DurationText;
use super::kind_facts::OwnTimings;
use super::level::Level;
use super::options::{ThresholdOptions, TimingOptions};
use super::place::{Path, Place};
use crate::model::Thresholds;

/// The shortest interval and recheck interval. Shorter ones would not detect failures earlier in practice.
pub const MIN_INTERVAL: Duration = Duration::from_millis(100);

/// The longest interval and timeout.
pub const MAX_INTERVAL: Duration = Duration::from_secs(7 * 24 * 3600);

/// The value of a threshold that is neither set nor inherited.
pub const NO_THRESHOLD: Duration = Duration::MAX;

/// The maximum number of consecutive runs that can be required for a change of status.
const MAX_RUNS: u32 = 1000;

/// A setting with the level and the path that it was written at.
#[derive(Clone, Debug)]
pub struct Setting<T> {
    /// The value.
    pub value: T,
    /// The level that set it.
    pub level: Level,
    path: Path,
}

impl Setting<Duration> {
    fn built_in(milliseconds: u64) -> Self {
        Self {
            value: Duration::from_millis(milliseconds),
            level: Level::BuiltIn,
            path: Path::default(),
        }
    }

    fn describe(&self) -> String {
        format!("{}, {}", DurationText(self.value), self.level.name())
    }
}

/// The timing settings of one level, complete.
#[derive(Clone, Debug)]
pub struct Timings {
    interval: Setting<Duration>,
    timeout: Setting<Duration>,
    recheck_interval: Setting<Duration>,
    degraded: Setting<Duration>,
    down: Setting<Duration>,
    failures_before_down: u32,
    successes_before_up: u32,
}

impl Timings {
    /// The built-in settings.
    pub fn built_in() -> Self {
        Self {
            interval: Setting::built_in(15_000),
            timeout: Setting::built_in(10_000),
            recheck_interval: Setting::built_in(5_000),
            degraded: Setting::built_in(1_000),
            down: Setting::built_in(5_000),
            failures_before_down: 1,
            successes_before_up: 2,
        }
    }

    /// Applies the `options` of the next level, which are at `place`. Reports invalid values and ignores them.
    pub fn with(&self, options: &TimingOptions, level: Level, place: &Place<'_>) -> Self {
        let mut new = self.clone();
        let intervals = MIN_INTERVAL..=MAX_INTERVAL;
        let limits = Duration::from_millis(1)..=MAX_INTERVAL;
        let thresholds = options.thresholds.clone().unwrap_or_default();
        let ThresholdOptions { degraded, down } = thresholds;
        let within = place.field("thresholds");
        for (setting, written, key, place, range) in [
            (&mut new.interval, options.interval, "interval", place, &intervals),
            (&mut new.timeout, options.timeout, "timeout", place, &limits),
            (
                &mut new.recheck_interval,
                options.recheck_interval,
                "recheck_interval",
                place,
                &intervals,
            ),
            (&mut new.degraded, degraded, "degraded", &within, &limits),
            (&mut new.down, down, "down", &within, &limits),
        ] {
            let Some(DurationText(value)) = written else {
                continue;
            };
            let place = place.field(key);
            if range.contains(&value) {
                let path = place.path().clone();
                *setting = Setting { value, level, path };
            } else {
                let (from, to) = (DurationText(*range.start()), DurationText(*range.end()));
                place.error(format_args!(
                    "{} is out of range: write {from} to {to}",
                    DurationText(value)
                ));
            }
        }
        for (setting, written, key) in [
            (
                &mut new.failures_before_down,
                options.failures_before_down,
                "failures_before_down",
            ),
            (
                &mut new.successes_before_up,
                options.successes_before_up,
                "successes_before_up",
            ),
        ] {
            match written {
                None => {}
                Some(count @ 1..=MAX_RUNS) => *setting = count,
                Some(count) => {
                    place.field(key).error(format_args!(
                        "{count} is out of range: write 1 to {MAX_RUNS} runs"
                    ));
                }
            }
        }
        new.check_pairs(level, place);
        new
    }

    /// Applies the timeout of a check of the short form, unless the service sets one.
    pub fn with_short_form_timeout(&self, timeout: Duration) -> Self {
        let mut new = self.clone();
        if new.timeout.level < Level::ShortForm {
            new.timeout = Setting {
                value: timeout,
                level: Level::ShortForm,
                path: Path::default(),
            };
        }
        new
    }

    /// Applies the timings of a kind of its own, which replace those of all levels so far.
    pub fn with_own(&self, own: OwnTimings) -> Self {
        let built_in = |value| Setting {
            value,
            level: Level::BuiltIn,
            path: Path::default(),
        };
        let threshold = |inherited: &Setting<Duration>| match own.inherits_thresholds {
            true => inherited.clone(),
            false => built_in(NO_THRESHOLD),
        };
        Self {
            degraded: threshold(&self.degraded),
            down: threshold(&self.down),
            interval: built_in(own.interval),
            timeout: built_in(own.timeout),
            recheck_interval: built_in(own.recheck_interval),
            failures_before_down: own.failures_before_down,
            ..self.clone()
        }
    }

    /// Reports contradictory pairs of settings, if at least one of them was written at `level`.
    fn check_pairs(&mut self, level: Level, place: &Place<'_>) {
        let (recheck, interval) = (&self.recheck_interval, &self.interval);
        if recheck.level == level && recheck.value > interval.value {
            place.field("recheck_interval").error(format_args!(
                "{} is longer than the interval ({}): write a shorter one",
                DurationText(recheck.value),
                interval.describe()
            ));
            self.recheck_interval = self.interval.clone();
        }
        if self.degraded.value > self.down.value
            && self.degraded.value != NO_THRESHOLD
            && self.degraded.level.max(self.down.level) == level
        {
            let within = place.field("thresholds");
            if self.degraded.level == level {
                within.field("degraded").error(format_args!(
                    "{} is longer than thresholds.down ({}): write a shorter one",
                    DurationText(self.degraded.value),
                    self.down.describe()
                ));
            } else {
                within.field("down").error(format_args!(
                    "{} is shorter than thresholds.degraded ({}): lower that as well",
                    DurationText(self.down.value),
                    self.degraded.describe()
                ));
            }
            self.degraded = self.down.clone();
        }
    }

    /// A warning if no response can reach `thresholds.down` before the timeout. It is reported at the setting with the later
    /// level. The built-in timeout of the short form causes no warning.
    pub fn unreachable_threshold(&self) -> Option<(Path, String)> {
        if self.down.value < self.timeout.value || self.timeout.level == Level::ShortForm {
            return None;
        }
        let nearer = if self.down.level >= self.timeout.level {
            &self.down
        } else {
            &self.timeout
        };
        let message = format!(
            "thresholds.down ({}) is not below the timeout ({}): slow responses will fail with a timeout",
            self.down.describe(),
            self.timeout.describe()
        );
        (nearer.level != Level::BuiltIn).then(|| (nearer.path.clone(), message))
    }

    /// The interval.
    pub fn interval(&self) -> Duration {
        self.interval.value
    }

    /// The timeout.
    pub fn timeout(&self) -> Duration {
        self.timeout.value
    }

    /// The recheck interval, limited to the interval.
    pub fn recheck_interval(&self) -> Duration {
        self.recheck_interval.value.min(self.interval.value)
    }

    /// The limits of the response time.
    pub fn thresholds(&self) -> Thresholds {
        Thresholds {
            degraded: self.degraded.value,
            down: self.down.value,
        }
    }

    /// `failures_before_down` and `successes_before_up`.
    pub fn runs(&self) -> (u32, u32) {
        (self.failures_before_down, self.successes_before_up)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timings_of_a_kind_replace_all_but_the_thresholds() {
        let seconds = Duration::from_secs;
        let timings = Timings::built_in().with_own(OwnTimings {
            interval: seconds(3600),
            timeout: seconds(30),
            recheck_interval: seconds(60),
            failures_before_down: 2,
            inherits_thresholds: true,
        });
        assert_eq!(timings.interval(), seconds(3600));
        assert_eq!(timings.timeout(), seconds(30));
        assert_eq!(timings.recheck_interval(), seconds(60));
        assert_eq!(timings.runs(), (2, 2));
        assert_eq!(timings.thresholds(), Timings::built_in().thresholds());
    }
}
