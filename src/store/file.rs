//! The files of the state: a complete copy, which is replaced atomically, and a log of the services that changed since then, which is
//! appended to. Opening them locks the directory for one exporter at a time.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::sync::Arc;

use super::encoding::{decode_copy, encode_copy, encode_header, encode_record, replay};
use super::saved::SavedState;
use crate::model::{Moment, WallAnchor};
use crate::state_dir::{Appended, SaveError, SavedFile, StateDir, StateDirError, failed};

/// The copy. That of 100,000 checks has half of its maximum size.
const COPY: SavedFile = SavedFile {
    name: "state.json",
    max_bytes: 128 * 1024 * 1024,
    content: "the saved state",
    if_lost: "statuses and since-times start again, so alerts for ongoing failures wait for their tolerance again",
};

/// The log.
const LOG: &str = "state.log";

/// The maximum size of a log that is read, in bytes. A log that is as large as its copy gets one more record, which may have all services.
const MAX_LOG_BYTES: u64 = 2 * COPY.max_bytes;

/// A log may have this size in bytes, even if the copy is smaller. Otherwise a few services that change all the time would need a copy for
/// every other record.
const SMALL_LOG: u64 = 256 * 1024;

/// The mode bit that lets everybody write (inode(7)).
const OTHERS_WRITE: u32 = 0o002;

/// The state files.
#[derive(Debug)]
pub struct StateFile {
    dir: Arc<StateDir>,
    /// What this process saved. `None` if the next save must write a copy: nothing is saved yet, or the last save failed.
    written: Option<Written>,
    /// The log that was read can't be used. It is moved aside when a copy replaces it, because its records before the damage are used.
    is_log_broken: bool,
}

/// A copy that this process wrote, and its log.
#[derive(Debug)]
struct Written {
    /// The checksum of the copy.
    checksum: u64,
    /// The size of the copy in bytes.
    length: u64,
    /// What tells the file of the copy from another one.
    identity: Identity,
    /// The log. `None` if nothing changed since the copy.
    log: Option<Log>,
}

/// The number of a file in its file system, and when the file last changed. A number is used again after its file was removed.
type Identity = (u64, i64, i64);

fn identity(found: &Metadata) -> Identity {
    (found.ino(), found.ctime(), found.ctime_nsec())
}

#[derive(Debug)]
struct Log {
    file: Appended,
    /// The checksum of its last line.
    checksum: u64,
}

impl StateFile {
    /// Locks the directory and reads the files. Also returns warnings for the operator.
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
                "statuses, since-times, the history, heartbeats and maintenance windows are lost on restart until this is fixed: {error}"
            )),
        }
        let mut file = Self {
            dir,
            written: None,
            is_log_broken: false,
        };
        if file.is_open_to_others() {
            warnings.push(format!(
                "everybody may write to the state directory {}, so other users can change statuses and since-times; \
                 run chmod o-w on it",
                file.dir.path().display()
            ));
        }
        let saved = file.read(wall, now, &mut warnings);
        Ok((file, saved, warnings))
    }

    /// Whether every user of the machine may create files in the directory.
    fn is_open_to_others(&self) -> bool {
        let mode = fs::metadata(self.dir.path()).map(|found| found.permissions().mode());
        mode.is_ok_and(|mode| mode & OTHERS_WRITE != 0)
    }

    /// Reads the files. Missing files are an empty state.
    fn read(&mut self, wall: WallAnchor, now: Moment, warnings: &mut Vec<String>) -> SavedState {
        let (mut saved, checksum) = match self.read_copy(wall, now) {
            Ok(read) => read,
            Err(reason) => {
                self.is_log_broken = true;
                warnings.push(self.dir.reject(&COPY, &reason));
                return SavedState::default();
            }
        };
        // Without a checksum, a version that does not know the log wrote the copy. So the log is older.
        if let Some(checksum) = checksum
            && let Err(reason) = self.read_log(checksum, &mut saved, wall, now)
        {
            self.is_log_broken = true;
            warnings.push(format!(
                "the last changes of the saved state, in {}, can't be used: {reason}; the changes before that are used; the file is \
                 moved aside to {LOG}.broken-1 (or a higher number) as soon as the state is saved; since-times of the other changes \
                 start again",
                self.dir.path().join(LOG).display()
            ));
        }
        saved
    }

    fn read_copy(&self, wall: WallAnchor, now: Moment) -> Result<(SavedState, Option<u64>), String> {
        let Some(text) = self.dir.read(COPY.name, COPY.max_bytes)? else {
            return Ok((SavedState::default(), None));
        };
        decode_copy(&text, wall, now).map_err(|error| error.to_string())
    }

    /// Applies the log of the copy with this checksum.
    fn read_log(
        &self,
        copy: u64,
        saved: &mut SavedState,
        wall: WallAnchor,
        now: Moment,
    ) -> Result<(), String> {
        match self.dir.read(LOG, MAX_LOG_BYTES)? {
            Some(text) => replay(&text, copy, saved, wall, now).map_err(|error| error.to_string()),
            None => Ok(()),
        }
    }

    /// Whether the next save must write a copy.
    pub fn needs_copy(&self) -> bool {
        let Some(written) = &self.written else {
            return true;
        };
        // Somebody may have removed or replaced the files.
        let is_copy_there =
            fs::symlink_metadata(self.path()).is_ok_and(|found| identity(&found) == written.identity);
        let is_log_usable = written
            .log
            .as_ref()
            .is_none_or(|log| log.file.length() <= written.length.max(SMALL_LOG) && log.file.is_there());
        !is_copy_there || !is_log_usable
    }

    /// Whether there are changes since the copy that this process wrote.
    pub fn has_log(&self) -> bool {
        self.written.as_ref().is_some_and(|written| written.log.is_some())
    }

    /// Atomically replaces the copy by `state`, syncs it to the disk, and removes the log. After a crash at any time, the old copy with its
    /// log or the new copy is read.
    ///
    /// # Errors
    /// If a step fails. The old copy and its log stay, or the new copy is complete.
    pub fn write_copy(&mut self, state: &SavedState, wall: WallAnchor, now: Moment) -> Result<(), SaveError> {
        self.written = None;
        let (text, checksum) = encode_copy(state, wall, now)?;
        self.dir.replace(COPY.name, &text)?;
        let path = self.path();
        let found = fs::symlink_metadata(&path).map_err(failed("querying", &path))?;
        self.remove_log();
        self.written = Some(Written {
            checksum,
            length: text.len() as u64,
            identity: identity(&found),
            log: None,
        });
        Ok(())
    }

    /// Removes the log of the copy before. If that fails, it is ignored when it is read.
    fn remove_log(&mut self) {
        let path = self.dir.path().join(LOG);
        if std::mem::take(&mut self.is_log_broken) && path.symlink_metadata().is_ok() {
            self.dir.set_aside(LOG);
        } else {
            let _ = fs::remove_file(path);
        }
    }

    /// Appends services that changed to the log, and syncs it to the disk. If [`StateFile::needs_copy`], write a copy instead.
    ///
    /// # Errors
    /// If a step fails. The services are not saved then, and the next save must write a copy.
    pub fn append(&mut self, changed: &SavedState, wall: WallAnchor) -> Result<(), SaveError> {
        let path = self.dir.path().join(LOG);
        let Some(mut written) = self.written.take() else {
            let cause = io::Error::other("its copy was not written");
            return Err(failed("appending to", &path)(cause));
        };
        written.log = Some(match written.log {
            Some(log) => {
                self.dir.take_lock()?;
                log.append(changed, wall)?
            }
            None => Log::create(&self.dir, written.checksum, changed, wall)?,
        });
        self.written = Some(written);
        Ok(())
    }

    /// The path of the copy.
    pub fn path(&self) -> PathBuf {
        self.dir.path().join(COPY.name)
    }
}

impl Log {
    /// Atomically creates a log that belongs to the copy with this checksum, with one record.
    fn create(dir: &StateDir, copy: u64, changed: &SavedState, wall: WallAnchor) -> Result<Self, SaveError> {
        let header = encode_header(copy)?;
        let record = encode_record(header.checksum, changed, wall)?;
        let bytes = [header.bytes, record.bytes].concat();
        dir.replace(LOG, &bytes)?;
        Ok(Self {
            file: Appended::new(dir.path().join(LOG), bytes.len() as u64),
            checksum: record.checksum,
        })
    }

    fn append(mut self, changed: &SavedState, wall: WallAnchor) -> Result<Self, SaveError> {
        let record = encode_record(self.checksum, changed, wall)?;
        self.file.append(&record.bytes)?;
        self.checksum = record.checksum;
        Ok(self)
    }
}

#[cfg(test)]
mod tests;
