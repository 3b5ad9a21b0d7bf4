//! When checks run. One task a check: it sleeps until the check is due, runs it under its deadline, records the result.
//!
//! Runs pass a gate before they start, so that overload makes them late instead of failed. What the process loses of its
//! time is measured, and added to the deadlines of the runs that it spoils.
//!
//! The scheduler owns interval, deadline, recheck and concurrency; a check only knows how to run once. Nothing waits for
//! a check but its own task, so targets that hang cost memory, not punctuality.

mod attempt;
mod beat;
mod deadline;
mod gate;
mod heartbeat;
mod panics;
mod runner;
mod timetable;

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub(crate) use attempt::{Conditions, attempt_noting};
pub(crate) use beat::beat;
pub use heartbeat::Liveness;
pub(crate) use panics::install_panic_hook;

use crate::check::{Check, Shared};
use crate::config::{CheckSettings, Config};
use crate::log_throttle::LogThrottle;
use crate::model::{CheckId, Clock, LostTime, Problem, Report};
use crate::store::{CheckHandle, Store};
use gate::Gate;
use heartbeat::Heartbeat;
use runner::Runner;
use timetable::Timetable;

/// The longest that [`Scheduler::stop`] waits for runs that do not yield.
const STOP_LIMIT: Duration = Duration::from_secs(1);

/// What can be run: in production a [`Check`].
pub trait Runnable: Send + 'static {
    /// Runs once; see [`Check::run`].
    fn run(&mut self, report: &mut Report) -> impl Future<Output = Result<(), Problem>> + Send;

    /// Notified, by `notify_one`, when there is reason to run before the next tick.
    fn wakeup(&self) -> Option<Arc<Notify>>;
}

impl Runnable for Check {
    fn run(&mut self, report: &mut Report) -> impl Future<Output = Result<(), Problem>> + Send {
        Self::run(self, report)
    }

    fn wakeup(&self) -> Option<Arc<Notify>> {
        Self::wakeup(self)
    }
}

/// Starts the task of one check.
type Spawn = Box<dyn Fn(CheckHandle, Arc<CheckSettings>, Timetable) -> JoinHandle<()> + Send + Sync>;

/// Runs every configured check when it is due.
pub struct Scheduler {
    store: Arc<Store>,
    /// The origin of every tick.
    zero: Instant,
    spawn: Spawn,
    tasks: Mutex<HashMap<CheckHandle, JoinHandle<()>>>,
    heartbeat: Heartbeat,
    /// Lets runs start, and measures what is lost.
    own_tasks: Vec<JoinHandle<()>>,
    lost: Arc<LostTime>,
}

impl Scheduler {
    /// A scheduler without checks; [`Scheduler::apply`] brings them. They run on the runtime of `handle`, and what that loses of
    /// its time is measured.
    pub fn start(handle: &Handle, store: Arc<Store>, shared: Shared, clock: Arc<dyn Clock>) -> Self {
        let build = move |settings: &Arc<CheckSettings>| Check::new(settings, &shared);
        let mut scheduler = Self::on(handle, store, clock, build);
        let beats = handle.spawn(beat(Arc::clone(&scheduler.lost)));
        scheduler.own_tasks.push(beats);
        scheduler
    }

    /// The same with what `build` makes in place of checks, on the runtime that this is called on, and without measuring its time.
    /// What it makes is built anew after a panic.
    pub fn with<R: Runnable>(
        store: Arc<Store>,
        clock: Arc<dyn Clock>,
        build: impl Fn(&Arc<CheckSettings>) -> R + Send + Sync + 'static,
    ) -> Self {
        Self::on(&Handle::current(), store, clock, build)
    }

    fn on<R: Runnable>(
        handle: &Handle,
        store: Arc<Store>,
        clock: Arc<dyn Clock>,
        build: impl Fn(&Arc<CheckSettings>) -> R + Send + Sync + 'static,
    ) -> Self {
        install_panic_hook();
        let build = Arc::new(build);
        let of_tasks = store.clone();
        let gate = Arc::<Gate>::default();
        let lost = Arc::<LostTime>::default();
        let told = Arc::<LogThrottle>::default();
        let (of_checks, of_gate, lost_by_all) = (handle.clone(), Arc::clone(&gate), Arc::clone(&lost));
        let spawn: Spawn = Box::new(move |handle, settings, timetable| {
            let runner = Runner {
                store: of_tasks.clone(),
                clock: clock.clone(),
                handle,
                settings,
                timetable,
                gate: Arc::clone(&gate),
                lost: Arc::clone(&lost),
                told: Arc::clone(&told),
            };
            of_checks.spawn(runner.run(build.clone()))
        });
        Self {
            heartbeat: Heartbeat::start(handle, store.clone()),
            own_tasks: vec![handle.spawn(async move { of_gate.serve().await })],
            lost: lost_by_all,
            store,
            zero: Instant::now(),
            spawn,
            tasks: Mutex::default(),
        }
    }

    /// Hands the configuration to the store, at the start and at a reload, and brings the tasks in line. Checks that did
    /// not change keep task, phase and connection; those that are gone end at once; changed ones are built anew.
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
        self.heartbeat.stop();
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

    /// The time that the runtime of the checks loses.
    pub const fn lost_time(&self) -> &Arc<LostTime> {
        &self.lost
    }

    /// Whether the scheduler's own machinery turns.
    pub fn liveness(&self) -> Liveness {
        self.heartbeat.liveness()
    }

    /// Ends every run at once, and waits (a second at most) until their sockets are closed. Nothing runs afterwards.
    pub async fn stop(&self) {
        self.stop_own_tasks();
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks.values() {
            task.abort();
        }
        let ended = async {
            for task in tasks.into_values() {
                // It was cancelled; that is its result.
                let _ = task.await;
            }
        };
        if tokio::time::timeout(STOP_LIMIT, ended).await.is_err() {
            tracing::warn!("runs that do not yield are left behind");
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
