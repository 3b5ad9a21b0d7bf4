//! Whether the scheduler works: timers fire, tasks are polled, and the store can be locked.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::store::Store;

/// The time between two ticks.
const TICK: Duration = Duration::from_secs(1);

/// How late a tick may be. Load causes much smaller delays, so only a stalled scheduler exceeds this.
const MAX_DELAY: Duration = Duration::from_secs(5);

/// Whether the scheduler works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Liveness {
    /// The time since the last tick. One is due every second.
    pub since_tick: Duration,
    /// How late the last tick was.
    pub lag: Duration,
}

impl Liveness {
    /// Whether the watchdog may be pinged.
    pub fn is_alive(&self) -> bool {
        self.since_tick <= TICK + MAX_DELAY && self.lag <= MAX_DELAY
    }
}

/// A task on the same timers, runtime and store as the tasks of checks.
#[derive(Debug)]
pub struct LivenessTask {
    started: Instant,
    last: Arc<LastTick>,
    task: JoinHandle<()>,
}

/// The last tick: when it happened and how late it was, in nanoseconds.
#[derive(Debug, Default)]
struct LastTick {
    at: AtomicU64,
    lag: AtomicU64,
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl LivenessTask {
    /// Starts the task on this runtime. Each tick also lets the store update what depends on the time.
    pub fn start(handle: &Handle, store: Arc<Store>) -> Self {
        let started = Instant::now();
        let last = Arc::new(LastTick::default());
        let written = last.clone();
        let task = handle.spawn(async move {
            let mut ticks = interval_at(started + TICK, TICK);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            loop {
                let planned = ticks.tick().await;
                store.sweep();
                let lag = planned.elapsed();
                written.lag.store(nanos(lag), Ordering::Release);
                written.at.store(nanos(started.elapsed()), Ordering::Release);
            }
        });
        Self { started, last, task }
    }

    /// The state now.
    pub fn liveness(&self) -> Liveness {
        let at = Duration::from_nanos(self.last.at.load(Ordering::Acquire));
        Liveness {
            since_tick: self.started.elapsed().saturating_sub(at),
            lag: Duration::from_nanos(self.last.lag.load(Ordering::Acquire)),
        }
    }

    /// Stops the task.
    pub fn stop(&self) {
        self.task.abort();
    }
}
