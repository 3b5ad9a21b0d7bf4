//! A clock for tests of the store and of what uses it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tokio::time::Instant;

use crate::model::{Clock, Moment};

/// A second in nanoseconds.
pub const SECOND: i64 = 1_000_000_000;

/// A clock that stands still until a test sets it.
#[derive(Debug)]
pub struct TestClock {
    /// The moment, in nanoseconds.
    pub now: AtomicI64,
    /// The wall clock minus the moment, in nanoseconds.
    pub offset: AtomicI64,
}

impl TestClock {
    /// A clock at `now` seconds, whose wall clock is `offset` seconds ahead.
    pub fn new(now: i64, offset: i64) -> Arc<Self> {
        Arc::new(Self {
            now: (now * SECOND).into(),
            offset: (offset * SECOND).into(),
        })
    }

    /// Lets time pass until this second.
    pub fn set(&self, second: i64) {
        self.now.store(second * SECOND, Ordering::SeqCst);
    }

    /// Sets the wall clock forward by this many seconds.
    pub fn step(&self, seconds: i64) {
        self.offset.fetch_add(seconds * SECOND, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Moment {
        Moment::from_nanos(self.now.load(Ordering::SeqCst))
    }

    fn wall_nanos(&self) -> i64 {
        self.now.load(Ordering::SeqCst) + self.offset.load(Ordering::SeqCst)
    }

    fn moment(&self, _: Instant) -> Moment {
        self.now()
    }
}
