//! Tests of jobs over time.

mod against_model;
mod registry;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::model::{Clock, Moment};

/// A second in nanoseconds.
const SECOND: i64 = 1_000_000_000;

/// The Unix time of moment zero, in seconds.
const EPOCH: i64 = 1_800_000_000;

/// The moment of a second.
fn at(second: i64) -> Moment {
    Moment::from_nanos(second * SECOND)
}

fn seconds(seconds: i64) -> Duration {
    Duration::from_secs(seconds.unsigned_abs())
}

/// A clock that stands still until a test sets it. Two processes can have the same one.
#[derive(Debug, Default)]
struct TestClock {
    now: AtomicI64,
    /// How far the wall clock was set forward, in seconds.
    step: AtomicI64,
}

impl TestClock {
    fn new() -> Arc<Self> {
        Arc::default()
    }

    fn set(&self, second: i64) {
        self.now.store(second * SECOND, Ordering::SeqCst);
    }

    fn step(&self, seconds: i64) {
        self.step.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Moment {
        Moment::from_nanos(self.now.load(Ordering::SeqCst))
    }

    fn wall_nanos(&self) -> i64 {
        self.now.load(Ordering::SeqCst) + (EPOCH + self.step.load(Ordering::SeqCst)) * SECOND
    }

    fn moment(&self, _: Instant) -> Moment {
        self.now()
    }
}
