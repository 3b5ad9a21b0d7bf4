//! A heartbeat shows that the scheduler works: timers fire, tasks are polled, and the store can be locked.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::store::Store;

/// The time between two beats.
const BEAT: Duration = Duration::from_secs(1);

/// How late a beat may be. Load causes much smaller delays, so only a stalled scheduler exceeds this.
const MAX_DELAY: Duration = Duration::from_secs(5);

/// Whether the scheduler works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Liveness {
    /// The time since the last beat. One is due every second.
    pub since_beat: Duration,
    /// How late the last beat was.
    pub lag: Duration,
}

impl Liveness {
    /// Whether the watchdog may be pinged.
    pub fn is_alive(&self) -> bool {
        self.since_beat <= BEAT + MAX_DELAY && self.lag <= MAX_DELAY
    }
}

/// A task on the same timers, runtime and store as the tasks of checks.
#[derive(Debug)]
pub struct Heartbeat {
    started: Instant,
    beat: Arc<Beat>,
    task: JoinHandle<()>,
}

/// The last beat: when it happened and how late it was, in nanoseconds.
#[derive(Debug, Default)]
struct Beat {
    at: AtomicU64,
    lag: AtomicU64,
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Heartbeat {
    /// Starts the heartbeat on this runtime. Each beat also lets the store update what depends on the time.
    pub fn start(handle: &Handle, store: Arc<Store>) -> Self {
        let started = Instant::now();
        let beat = Arc::new(Beat::default());
        let last_beat = beat.clone();
        let task = handle.spawn(async move {
            let mut ticks = interval_at(started + BEAT, BEAT);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            loop {
                let planned = ticks.tick().await;
                store.sweep();
                let lag = planned.elapsed();
                last_beat.lag.store(nanos(lag), Ordering::Release);
                last_beat.at.store(nanos(started.elapsed()), Ordering::Release);
            }
        });
        Self { started, beat, task }
    }

    /// The state of the heartbeat now.
    pub fn liveness(&self) -> Liveness {
        let at = Duration::from_nanos(self.beat.at.load(Ordering::Acquire));
        Liveness {
            since_beat: self.started.elapsed().saturating_sub(at),
            lag: Duration::from_nanos(self.beat.lag.load(Ordering::Acquire)),
        }
    }

    /// Stops the heartbeat.
    pub fn stop(&self) {
        self.task.abort();
    }
}
