//! The exporter's own monotonic time, and the clock that provides it and the wall clock.

use std::ops::{Add, Sub};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};
use tokio::time::Instant;

/// A moment on the exporter's own clock: nanoseconds since its start, negative before it. Time during a suspension of the
/// machine counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(i64);

impl Moment {
    /// The moment `nanoseconds` after the start of the exporter.
    pub const fn from_nanos(nanoseconds: i64) -> Self {
        Self(nanoseconds)
    }

    /// Nanoseconds since the exporter started.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// The time since `earlier`; zero if this moment is not after it.
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

/// The source of time. Tests use their own.
pub trait Clock: Send + Sync + 'static {
    /// The exporter's own clock. It never jumps: it ignores steps of the wall clock, and it continues while the machine is
    /// suspended. In tests it follows [`tokio::time`], which can be paused.
    fn now(&self) -> Moment;

    /// The wall clock, as nanoseconds since the Unix epoch. It may jump.
    fn wall_nanos(&self) -> i64;

    /// The moment of a tokio instant, calculated back from now. [`Instant`] stops while the machine is suspended. So an instant
    /// before the last suspension becomes a moment after it, and a run that was in progress counts as started after it: nothing
    /// was observed in between.
    fn moment(&self, instant: Instant) -> Moment;
}

/// The real clock.
///
/// It uses `CLOCK_BOOTTIME` (clock_gettime(2)). `CLOCK_MONOTONIC` stops while the machine is suspended. A suspension would then look
/// like a step of the wall clock: since-times would move forward, and results from before it would look fresh.
#[derive(Debug)]
pub struct SystemClock {
    started: i64,
    since_boot: fn() -> i64,
}

impl SystemClock {
    /// A clock that starts now.
    pub fn new() -> Self {
        Self::of(since_boot)
    }

    fn of(since_boot: fn() -> i64) -> Self {
        Self {
            started: since_boot(),
            since_boot,
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

/// Nanoseconds since the machine started, including suspensions.
fn since_boot() -> i64 {
    let time = clock_gettime(ClockId::Boottime);
    time.tv_sec
        .saturating_mul(1_000_000_000)
        .saturating_add(time.tv_nsec)
}

impl Clock for SystemClock {
    fn now(&self) -> Moment {
        Moment((self.since_boot)().saturating_sub(self.started))
    }

    fn wall_nanos(&self) -> i64 {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => nanos(after),
            Err(before) => -nanos(before.duration()),
        }
    }

    fn moment(&self, instant: Instant) -> Moment {
        let (now, read) = (self.now(), Instant::now());
        match read.checked_duration_since(instant) {
            Some(ago) => now - ago,
            None => now + instant.duration_since(read),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    /// How long the machine was suspended in the tests, in nanoseconds.
    static SUSPENDED: AtomicI64 = AtomicI64::new(0);

    fn since_boot_here() -> i64 {
        since_boot() + SUSPENDED.load(Ordering::SeqCst)
    }

    #[test]
    fn a_suspension_counts_and_runs_in_progress_start_after_it() {
        const EIGHT_HOURS: Duration = Duration::from_secs(8 * 3600);
        let clock = SystemClock::of(since_boot_here);
        let (before, instant) = (clock.now(), Instant::now());
        SUSPENDED.fetch_add(nanos(EIGHT_HOURS), Ordering::SeqCst);
        let after = clock.now();
        assert!(after.since(before) >= EIGHT_HOURS);
        let of_instant = clock.moment(instant);
        assert!(
            of_instant.since(before) >= EIGHT_HOURS - Duration::from_secs(5) && of_instant <= clock.now(),
            "a run in progress counts from after the suspension: {of_instant:?}"
        );
    }

    #[test]
    fn our_clock_counts_suspensions() {
        // proc_uptime(5): "the uptime of the system, including time spent in suspend".
        let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
        let uptime: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
        let ours = since_boot() as f64 / 1e9;
        assert!((ours - uptime).abs() < 60.0, "{ours} s since boot, and {uptime}");
    }

    #[test]
    fn instants_in_the_future_have_moments() {
        let clock = SystemClock::new();
        let ahead = clock.moment(Instant::now() + Duration::from_secs(100));
        let left = ahead.since(clock.now());
        assert!(
            left > Duration::from_secs(90) && left <= Duration::from_secs(100),
            "{left:?}"
        );
    }
}
