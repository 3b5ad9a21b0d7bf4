//! The results of all checks, the state file, and the immutable snapshots that metrics, pages and JSON are rendered from.
//!
//! One lock guards the state. Recording a run holds it for microseconds, regardless of the number of checks. A separate thread
//! writes the state file, so that a slow disk delays nothing.

mod check;
mod config_files;
mod encoding;
mod events;
mod file;
mod fingerprint;
mod heal_state;
mod health;
mod histogram;
mod impacts;
mod maintain;
mod native_histogram;
mod observation;
mod observe;
mod recent;
mod saved;
mod saver;
mod service;
mod shared;
pub mod snapshot;
mod state;
mod suppression;
mod unsaved;

#[cfg(test)]
pub mod test_clock;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use tokio::sync::{Notify, broadcast};

pub use check::CheckHandle;
pub use events::StatusEvent;
pub use fingerprint::Fnv;
pub use heal_state::{HealBudget, HealDecision, HealPause, HealState, LastAction};
pub use health::{CheckHealth, Health, ServiceHealth};
pub use histogram::{LAGS, RESPONSE_TIMES};
pub use observation::{Observation, ObservedChange, ResponseTotals, ServiceObservation};
pub use recent::{RECENT_RUNS, RecentRun, RecentRuns};
pub use snapshot::{CheckView, ExporterView, HistogramView, LastRun, NativeView, ServiceView, Snapshot};
pub use state::NextRun;

pub use crate::state_dir::{SaveError, StateDir, StateDirError};
pub use crate::verdict::{MAX_ROOTS, Run};

use crate::config::{CheckSettings, Config, ConfigFile};
use crate::model::{CheckId, Clock, Maintenance, Moment, Outcome, ServiceKey, WallAnchor};
use events::Event;
use file::StateFile;
use saved::SavedState;
use saver::Saver;
use shared::StoreShared;
use state::StoreState;
use suppression::MaintainedServices;

/// The state of every configured check and service.
#[derive(Debug)]
pub struct Store {
    shared: Arc<StoreShared>,
    saver: Option<Saver>,
    state_dir: Option<Arc<StateDir>>,
}

/// Counts a run as in progress until it is dropped.
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
    /// Opens a store without checks; [`Store::apply`] adds them. Saves its state in `state_dir`; without one, saves nothing.
    /// Also returns warnings about the saved state.
    ///
    /// # Errors
    /// If another exporter uses the directory. A directory that can't be read or written is only a warning: checks run all
    /// the same, and saving is retried.
    pub fn open(
        clock: Arc<dyn Clock>,
        state_dir: Option<PathBuf>,
    ) -> Result<(Arc<Self>, Vec<String>), StateDirError> {
        let wall = WallAnchor::new(&*clock);
        let now = clock.now();
        let state_dir = state_dir.map(StateDir::new);
        let (file, saved, warnings) = match &state_dir {
            Some(dir) => {
                let (file, saved, warnings) = StateFile::open(Arc::clone(dir), wall, now)?;
                (Some(file), saved, warnings)
            }
            None => (None, SavedState::default(), Vec::new()),
        };
        let shared = Arc::new(StoreShared::new(clock, wall, saved, now));
        let saver = file.map(|file| Saver::start(shared.clone(), file));
        let store = Self {
            shared,
            saver,
            state_dir,
        };
        Ok((Arc::new(store), warnings))
    }

    /// The state directory, for other parts that save files in it. They share its lock.
    pub fn state_dir(&self) -> Option<Arc<StateDir>> {
        self.state_dir.clone()
    }

    /// Counts response times in native histograms too. Called before the first configuration is applied.
    pub fn enable_native_histograms(&self) {
        self.shared.state().has_native_histograms = true;
    }

    /// Applies a configuration, at the start and on reload.
    pub fn apply(&self, config: &Config) {
        let now = self.shared.clock.now();
        let mut state = self.shared.state();
        let events = state.apply(config, now);
        self.finish(state, events);
        self.shared.changes.fetch_add(1, Ordering::AcqRel);
    }

    /// Records that a reload failed. The state of the files is unknown.
    pub fn reload_failed(&self) {
        self.shared.state().last_reload_successful = false;
        self.shared.touch();
    }

    /// Records the state of the configuration files at the last load, which failed if any of them is invalid. To apply the loaded
    /// configuration, call this first.
    pub fn record_config_files(&self, files: &[ConfigFile]) {
        self.shared.state().record_config_files(files);
        self.shared.touch();
    }

    /// Whether services may be missing, because a configuration file has errors.
    pub fn may_lack_services(&self) -> bool {
        !self.shared.state().are_files_valid()
    }

    /// Every configured check with its handle, which identifies its runs. A check whose settings change gets a new handle.
    pub fn handles(&self) -> Vec<(CheckId, CheckHandle, Arc<CheckSettings>)> {
        self.shared.state().handles()
    }

    /// Notifies when a check should run before its next tick, because a service that depends on its service failed, or a
    /// suppression ended. `None` if the check was
    /// removed or changed.
    pub fn wakeup(&self, handle: CheckHandle) -> Option<Arc<Notify>> {
        self.shared.state().wakeup(handle)
    }

    /// Records that a run starts, `lag` later than planned. The run counts as in progress until the result is dropped.
    pub fn run_started(self: &Arc<Self>, lag: Duration) -> InFlight {
        self.shared.lags.observe(lag);
        self.shared.in_flight.fetch_add(1, Ordering::Relaxed);
        self.shared.touch();
        InFlight { store: self.clone() }
    }

    /// Records a completed run, and how many ticks were missed because of it. Ignores the run if its check was removed or has
    /// other settings now.
    pub fn record(&self, handle: CheckHandle, run: Run, outcome: Outcome, missed: u64) -> NextRun {
        let outcome = Arc::new(outcome);
        let mut state = self.shared.state();
        let Some((next_run, event)) = state.record(handle, run, outcome, missed) else {
            return NextRun::default();
        };
        self.finish(state, event);
        next_run
    }

    /// Sets which services are in maintenance. During maintenance, no condition of a service becomes confirmed. Conditions that
    /// were confirmed before stay confirmed. When the maintenance ends, the tolerances count from the moment in `ended`, or from
    /// now if it has none. Unknown services are ignored until a configuration has them.
    pub fn set_maintenance(
        &self,
        active: BTreeMap<ServiceKey, Arc<Maintenance>>,
        ended: BTreeMap<ServiceKey, Moment>,
    ) {
        let now = self.shared.clock.now();
        let mut state = self.shared.state();
        if state.set_maintenance(MaintainedServices { active, ended }, now) {
            self.finish(state, []);
            self.shared.changes.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Detects changes caused by time alone: results that became stale, a wall clock that jumped.
    pub fn sweep(&self) {
        let now = self.shared.clock.now();
        let mut state = self.shared.state();
        let jumped = state.wall.update(&*self.shared.clock);
        if jumped {
            // All Unix times change.
            state.save_all();
        }
        state.record_sweep(now);
        let events = state.update_statuses(now);
        if jumped || !events.is_empty() {
            self.finish(state, events);
        }
    }

    /// Notifies subscribers and releases the lock. Then wakes the saver and logs, which must not happen under the lock.
    fn finish(&self, state: MutexGuard<'_, StoreState>, events: impl IntoIterator<Item = Event>) {
        let wall = state.wall;
        let needs_saving = state.needs_saving;
        let events: Vec<Event> = events.into_iter().collect();
        let subscribers = &self.shared.status_events;
        if subscribers.receiver_count() > 0 {
            // Under the lock, so that the changes of a service arrive in order. It takes a microsecond.
            for event in &events {
                if let Event::Status(change) = event {
                    // Fails if the last receiver has gone meanwhile.
                    let _ = subscribers.send(change.to_event(wall));
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

    /// Takes a snapshot of the current state.
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
                config_files: Arc::clone(&state.config_files),
                started: wall.seconds(state.started),
                scheduler_lag: self.shared.lags.view(wall.seconds(state.started)),
                runs_in_flight: self.shared.in_flight.load(Ordering::Relaxed),
                is_first_round_over: state.is_first_round_over(),
                state_saved: self.saver.as_ref().map(Saver::is_saved),
                history_saved: None,
                heal_budget: None,
            },
        }
    }

    /// Takes what happened to each service since the last call. For one observer, which calls it about once a second: a service keeps
    /// only its latest changes.
    pub fn observe(&self) -> Observation {
        self.sweep();
        let now = self.shared.clock.now();
        self.shared.state().observe(now)
    }

    /// The health of the services that can be healed.
    pub fn health(&self) -> Health {
        let now = self.shared.clock.now();
        self.shared.state().health(now)
    }

    /// The recent runs of each check of a service, in the order of the configuration. `None` if the service does not exist. They
    /// are not part of snapshots, which are copied for every scrape.
    pub fn recent_runs(&self, service: &str) -> Option<Vec<RecentRuns>> {
        let state = self.shared.state();
        let wall = state.wall;
        let found = state
            .services
            .iter()
            .find(|state| state.service.key.as_str() == service)?;
        Some(found.checks.iter().map(|check| check.recent.view(wall)).collect())
    }

    /// Receives every status change from now on. A receiver that lags by more than 256 changes loses the oldest ones. Its next
    /// `recv` reports how many.
    pub fn subscribe(&self) -> broadcast::Receiver<StatusEvent> {
        self.shared.status_events.subscribe()
    }

    /// Whether every check has run at least once.
    pub fn is_first_round_over(&self) -> bool {
        self.shared.state().is_first_round_over()
    }

    /// A number that changes whenever a snapshot differs from the previous one in more than its time. Stale results count once
    /// [`Store::sweep`] or [`Store::snapshot`] detects them.
    pub fn generation(&self) -> u64 {
        self.shared.generation.load(Ordering::Acquire)
    }

    /// A number that changes whenever the configuration, a status, the problem of a check or a maintenance changes.
    pub fn changes(&self) -> u64 {
        self.shared.changes.load(Ordering::Acquire)
    }

    /// Saves a complete copy of the state if anything changed since the last one, and waits for the disk. For the end of the exporter.
    pub fn flush(&self) {
        if let Some(saver) = &self.saver {
            saver.save_now();
        }
    }
}
