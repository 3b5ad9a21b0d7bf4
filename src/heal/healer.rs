//! Heals services in the background.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tracing::{error, warn};

use super::control::Control;
use super::file::HistoryFile;
use super::history::{History, Pause, ServiceHistory};
use super::log::Log;
use super::machine::Machine;
use super::record::HealEvent;
use super::shared::{Shared, State};
use super::time_anchor::TimeAnchor;
use super::view::{HealView, Times};
use crate::config::Config;
use crate::config::heal::HealLimits;
use crate::model::{Clock, LostTime, ServiceKey};
use crate::store::Store;

/// The time between two rounds of decisions.
const ROUND: Duration = Duration::from_secs(1);

/// The time between two attempts to save changes that no action waits for.
const SAVE_GAP: Duration = Duration::from_secs(5);

/// The time until the next round after one that panicked. The panic hook prints each panic.
const PANIC_PAUSE: Duration = Duration::from_secs(60);

/// Everything that healing depends on.
pub struct HealSetup {
    /// The results of the checks.
    pub store: Arc<Store>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Acts on units and containers.
    pub control: Arc<dyn Control>,
    /// The directory of the history file. Without one, nothing is done but in dry runs.
    pub state_dir: Option<PathBuf>,
    /// Where the proc file system is mounted.
    pub procfs: PathBuf,
    /// The time that the exporter loses.
    pub lost: Arc<LostTime>,
    /// Whether the flag `--no-heal` is set.
    pub is_disabled: bool,
}

/// Heals services. Dropping it ends the loop.
pub struct Healer {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Healer {
    /// Reads the history and starts the loop on `runtime`.
    pub fn start(runtime: &Handle, setup: HealSetup) -> Self {
        let now = setup.clock.now();
        let anchor = TimeAnchor::read(&*setup.clock, &setup.procfs);
        let (file, history) = match setup.state_dir {
            Some(dir) => {
                let (file, history, warnings) = HistoryFile::open(dir, &anchor, now);
                for warning in warnings {
                    warn!("{warning}");
                }
                (Some(file), history)
            }
            None => (None, History::default()),
        };
        let shared = Arc::new(Shared {
            store: setup.store,
            clock: setup.clock,
            control: setup.control,
            procfs: setup.procfs.clone(),
            is_disabled: setup.is_disabled,
            state: Mutex::new(State {
                history,
                limits: HealLimits::default(),
                log: Log::default(),
                can_save: file.is_some(),
                needs_saving: false,
            }),
            file: Mutex::new(file),
        });
        let machine = Machine::new(&setup.procfs, setup.lost);
        let task = runtime.spawn(run(Arc::clone(&shared), machine));
        Self { shared, task }
    }

    /// Applies a configuration, at the start and on reload. The store must have it already.
    pub fn apply(&self, config: &Config) {
        let services = config.services.iter();
        let configured: HashMap<&ServiceKey, bool> = services
            .map(|service| (&service.key, service.heal.is_some()))
            .collect();
        let is_healed = |key: &ServiceKey| configured.get(key) == Some(&true);
        // A service in a file with errors was not removed: healing that gave up on it does not resume when the file is fixed.
        let may_lack_services = self.shared.store.may_lack_services();
        let is_configured = |key: &ServiceKey| may_lack_services || configured.contains_key(key);
        let now = self.shared.clock.now();
        let mut state = self.shared.state();
        state.limits = config.heal;
        state.history.clean(is_healed, is_configured, now);
        state.log.clean(is_healed);
    }

    /// Writes the history. Blocks until it is on the disk, and returns whether that succeeded.
    pub(super) fn save_now(&self) -> bool {
        self.shared.save_now()
    }

    pub(super) fn times(&self) -> Times {
        Times {
            now: self.shared.clock.now(),
            wall: self.shared.clock.wall_nanos(),
        }
    }

    /// The current state.
    pub fn view(&self) -> HealView {
        let shared = &self.shared;
        let health = shared.store.health();
        let times = self.times();
        let state = shared.state();
        HealView {
            is_disabled: shared.is_disabled,
            cannot_save: !state.can_save,
            ..HealView::new(&health, &state.history, &state.log, state.limits, times)
        }
    }

    /// Pauses a service, or all of them, until `until` or until a person resumes.
    pub fn pause(&self, service: Option<&ServiceKey>, pause_for: Option<Duration>, by: &str, comment: &str) {
        let now = self.shared.clock.now();
        let pause = Pause {
            since: now,
            until: pause_for.map(|time| now + time),
            by: by.to_owned(),
            comment: comment.to_owned(),
        };
        let mut state = self.shared.state();
        state.note_person(service, HealEvent::Paused, by, comment, now);
        match service {
            Some(key) => state.history.service(key).pause = Some(pause),
            None => state.history.pause = Some(pause),
        }
        state.needs_saving = true;
    }

    /// Ends the pause of a service, or all pauses. Services for which healing gave up are healed again.
    pub fn resume(&self, service: Option<&ServiceKey>, by: &str) {
        let now = self.shared.clock.now();
        let mut state = self.shared.state();
        state.note_person(service, HealEvent::Resumed, by, "", now);
        match service {
            Some(key) => state.history.service(key).resume(),
            None => {
                state.history.pause = None;
                state
                    .history
                    .services
                    .values_mut()
                    .for_each(ServiceHistory::resume);
            }
        }
        state.needs_saving = true;
    }

    /// Saves the history. For commands that must not return before.
    pub async fn save(&self) -> bool {
        self.shared.save().await
    }

    /// Ends the loop and saves the history. An action in progress may continue in systemd.
    pub async fn stop(&self) {
        self.task.abort();
        if self.shared.state().needs_saving {
            self.shared.save().await;
        }
        // Unlocks the directory, even if an action in progress still holds the shared state. A write that hangs holds the lock.
        if let Ok(mut file) = self.shared.file.try_lock() {
            *file = None;
        }
    }
}

impl Drop for Healer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Decides once a second. A panic ends the round, but not healing.
async fn run(shared: Arc<Shared>, mut machine: Machine) {
    let mut rounds = tokio::time::interval(ROUND);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut saved = shared.clock.now();
    loop {
        rounds.tick().await;
        let round = AssertUnwindSafe(shared.round(&mut machine)).catch_unwind().await;
        if round.is_err() {
            error!(
                pause = ?PANIC_PAUSE,
                "a round of healing panicked, which is a bug in the exporter; healing continues after a pause"
            );
            rounds.reset_after(PANIC_PAUSE);
        }
        let now = shared.clock.now();
        let has_changed = shared.state().needs_saving;
        if has_changed && now.since(saved) >= SAVE_GAP {
            shared.save().await;
            saved = shared.clock.now();
        }
    }
}
