//! Histograms of response times (under the lock of the store) and of the scheduler's lag (lock-free).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::native_histogram::NativeBuckets;
use super::snapshot::HistogramView;
use crate::model::{Moment, WallAnchor};

/// Upper bounds for response times, in seconds.
pub const RESPONSE_TIMES: &[f64] = &[0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Upper bounds for the scheduler's lag, in seconds.
pub const LAGS: &[f64] = &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];

/// The position of the bucket for `seconds`. Bounds are inclusive.
fn bucket(bounds: &[f64], seconds: f64) -> usize {
    bounds.partition_point(|bound| *bound < seconds)
}

/// The response times of one check.
#[derive(Clone, Debug)]
pub struct ResponseTimes {
    counts: [u64; RESPONSE_TIMES.len() + 1],
    sum: Duration,
    since: Moment,
    native: Option<Box<NativeBuckets>>,
}

impl ResponseTimes {
    /// A histogram that is empty at `since`, with native buckets if `has_native`.
    pub fn new(since: Moment, has_native: bool) -> Self {
        Self {
            counts: Default::default(),
            sum: Duration::ZERO,
            since,
            native: has_native.then(Box::default),
        }
    }

    /// Adds an observation.
    pub fn observe(&mut self, time: Duration) {
        if let Some(native) = &mut self.native {
            native.observe(time.as_secs_f64());
        }
        self.counts[bucket(RESPONSE_TIMES, time.as_secs_f64())] += 1;
        self.sum = self.sum.saturating_add(time);
    }

    /// The view of all observations.
    pub fn view(&self, wall: WallAnchor) -> HistogramView {
        HistogramView {
            bounds: RESPONSE_TIMES,
            counts: self.counts.to_vec(),
            sum: self.sum.as_secs_f64(),
            start: wall.seconds(self.since),
            native: self.native.as_ref().map(|native| native.view()),
        }
    }
}

/// The lags of all runs.
#[derive(Debug, Default)]
pub struct Lags {
    counts: [AtomicU64; LAGS.len() + 1],
    nanoseconds: AtomicU64,
}

impl Lags {
    /// Adds an observation.
    pub fn observe(&self, lag: Duration) {
        self.counts[bucket(LAGS, lag.as_secs_f64())].fetch_add(1, Ordering::Relaxed);
        let nanoseconds = u64::try_from(lag.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// The view of all observations since `start`, a Unix time.
    pub fn view(&self, start: f64) -> HistogramView {
        HistogramView {
            bounds: LAGS,
            counts: self
                .counts
                .iter()
                .map(|count| count.load(Ordering::Relaxed))
                .collect(),
            sum: Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed)).as_secs_f64(),
            start,
            native: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_clock::TestClock;
    use super::*;
    use crate::model::Clock;

    #[test]
    fn bounds_are_inclusive() {
        let clock = TestClock::new(5, 1_000);
        let mut times = ResponseTimes::new(clock.now(), true);
        for milliseconds in [0, 5, 6, 10_000, 10_001, 60_000] {
            times.observe(Duration::from_millis(milliseconds));
        }
        let view = times.view(WallAnchor::new(&*clock));
        assert_eq!(view.counts, [2, 1, 0, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!((view.count(), view.sum, view.start), (6, 80.012, 1_005.0));
        let native = view.native.unwrap();
        let counts = native.buckets.iter().map(|(_, count)| count);
        assert_eq!((native.zeros, counts.sum::<u64>()), (1, 5));
    }

    #[test]
    fn lags_are_counted_by_bucket() {
        let lags = Lags::default();
        for microseconds in [0, 1000, 1001, 3_000_000] {
            lags.observe(Duration::from_micros(microseconds));
        }
        let view = lags.view(1.0);
        assert_eq!((view.counts[0], view.counts[1], view.counts[10]), (2, 1, 1));
        assert_eq!(view.counts.len(), view.bounds.len() + 1);
    }
}
