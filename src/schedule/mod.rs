//! The scheduler. Each check has a task that sleeps until the check is due, runs it, and records the result.
//!
//! Runs pass a gate before they start, so that overload makes runs late instead of failing them. The time that the process loses
//! is measured and added to the deadlines of the affected runs.
//!
//! The scheduler owns intervals, rechecks and concurrency; a check only knows how to run once. Only its own task waits for a
//! check, so a hanging target delays no other check.

mod check_task;
mod gate;
mod liveness;
mod lost_time_timer;
mod timetable;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub use liveness::Liveness;
pub(crate) use lost_time_timer::measure_lost_time;

use crate::check::{Check, CheckContext};
use crate::config::{CheckSettings, Config};
use crate::log_throttle::LogThrottle;
use crate::model::{CheckId, Clock, LostTime};
use crate::runner::Runnable;
use crate::store::{CheckHandle, Store};
use check_task::CheckTask;
use gate::Gate;
use liveness::LivenessTask;
use timetable::Timetable;

/// How long [`Scheduler::stop`] waits for runs that do not yield.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);

/// Starts the task of one check.
type Spawn = Box<dyn Fn(CheckHandle, Arc<CheckSettings>, Timetable) -> JoinHandle<()> + Send + Sync>;

/// Runs every configured check when it is due.
pub struct Scheduler {
    store: Arc<Store>,
    /// The origin of all ticks.
    zero: Instant,
    spawn: Spawn,
    tasks: Mutex<HashMap<CheckHandle, JoinHandle<()>>>,
    liveness: LivenessTask,
    /// The tasks of the gate and of the timer that measures lost time.
    own_tasks: Vec<JoinHandle<()>>,
    lost: Arc<LostTime>,
}

impl Scheduler {
    /// Starts a scheduler without checks; [`Scheduler::apply`] adds them. Checks run on the runtime of `handle`, whose lost time is
    /// measured.
    pub fn start(handle: &Handle, store: Arc<Store>, context: CheckContext, clock: Arc<dyn Clock>) -> Self {
        let build = move |settings: &Arc<CheckSettings>| Check::new(settings, &context);
        let mut scheduler = Self::new(handle, store, clock, build);
        let timer = handle.spawn(measure_lost_time(Arc::clone(&scheduler.lost)));
        scheduler.own_tasks.push(timer);
        scheduler
    }

    /// Like [`Scheduler::start`], for tests: `build` makes the checks, they run on the current runtime, and lost time is not measured.
    /// A check that panics is built again.
    pub fn with_build<R: Runnable>(
        store: Arc<Store>,
        clock: Arc<dyn Clock>,
        build: impl Fn(&Arc<CheckSettings>) -> R + Send + Sync + 'static,
    ) -> Self {
        Self::new(&Handle::current(), store, clock, build)
    }

    fn new<R: Runnable>(
        handle: &Handle,
        store: Arc<Store>,
        clock: Arc<dyn Clock>,
        build: impl Fn(&Arc<CheckSettings>) -> R + Send + Sync + 'static,
    ) -> Self {
        let build = Arc::new(build);
        let task_store = store.clone();
        let gate = Arc::<Gate>::default();
        let lost = Arc::<LostTime>::default();
        let log_throttle = Arc::<LogThrottle>::default();
        let (runtime, served_gate, scheduler_lost) = (handle.clone(), Arc::clone(&gate), Arc::clone(&lost));
        let spawn: Spawn = Box::new(move |handle, settings, timetable| {
            let task = CheckTask {
                store: task_store.clone(),
                clock: clock.clone(),
                handle,
                settings,
                timetable,
                gate: Arc::clone(&gate),
                lost: Arc::clone(&lost),
                log_throttle: Arc::clone(&log_throttle),
            };
            runtime.spawn(task.run(build.clone()))
        });
        Self {
            liveness: LivenessTask::start(handle, store.clone()),
            own_tasks: vec![handle.spawn(async move { served_gate.serve().await })],
            lost: scheduler_lost,
            store,
            zero: Instant::now(),
            spawn,
            tasks: Mutex::default(),
        }
    }

    /// Applies a configuration, at the start and at a reload, to the store and the tasks. Unchanged checks keep their task, phase and
    /// connection. Removed checks stop at once, changed ones start again.
    pub fn apply(&self, config: &Config) {
        self.store.apply(config);
        let now = Instant::now();
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        let mut old = std::mem::take(&mut *tasks);
        for (id, handle, settings) in self.store.handles() {
            let task = old
                .remove(&handle)
                .unwrap_or_else(|| self.spawn_check(&id, handle, settings, now));
            tasks.insert(handle, task);
        }
        for task in old.into_values() {
            task.abort();
        }
    }

    fn stop_own_tasks(&self) {
        self.liveness.stop();
        for task in &self.own_tasks {
            task.abort();
        }
    }

    fn spawn_check(
        &self,
        id: &CheckId,
        handle: CheckHandle,
        settings: Arc<CheckSettings>,
        now: Instant,
    ) -> JoinHandle<()> {
        let timetable = Timetable::new(self.zero, now, id, &settings);
        (self.spawn)(handle, settings, timetable)
    }

    /// The lost time of the runtime of the checks.
    pub const fn lost_time(&self) -> &Arc<LostTime> {
        &self.lost
    }

    /// Whether the scheduler works.
    pub fn liveness(&self) -> Liveness {
        self.liveness.liveness()
    }

    /// Stops all runs at once and waits, for a second at most, until their sockets are closed. No check runs afterwards.
    pub async fn stop(&self) {
        self.stop_own_tasks();
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks.values() {
            task.abort();
        }
        let ended = async {
            for task in tasks.into_values() {
                // The result of a cancelled task only says that it was cancelled.
                let _ = task.await;
            }
        };
        if tokio::time::timeout(STOP_TIMEOUT, ended).await.is_err() {
            tracing::warn!("some runs did not stop in time");
        }
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        self.stop_own_tasks();
        for task in self.tasks.lock().unwrap_or_else(PoisonError::into_inner).values() {
            task.abort();
        }
    }
}

impl std::fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scheduler").finish_non_exhaustive()
    }
}
