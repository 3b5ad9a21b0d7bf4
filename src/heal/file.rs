//! The file `heal.json` of the state directory, with the history of healing. It is written before every action.

use std::path::PathBuf;

use super::encoding::{decode, decode_pauses, encode};
use super::history::{History, Pause};
use super::time_anchor::TimeAnchor;
use crate::model::Moment;
use crate::state_dir::{SaveError, StateDir, StateDirError};

const FILE: &str = "heal.json";
const LOCK: &str = "heal.lock";

/// The maximum size of the file in bytes. 10,000 services with full histories need less.
const MAX_BYTES: u64 = 256 * 1024 * 1024;

/// The history file and its lock, which excludes another exporter with the same directory.
#[derive(Debug)]
pub struct HistoryFile {
    dir: StateDir,
    /// Another exporter held the lock when this one read the file. What was read may be old, so it is never written.
    is_foreign: bool,
}

impl HistoryFile {
    /// Reads the file in `dir`. Also returns warnings for the operator. If the file can't be used, budgets count as spent.
    pub fn open(dir: PathBuf, anchor: &TimeAnchor, now: Moment) -> (Self, History, Vec<String>) {
        let mut file = Self {
            dir: StateDir::with_lock(dir, LOCK),
            is_foreign: false,
        };
        let mut warnings = Vec::new();
        // Other errors are reported by the first write, because most exporters heal nothing.
        if let Err(error @ SaveError::InUse(_)) = file.dir.take_lock() {
            file.is_foreign = true;
            warnings.push(format!(
                "nothing is healed until the exporter is restarted: {error}"
            ));
        }
        let mut history = match file.read(anchor, now) {
            Ok(history) => history,
            Err(Unusable { reason, pauses }) => {
                let action = file.dir.set_aside(FILE);
                warnings.push(format!(
                    "the history of healing {} can't be used: {reason}; {action}; nothing is healed for an hour, because the \
                     budget may be spent",
                    file.path().display()
                ));
                let pauses = pauses.map(|pauses| *pauses).unwrap_or_else(|| {
                    warnings.push(
                        "the saved pauses of healing are lost; all services are paused: run `upkeep_exporter heal resume`"
                            .to_owned(),
                    );
                    pause_of_all(now)
                });
                History::lost(pauses, now)
            }
        };
        history.end_interrupted(now);
        (file, history, warnings)
    }

    fn read(&self, anchor: &TimeAnchor, now: Moment) -> Result<History, Unusable> {
        match self.dir.read(FILE, MAX_BYTES) {
            Ok(None) => Ok(History::default()),
            Ok(Some(text)) => decode(&text, anchor, now).map_err(|error| Unusable {
                reason: error.to_string(),
                pauses: decode_pauses(&text, anchor, now).map(Box::new),
            }),
            // Without a directory, there was no file. The first write reports why.
            Err(reason) => Err(Unusable {
                reason,
                pauses: (!self.dir.path().is_dir()).then(Box::default),
            }),
        }
    }

    /// Atomically replaces the file and syncs it to the disk.
    ///
    /// # Errors
    /// If a step fails. The old file stays.
    pub fn write(&mut self, history: &History, anchor: &TimeAnchor, now: Moment) -> Result<(), SaveError> {
        if self.is_foreign {
            let dir = self.dir.path().to_owned();
            return Err(StateDirError::InUse { dir }.into());
        }
        let text = encode(history, anchor, now)?;
        self.dir.replace(FILE, &text)
    }

    /// The path of the file.
    pub fn path(&self) -> PathBuf {
        self.dir.path().join(FILE)
    }
}

/// A file that can't be used.
struct Unusable {
    reason: String,
    /// Its pauses, if they can be read.
    pauses: Option<Box<History>>,
}

/// A pause of all services, because a person may have paused any of them.
fn pause_of_all(now: Moment) -> History {
    History {
        pause: Some(Pause {
            since: now,
            until: None,
            by: "upkeep_exporter".to_owned(),
            comment: "the saved pauses could not be read".to_owned(),
        }),
        ..History::default()
    }
}
