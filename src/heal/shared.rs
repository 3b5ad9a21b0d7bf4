//! The state of healing that its loop, its commands and its views share.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::{info, warn};

use super::control::Control;
use super::file::HistoryFile;
use super::history::History;
use super::log::Log;
use super::policy::Trigger;
use super::record::{HealEvent, HealRecord};
use super::time_anchor::TimeAnchor;
use crate::config::heal::HealLimits;
use crate::model::{Clock, Moment, ServiceKey};
use crate::store::Store;

/// The state of healing, and what it depends on.
pub struct Shared {
    pub store: Arc<Store>,
    pub clock: Arc<dyn Clock>,
    pub control: Arc<dyn Control>,
    pub procfs: PathBuf,
    pub is_disabled: bool,
    pub state: Mutex<State>,
    /// Locked while the file is written, which must not delay views.
    pub file: Mutex<Option<HistoryFile>>,
}

/// The state behind the lock.
pub struct State {
    pub history: History,
    pub limits: HealLimits,
    pub log: Log,
    pub can_save: bool,
    pub needs_saving: bool,
}

impl State {
    /// Records that a person paused or resumed healing.
    pub fn note_person(
        &mut self,
        service: Option<&ServiceKey>,
        event: HealEvent,
        by: &str,
        comment: &str,
        now: Moment,
    ) {
        let name = service.map_or("all services", ServiceKey::as_str);
        info!(service = name, by, comment, "healing {event}");
        if let Some(key) = service {
            let record = HealRecord {
                at: now,
                event,
                detail: by.to_owned(),
                cause: None,
                evidence: comment.to_owned(),
            };
            self.history.service(key).record(record);
        }
    }

    /// Adds a record to a service's history, and logs it.
    pub fn record(
        &mut self,
        key: &ServiceKey,
        event: HealEvent,
        detail: &str,
        trigger: Option<&Trigger>,
        text: &str,
        now: Moment,
    ) {
        let record = HealRecord {
            at: now,
            event,
            detail: detail.to_owned(),
            cause: trigger.map(|trigger| (trigger.check.clone(), trigger.runs, trigger.reason)),
            evidence: text.to_owned(),
        };
        self.log.write(key, &record);
        self.history.service(key).record(record);
        self.needs_saving = true;
    }
}

impl Shared {
    /// Locks the state. No change under the lock can be left incomplete, so poisoning is ignored.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the history and syncs it to the disk. Returns whether that succeeded.
    pub async fn save(self: &Arc<Self>) -> bool {
        let shared = Arc::clone(self);
        let saving = tokio::task::spawn_blocking(move || shared.save_now());
        saving.await.unwrap_or(false)
    }

    pub fn save_now(&self) -> bool {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(file) = file.as_mut() else {
            return false;
        };
        let history = {
            let mut state = self.state();
            state.needs_saving = false;
            state.history.clone()
        };
        // Read again, because the wall clock may have been set.
        let anchor = TimeAnchor::read(&*self.clock, &self.procfs);
        let result = file.write(&history, &anchor, self.clock.now());
        let mut state = self.state();
        let could_save = std::mem::replace(&mut state.can_save, result.is_ok());
        match &result {
            Ok(()) if could_save => {}
            Ok(()) => info!(file = %file.path().display(), "the history of healing is saved again"),
            Err(error) => {
                state.needs_saving = true;
                if could_save {
                    warn!(%error, "saving the history of healing failed; nothing is healed until a retry succeeds");
                }
            }
        }
        result.is_ok()
    }
}
