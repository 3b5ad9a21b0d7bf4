//! Converts between the monotonic clock and Unix times, so that a moment has the same Unix time in every snapshot.

use std::fmt;

use super::time::{Clock, Moment};

/// The difference between the clocks, in nanoseconds, above which the wall clock has jumped. Both are slewed alike, so only a step
/// changes the difference.
const JUMP: u64 = 500_000_000;

/// The maximum duration of a precise reading of both clocks, in nanoseconds. Without an interruption it takes less than a
/// microsecond.
const TIGHT: u64 = 1_000_000;

/// The maximum number of readings. Then the best one is used.
const READINGS: usize = 5;

/// The Unix time of moment zero. It stays the same while the clocks agree, so that a since-time is the same number in every scrape.
/// After a jump of the wall clock it is read again, so that times are correct at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WallAnchor {
    offset: i64,
}

/// An anchor, and the time between the readings of both clocks. The process may be interrupted or stopped in between, which makes the
/// anchor imprecise.
struct Reading {
    anchor: WallAnchor,
    took: u64,
}

impl Reading {
    fn once(clock: &dyn Clock) -> Self {
        let before = clock.now().as_nanos();
        let wall = clock.wall_nanos();
        let took = clock.now().as_nanos().saturating_sub(before).max(0);
        Self {
            anchor: WallAnchor {
                offset: wall.saturating_sub(before.saturating_add(took / 2)),
            },
            took: took.unsigned_abs(),
        }
    }

    /// Returns the most precise of several readings.
    fn take(clock: &dyn Clock) -> Self {
        let mut best = Self::once(clock);
        for _ in 1..READINGS {
            if best.took <= TIGHT {
                break;
            }
            let next = Self::once(clock);
            if next.took < best.took {
                best = next;
            }
        }
        best
    }
}

impl WallAnchor {
    /// Reads the clocks.
    pub fn new(clock: &dyn Clock) -> Self {
        Reading::take(clock).anchor
    }

    /// Reads the clocks again if the wall clock has jumped. Returns whether it has.
    pub fn update(&mut self, clock: &dyn Clock) -> bool {
        let current = Reading::take(clock);
        let jumped = current.anchor.offset.abs_diff(self.offset) > JUMP.saturating_add(current.took);
        if jumped {
            *self = current.anchor;
        }
        jumped
    }

    /// The Unix time of a moment in nanoseconds.
    pub const fn nanos(self, moment: Moment) -> i64 {
        moment.as_nanos().saturating_add(self.offset)
    }

    /// The moment of a Unix time in nanoseconds.
    pub const fn moment(self, nanos: i64) -> Moment {
        Moment::from_nanos(nanos.saturating_sub(self.offset))
    }

    /// The Unix time of a moment in seconds.
    #[allow(
        clippy::cast_precision_loss,
        reason = "a quarter of a microsecond is lost in our century"
    )]
    pub fn seconds(self, moment: Moment) -> f64 {
        self.nanos(moment) as f64 / 1e9
    }
}

/// A Unix time in nanoseconds, displayed in the format of RFC 3339, in UTC, with milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct UtcTime(pub i64);

impl fmt::Display for UtcTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = jiff::Timestamp::from_nanosecond(self.0.into()).map_err(|_| fmt::Error)?;
        write!(f, "{time:.3}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utc_times_match_those_of_date() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399, "2000-02-28T23:59:59.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199, "2024-02-29T23:59:59.000Z"),
            (1_735_689_599, "2024-12-31T23:59:59.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.000Z"),
        ] {
            assert_eq!(UtcTime(seconds * 1_000_000_000).to_string(), text);
        }
        assert_eq!(
            UtcTime(1_234_567_890_123_456_789).to_string(),
            "2009-02-13T23:31:30.123Z"
        );
    }
}
