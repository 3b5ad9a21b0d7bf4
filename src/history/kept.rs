//! The history in memory, which the recording writes and the readers read.

use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::recorder::Recorder;
use super::strips::Strips;
use crate::model::Clock;

/// The history in memory.
pub struct Kept {
    pub clock: Arc<dyn Clock>,
    recorder: Mutex<Recorder>,
    /// Whether there is a state directory.
    pub is_stored: bool,
    /// Whether the last save succeeded; true before the first one.
    pub has_save_succeeded: AtomicBool,
    /// What the overview shows, which is computed for all services at once.
    pub strips: Mutex<Option<Strips>>,
}

impl Kept {
    /// Keeps a history. `is_stored` is whether it is also saved.
    pub fn new(recorder: Recorder, clock: Arc<dyn Clock>, is_stored: bool) -> Self {
        Self {
            clock,
            recorder: Mutex::new(recorder),
            is_stored,
            has_save_succeeded: AtomicBool::new(true),
            strips: Mutex::new(None),
        }
    }

    /// Locks the history. No change under the lock can be left incomplete, so poisoning is ignored.
    pub fn recorder(&self) -> MutexGuard<'_, Recorder> {
        self.recorder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The Unix time in milliseconds.
    pub fn now_millis(&self) -> i64 {
        self.clock.wall_nanos().div_euclid(1_000_000)
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").finish_non_exhaustive()
    }
}
