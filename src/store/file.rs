//! The state file, which is replaced atomically. Opening it locks the directory for one exporter at a time.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use super::saved::{self, SavedState};
use crate::model::{Moment, WallAnchor};
use crate::state_dir::{SaveError, SavedFile, StateDir, StateDirError};

/// The file. 100,000 checks need half of its maximum size.
const FILE: SavedFile = SavedFile {
    name: "state.json",
    max_bytes: 128 * 1024 * 1024,
    content: "the saved state",
    if_lost: "statuses and since-times start again, so alerts for ongoing failures wait for their tolerance again",
};

/// The mode bit that lets everybody write (inode(7)).
const OTHERS_WRITE: u32 = 0o002;

/// The state file.
#[derive(Debug)]
pub struct StateFile {
    dir: Arc<StateDir>,
}

impl StateFile {
    /// Locks the directory and reads the file. Also returns warnings for the operator.
    ///
    /// # Errors
    /// If another process uses the directory.
    pub fn open(
        dir: Arc<StateDir>,
        wall: WallAnchor,
        now: Moment,
    ) -> Result<(Self, SavedState, Vec<String>), StateDirError> {
        let mut warnings = Vec::new();
        match dir.take_lock() {
            Ok(()) => {}
            Err(SaveError::InUse(error)) => return Err(error),
            Err(error) => warnings.push(format!(
                "statuses, since-times and the history are lost on restart until this is fixed: {error}"
            )),
        }
        let file = Self { dir };
        if file.is_open_to_others() {
            warnings.push(format!(
                "everybody may write to the state directory {}, so other users can change statuses and since-times; \
                 run chmod o-w on it",
                file.dir.path().display()
            ));
        }
        let decode = |text: &[u8]| saved::decode(text, wall, now).map_err(|error| error.to_string());
        let (saved, warning) = file.dir.load(&FILE, decode);
        warnings.extend(warning);
        Ok((file, saved, warnings))
    }

    /// Whether every user of the machine may create files in the directory.
    fn is_open_to_others(&self) -> bool {
        let mode = fs::metadata(self.dir.path()).map(|found| found.permissions().mode());
        mode.is_ok_and(|mode| mode & OTHERS_WRITE != 0)
    }

    /// Atomically replaces the file with `state` and syncs it to the disk. After a crash at any time, the file is the old or the
    /// new one.
    ///
    /// # Errors
    /// If a step fails. The old file stays.
    pub fn write(&mut self, state: &SavedState, wall: WallAnchor, now: Moment) -> Result<(), SaveError> {
        let text = saved::encode(state, wall, now)?;
        self.dir.replace(FILE.name, &text)
    }

    /// The path of the file.
    pub fn path(&self) -> PathBuf {
        self.dir.path().join(FILE.name)
    }
}
