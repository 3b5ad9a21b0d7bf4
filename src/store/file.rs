//! The state file, which is replaced atomically, and the lock for one exporter at a time.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::saved::{self, SavedState};
use crate::model::{Moment, WallAnchor};
use crate::state_dir::{self, SaveError, StateDirError};

const FILE: &str = "state.json";
const LOCK: &str = "state.lock";

/// The maximum size of a state file in bytes. 100,000 checks need half of it.
const MAX_BYTES: u64 = 128 * 1024 * 1024;

/// The mode bit that lets everybody write (inode(7)).
const OTHERS_WRITE: u32 = 0o002;

/// The state file and the lock of its directory.
#[derive(Debug)]
pub struct StateFile {
    dir: PathBuf,
    lock: Option<File>,
}

impl StateFile {
    /// Locks the directory and reads the file. Also returns warnings for the operator.
    ///
    /// # Errors
    /// If another process uses the directory.
    pub fn open(
        dir: PathBuf,
        wall: WallAnchor,
        now: Moment,
    ) -> Result<(Self, SavedState, Vec<String>), StateDirError> {
        let mut warnings = Vec::new();
        let mut file = Self { dir, lock: None };
        match file.take_lock() {
            Ok(()) => {}
            Err(SaveError::InUse(error)) => return Err(error),
            Err(error) => warnings.push(format!(
                "statuses and since-times are lost on restart until this is fixed: {error}"
            )),
        }
        if file.is_open_to_others() {
            warnings.push(format!(
                "everybody may write to the state directory {}, so other users can change statuses and since-times; \
                 run chmod o-w on it",
                file.dir.display()
            ));
        }
        let saved = file.read(wall, now).unwrap_or_else(|reason| {
            warnings.push(file.set_aside(&reason));
            SavedState::default()
        });
        Ok((file, saved, warnings))
    }

    /// Locks the directory. The lock ends with the process, even after a crash.
    fn take_lock(&mut self) -> Result<(), SaveError> {
        if self.lock.is_none() {
            self.lock = Some(state_dir::lock(&self.dir, LOCK)?);
        }
        Ok(())
    }

    /// Whether every user of the machine may create files in the directory.
    fn is_open_to_others(&self) -> bool {
        let mode = fs::metadata(&self.dir).map(|found| found.permissions().mode());
        mode.is_ok_and(|mode| mode & OTHERS_WRITE != 0)
    }

    /// Reads the file. A missing file is an empty state.
    fn read(&self, wall: WallAnchor, now: Moment) -> Result<SavedState, String> {
        let Some(text) = state_dir::read(&self.dir, FILE, MAX_BYTES)? else {
            return Ok(SavedState::default());
        };
        saved::decode(&text, wall, now).map_err(|error| error.to_string())
    }

    /// Moves a broken file aside, and returns a warning.
    fn set_aside(&self, reason: &str) -> String {
        let action = state_dir::set_aside(&self.dir, FILE);
        format!(
            "the saved state {} can't be used: {reason}; {action}; statuses and since-times start again, so alerts for \
             ongoing failures wait for their tolerance again",
            self.path().display()
        )
    }

    /// Atomically replaces the file with `state` and syncs it to the disk. After a crash at any time, the file is the old or the
    /// new one.
    ///
    /// # Errors
    /// If a step fails. The old file stays.
    pub fn write(&mut self, state: &SavedState, wall: WallAnchor, now: Moment) -> Result<(), SaveError> {
        self.take_lock()?;
        let text = saved::encode(state, wall, now)?;
        state_dir::replace(&self.dir, FILE, &text)
    }

    /// The path of the file.
    pub fn path(&self) -> PathBuf {
        self.dir.join(FILE)
    }
}
