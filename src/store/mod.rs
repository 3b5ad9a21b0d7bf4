//! Results by check, what lasts beyond a restart, and the immutable snapshots that every face is rendered from.
//!
//! One lock guards the state; recording a run holds it for microseconds, whatever the number of checks. What lasts is
//! written by a thread of its own, so that a slow disk delays nothing.

mod check;
mod events;
mod file;
mod fingerprint;
mod histogram;
mod recent;
mod saved;
mod saver;
mod service;
pub mod snapshot;
mod state;
mod walltime;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::broadcast;

pub use check::CheckHandle;
pub use events::StatusEvent;
pub use file::StateDirError;
pub use fingerprint::Fnv;
pub use histogram::{LAGS, RESPONSE_TIMES};
pub use recent::{RECENT_RUNS, RecentRun, RecentRuns};
pub use snapshot::{CheckView, ExporterView, HistogramView, LastRun, ServiceView, Snapshot};
pub use state::NextRun;
pub use walltime::UtcTime;

pub use crate::verdict::Run;

use crate::config::{CheckSettings, Config};
use crate::model::{CheckId, Clock, Outcome};
use events::Event;
use histogram::Lags;
use saved::SavedState;
use saver::Saver;
use state::State;
use walltime::WallAnchor;

/// What is known of every configured check and service.
#[derive(Debug)]
pub struct Store {
    shared: Arc<StoreShared>,
    saver: Option<Saver>,
}

/// What the store and the thread that saves it share.
pub(crate) struct StoreShared {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    generation: AtomicU64,
    changes: AtomicU64,
    in_flight: AtomicU64,
    lags: Lags,
    status_events: broadcast::Sender<StatusEvent>,
}

/// How many changes of a status a subscriber may lag behind before it loses the oldest.
const STATUS_EVENTS: usize = 256;

/// Counts a run as under way until it is dropped.
#[derive(Debug)]
pub struct InFlight {
    store: Arc<Store>,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.store.shared.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.store.shared.touch();
    }
}

impl Store {
    /// A store that takes its time from `clock` and keeps what lasts in `state_dir`, or in memory only. It holds
    /// nothing until a configuration is applied. Also gives what the operator should know of the state it found, one
    /// line each.
    ///
    /// # Errors
    /// When another exporter uses the directory. A directory that can't be read or written is no error: the exporter
    /// watches, says so, and tries again.
    pub fn open(
        clock: Arc<dyn Clock>,
        state_dir: Option<PathBuf>,
    ) -> Result<(Arc<Self>, Vec<String>), StateDirError> {
        let wall = WallAnchor::new(&*clock);
        let now = clock.now();
        let (file, kept, notices) = match state_dir {
            Some(dir) => {
                let (file, kept, notices) = file::StateFile::open(dir, wall, now)?;
                (Some(file), kept, notices)
            }
            None => (None, SavedState::default(), Vec::new()),
        };
        let shared = Arc::new(StoreShared {
            state: Mutex::new(State::new(wall, kept, now)),
            clock,
            generation: AtomicU64::new(0),
            changes: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            lags: Lags::default(),
            status_events: broadcast::Sender::new(STATUS_EVENTS),
        });
        let saver = file.map(|file| Saver::start(shared.clone(), file));
        Ok((Arc::new(Self { shared, saver }), notices))
    }

    /// Takes over a configuration, at the start and at a reload.
    pub fn apply(&self, config: &Config) {
        let now = self.shared.clock.now();
        let mut state = self.shared.state();
        let events = state.apply(config, now);
        self.finish(state, events);
        self.shared.changes.fetch_add(1, Ordering::AcqRel);
    }

    /// Notes that a reload failed; all else stays as it is.
    pub fn reload_failed(&self) {
        self.shared.state().last_reload_successful = false;
        self.shared.touch();
    }

    /// Every configured check with the handle under which its runs are recorded. A check whose settings change gets a
    /// new handle.
    pub fn handles(&self) -> Vec<(CheckId, CheckHandle, Arc<CheckSettings>)> {
        self.shared.state().handles()
    }

    /// Notes that a run starts, `lag` later than planned. It counts as under way until the result is dropped.
    pub fn run_started(self: &Arc<Self>, lag: Duration) -> InFlight {
        self.shared.lags.observe(lag);
        self.shared.in_flight.fetch_add(1, Ordering::Relaxed);
        self.shared.touch();
        InFlight { store: self.clone() }
    }

    /// Records a run that ended, and how many ticks it made its check miss. A run whose check is gone, or was made with
    /// other settings than the present ones, leaves no trace.
    pub fn record(&self, handle: CheckHandle, run: Run, outcome: Outcome, missed: u64) -> NextRun {
        let outcome = Arc::new(outcome);
        let mut state = self.shared.state();
        let Some((advice, event)) = state.record(handle, run, outcome, missed) else {
            return NextRun { recheck: false };
        };
        self.finish(state, event);
        advice
    }

    /// Finds out what the passing of time changed: results that became too old, a wall clock that jumped.
    pub fn sweep(&self) {
        let now = self.shared.clock.now();
        let mut state = self.shared.state();
        let jumped = state.wall.follow(&*self.shared.clock);
        state.needs_saving |= jumped;
        state.swept(now);
        let events = state.update_statuses(now);
        if jumped || !events.is_empty() {
            self.finish(state, events);
        }
    }

    /// Tells subscribers, releases the lock, then does what must not happen under it.
    fn finish(&self, state: MutexGuard<'_, State>, events: impl IntoIterator<Item = Event>) {
        let wall = state.wall;
        let needs_saving = state.needs_saving;
        let events: Vec<Event> = events.into_iter().collect();
        let subscribers = &self.shared.status_events;
        if subscribers.receiver_count() > 0 {
            // Under the lock, so that the changes of a service arrive in their order. It takes a microsecond.
            for event in &events {
                if let Event::Status(change) = event {
                    // An error says that the last receiver has gone meanwhile.
                    let _ = subscribers.send(change.told(wall));
                }
            }
        }
        drop(state);
        self.shared.touch();
        if let (Some(saver), true) = (&self.saver, needs_saving) {
            saver.wake();
        }
        for event in events {
            self.shared.changes.fetch_add(1, Ordering::AcqRel);
            event.log(wall);
        }
    }

    /// Everything that is known now.
    pub fn snapshot(&self) -> Snapshot {
        self.sweep();
        let now = self.shared.clock.now();
        let state = self.shared.state();
        let wall = state.wall;
        Snapshot {
            taken: wall.seconds(now),
            services: state
                .services
                .iter()
                .map(|service| service.view(now, wall))
                .collect(),
            exporter: ExporterView {
                last_reload_successful: state.last_reload_successful,
                last_reload_success: wall.seconds(state.last_reload_success),
                scheduler_lag: self.shared.lags.view(),
                runs_in_flight: self.shared.in_flight.load(Ordering::Relaxed),
                is_first_round_over: state.is_first_round_over(),
                state_saved: self.saver.as_ref().map(Saver::is_saved),
            },
        }
    }

    /// The last runs of each of a service's checks, in the order of the configuration; `None` where there is no such
    /// service. They are no part of the snapshot, which is copied for every scrape.
    pub fn recent_runs(&self, service: &str) -> Option<Vec<RecentRuns>> {
        let state = self.shared.state();
        let wall = state.wall;
        let found = state
            .services
            .iter()
            .find(|state| state.service.key.as_str() == service)?;
        Some(found.checks.iter().map(|check| check.recent.view(wall)).collect())
    }

    /// Every change of a service's status from now on. A receiver that lags by more than 256 changes loses the oldest
    /// and is told how many.
    pub fn subscribe(&self) -> broadcast::Receiver<StatusEvent> {
        self.shared.status_events.subscribe()
    }

    /// Whether every check has run at least once.
    pub fn is_first_round_over(&self) -> bool {
        self.shared.state().is_first_round_over()
    }

    /// Changes whenever a snapshot would differ from the one before in more than its time. Results that became too old
    /// count once [`Store::sweep`] or [`Store::snapshot`] found them.
    pub fn generation(&self) -> u64 {
        self.shared.generation.load(Ordering::Acquire)
    }

    /// Changes whenever the configuration, a service's status or a check's problem did.
    pub fn changes(&self) -> u64 {
        self.shared.changes.load(Ordering::Acquire)
    }

    /// Writes what lasts, if there is anything new; waits for the disk. Call it at the end.
    pub fn flush(&self) {
        if let Some(saver) = &self.saver {
            saver.save_now();
        }
    }
}

impl std::fmt::Debug for StoreShared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreShared")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl StoreShared {
    /// The state. Nothing that is done under the lock leaves it half done, so a panic of a holder changes nothing.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn touch(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }
}
