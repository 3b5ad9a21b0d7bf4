//! When checks run. One task a check: it sleeps until the check is due, runs it under its deadline, records the result.
//!
//! The scheduler owns interval, deadline, recheck and concurrency; a check only knows how to run once. Nothing waits for
//! a check but its own task, so targets that hang cost memory, not punctuality.

mod attempt;
mod heartbeat;
mod panics;
mod runner;
mod timetable;

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub(crate) use attempt::attempt_noting;
pub use heartbeat::Liveness;
pub(crate) use panics::quieten;

use crate::check::{Check, Shared};
use crate::config::{CheckSettings, Config};
use crate::model::{CheckId, Clock, Problem, Report};
use crate::store::{CheckHandle, Store};
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
}

impl Scheduler {
    /// A scheduler without checks; [`Scheduler::apply`] brings them. Must be called on a tokio runtime.
    pub fn start(store: Arc<Store>, shared: Shared, clock: Arc<dyn Clock>) -> Self {
        Self::with(store, clock, move |settings| Check::new(settings, &shared))
    }

    /// The same with what `build` makes in place of checks. What it makes is built anew after a panic.
    pub fn with<R: Runnable>(
        store: Arc<Store>,
        clock: Arc<dyn Clock>,
        build: impl Fn(&Arc<CheckSettings>) -> R + Send + Sync + 'static,
    ) -> Self {
        quieten();
        let build = Arc::new(build);
        let of_tasks = store.clone();
        let spawn: Spawn = Box::new(move |handle, settings, timetable| {
            let runner = Runner {
                store: of_tasks.clone(),
                clock: clock.clone(),
                handle,
                settings,
                timetable,
            };
            tokio::spawn(runner.run(build.clone()))
        });
        Self {
            heartbeat: Heartbeat::start(store.clone()),
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

    /// Whether the scheduler's own machinery turns.
    pub fn liveness(&self) -> Liveness {
        self.heartbeat.liveness()
    }

    /// Ends every run at once, and waits (a second at most) until their sockets are closed. Nothing runs afterwards.
    pub async fn stop(&self) {
        self.heartbeat.stop();
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
        self.heartbeat.stop();
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
