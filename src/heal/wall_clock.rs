//! The wall clock, which is the only time that engines report, and how far it was set.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// Notices when the wall clock is set.
#[derive(Clone, Copy, Debug)]
pub struct WallClock {
    /// The wall clock minus the time since boot when the exporter started, in seconds.
    first_offset: f64,
}

/// The wall clock at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WallTime {
    /// Unix time.
    pub now: f64,
    /// How far the clock was set since the exporter started, in seconds: positive if it was set forward.
    pub step: f64,
}

impl WallClock {
    /// A clock that was not set yet.
    pub fn start() -> Self {
        Self {
            first_offset: offset(unix_seconds()),
        }
    }

    /// Reads the clock.
    pub fn read(self) -> WallTime {
        let now = unix_seconds();
        WallTime {
            now,
            step: offset(now) - self.first_offset,
        }
    }
}

impl WallTime {
    /// The least time since an event that an engine saw at the Unix time `at`. If the clock was set meanwhile, the event may be from
    /// before or after that. An event in the future is just over.
    pub fn least_since(self, at: f64) -> Duration {
        let ages = [self.now - at, self.now - self.step - at];
        let possible = ages.into_iter().filter(|age| *age >= 0.0);
        Duration::try_from_secs_f64(possible.reduce(f64::min).unwrap_or_default()).unwrap_or_default()
    }
}

fn unix_seconds() -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_secs_f64()
}

/// The wall clock minus the time since boot, in seconds.
fn offset(unix: f64) -> f64 {
    let boot = clock_gettime(ClockId::Boottime);
    // Fractions of a microsecond do not matter.
    unix - (boot.tv_sec as f64 + boot.tv_nsec as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_may_have_been_set_before_or_after_an_event() {
        let since = |now, step| WallTime { now, step }.least_since(1000.0).as_secs();
        assert_eq!(since(1010.0, 0.0), 10);
        assert_eq!(since(1010.0, 500.0), 10, "an event after the step");
        assert_eq!(since(1510.0, 500.0), 10, "an event before the step");
        assert_eq!(since(510.0, -500.0), 10, "the same, for a step back");
        assert_eq!(since(900.0, 0.0), 0, "an event in the future");
    }

    #[test]
    fn a_clock_that_was_not_set_has_no_step() {
        assert!(WallClock::start().read().step.abs() < 1.0);
    }
}
