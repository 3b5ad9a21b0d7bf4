//! Time inside the exporter: monotonic, with a clock that also knows the wall.

use std::ops::{Add, Sub};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// A moment on the process's monotonic clock: nanoseconds since the exporter started, negative before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(i64);

impl Moment {
    /// A moment `nanoseconds` after the start of the exporter (before it, where negative).
    pub const fn from_nanos(nanoseconds: i64) -> Self {
        Self(nanoseconds)
    }

    /// Nanoseconds since the exporter started.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// How long after `earlier` this moment is; zero where it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0).max(0).unsigned_abs())
    }
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanos(duration)))
    }
}

impl Sub<Duration> for Moment {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(duration)))
    }
}

/// Where the exporter takes its time from. Tests put their own in its place.
pub trait Clock: Send + Sync + 'static {
    /// The monotonic clock. Follows [`tokio::time`], so that tests can pause it.
    fn now(&self) -> Moment;

    /// The wall clock, as nanoseconds since the Unix epoch. It may jump.
    fn wall_nanos(&self) -> i64;

    /// The moment of a tokio instant.
    fn moment(&self, instant: Instant) -> Moment;
}

/// The real clock.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// A clock whose zero is now.
    pub fn new() -> Self {
        Self {
            started: Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Moment {
        self.moment(Instant::now())
    }

    fn wall_nanos(&self) -> i64 {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => nanos(after),
            Err(before) => -nanos(before.duration()),
        }
    }

    fn moment(&self, instant: Instant) -> Moment {
        match instant.checked_duration_since(self.started) {
            Some(after) => Moment::default() + after,
            None => Moment::default() - self.started.duration_since(instant),
        }
    }
}
