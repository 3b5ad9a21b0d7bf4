//! The state directory: one exporter's at a time, one file in it, replaced whole or not at all. What others put into the
//! directory leads to no other file and blocks nothing: links are not followed, and only regular files are opened.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::saved::{self, SavedState};
use super::walltime::WallAnchor;
use crate::model::Moment;

const FILE: &str = "state.json";
const TEMPORARY: &str = "state.json.tmp";
const LOCK: &str = "state.lock";
const BROKEN: &str = "state.json.broken-";

/// How many files that could not be used are kept.
const MAX_BROKEN: u64 = 5;

/// The largest file that is read, in bytes; a hundred thousand checks need half of it.
const MAX_BYTES: u64 = 128 * 1024 * 1024;

/// Flags of open(2) for a file whose name somebody else may have taken: a link at its end is an error, and a pipe does not
/// block.
const SAFELY: OFlags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK);

/// The mode bit by which everybody may write (inode(7)).
const OTHERS_WRITE: u32 = 0o002;

/// Why the exporter does not start with a state directory.
#[derive(Debug, thiserror::Error)]
pub enum StateDirError {
    /// Another exporter holds the lock.
    #[error(
        "the state directory {} is in use by another process: give each exporter a --state.dir of its own",
        dir.display()
    )]
    InUse {
        /// The directory.
        dir: PathBuf,
    },
}

/// Why the state could not be saved.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// A file operation failed.
    #[error("{attempt} {}: {cause}", path.display())]
    Io {
        /// What was attempted.
        attempt: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Another exporter has taken the directory.
    #[error(transparent)]
    InUse(#[from] StateDirError),
    /// The state could not be written as JSON.
    #[error("encoding the state: {0}")]
    Encode(#[from] serde_json::Error),
}

fn failed(attempt: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SaveError {
    let path = path.to_owned();
    move |cause| SaveError::Io { attempt, path, cause }
}

/// Opens a file that is there or, where the options say so, makes it; nothing but a regular file.
fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let file = options.custom_flags(SAFELY.bits().cast_signed()).open(path);
    let file = file.map_err(|error| match Errno::from_io_error(&error) {
        // open(2): a link at the end of the path; a pipe that nobody reads.
        Some(Errno::LOOP) => io::Error::other("it is a symbolic link, which is not followed"),
        Some(Errno::NXIO) => not_regular(),
        _ => error,
    })?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(not_regular()),
    }
}

fn not_regular() -> io::Error {
    io::Error::other("it is not a regular file")
}

/// The state file in its directory, and the lock on the latter.
#[derive(Debug)]
pub struct StateFile {
    dir: PathBuf,
    lock: Option<File>,
}

impl StateFile {
    /// Takes the directory and reads what is there. Also gives what the operator should know, one line each.
    ///
    /// # Errors
    /// Only when another process uses the directory.
    pub fn open(
        dir: PathBuf,
        wall: WallAnchor,
        now: Moment,
    ) -> Result<(Self, SavedState, Vec<String>), StateDirError> {
        let mut notices = Vec::new();
        let mut file = Self { dir, lock: None };
        match file.take_lock() {
            Ok(()) => {}
            Err(SaveError::InUse(error)) => return Err(error),
            Err(error) => notices.push(format!(
                "since-times and statuses will not survive a restart until this is mended: {error}"
            )),
        }
        if file.is_open_to_others() {
            notices.push(format!(
                "everybody may write to the state directory {}, so others can change statuses and since-times: \
                 run chmod o-w on it",
                file.dir.display()
            ));
        }
        let kept = file.read(wall, now).unwrap_or_else(|reason| {
            notices.push(file.set_aside(&reason));
            SavedState::default()
        });
        Ok((file, kept, notices))
    }

    /// Makes the directory where it is missing, and locks it. The lock ends with the process, however that ends.
    fn take_lock(&mut self) -> Result<(), SaveError> {
        if self.lock.is_some() {
            return Ok(());
        }
        fs::create_dir_all(&self.dir).map_err(failed("creating the state directory", &self.dir))?;
        let path = self.dir.join(LOCK);
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600);
        let file = open(&path, &mut options).map_err(failed("opening the lock file", &path))?;
        match file.try_lock() {
            Ok(()) => {
                self.lock = Some(file);
                Ok(())
            }
            Err(TryLockError::WouldBlock) => Err(StateDirError::InUse {
                dir: self.dir.clone(),
            }
            .into()),
            Err(TryLockError::Error(cause)) => Err(failed("locking", &path)(cause)),
        }
    }

    /// Whether every user of the machine may put files into the directory.
    fn is_open_to_others(&self) -> bool {
        let mode = fs::metadata(&self.dir).map(|found| found.permissions().mode());
        mode.is_ok_and(|mode| mode & OTHERS_WRITE != 0)
    }

    /// What the file holds; nothing where there is none.
    fn read(&self, wall: WallAnchor, now: Moment) -> Result<SavedState, String> {
        let file = match open(&self.dir.join(FILE), OpenOptions::new().read(true)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(SavedState::default()),
            opened => opened.map_err(|error| error.to_string())?,
        };
        let mut text = Vec::new();
        let read = file.take(MAX_BYTES + 1).read_to_end(&mut text);
        read.map_err(|error| error.to_string())?;
        if text.len() as u64 > MAX_BYTES {
            return Err(format!("it is larger than {MAX_BYTES} bytes"));
        }
        saved::decode(&text, wall, now).map_err(|error| error.to_string())
    }

    /// Moves a file that can't be used aside, and says so.
    fn set_aside(&self, reason: &str) -> String {
        let path = self.dir.join(FILE);
        let mut numbers = self.broken();
        let next = numbers.last().map_or(1, |last| last.saturating_add(1));
        numbers.push(next);
        let aside = self.dir.join(format!("{BROKEN}{next}"));
        let what = match fs::rename(&path, &aside) {
            Ok(()) => format!("it is now {}", aside.display()),
            Err(error) => format!("moving it aside failed too ({error})"),
        };
        let surplus = numbers.len().saturating_sub(MAX_BROKEN as usize);
        for number in &numbers[..surplus] {
            // One file too many does no harm.
            let _ = fs::remove_file(self.dir.join(format!("{BROKEN}{number}")));
        }
        format!(
            "the saved state {} can't be used: {reason}; {what}; every status and since-time begins anew, \
             so a failure that was under way waits for its tolerance again",
            path.display()
        )
    }

    /// The numbers of the files that were moved aside, rising.
    fn broken(&self) -> Vec<u64> {
        let mut numbers: Vec<u64> = fs::read_dir(&self.dir)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.strip_prefix(BROKEN)?.parse().ok())
            .collect();
        numbers.sort_unstable();
        numbers
    }

    /// Replaces the file by one that holds `kept`; when this returns, that is on the disk. A reader, and a crash at any
    /// moment, see the old file or the new one.
    ///
    /// # Errors
    /// Which step failed; the old file is then still there.
    pub fn write(&mut self, kept: &SavedState, wall: WallAnchor, now: Moment) -> Result<(), SaveError> {
        self.take_lock()?;
        let text = saved::encode(kept, wall, now)?;
        let temporary = self.dir.join(TEMPORARY);
        // What an earlier process left, or somebody else put there. It is not opened: it may lead somewhere else, or block.
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed("removing", &temporary)(error));
            }
            _ => {}
        }
        let mut options = OpenOptions::new();
        let created = options.write(true).create_new(true).mode(0o600).open(&temporary);
        let mut file = created.map_err(failed("creating", &temporary))?;
        let written = file.write_all(&text).and_then(|()| file.sync_all());
        if let Err(cause) = written {
            // What is left of it would take space that may be what is lacking.
            let _ = fs::remove_file(&temporary);
            return Err(failed("writing", &temporary)(cause));
        }
        let path = self.dir.join(FILE);
        fs::rename(&temporary, &path).map_err(failed("replacing", &path))?;
        // Only a synced directory keeps the new name over a crash of the machine.
        let mut options = OpenOptions::new();
        options
            .read(true)
            .custom_flags(OFlags::DIRECTORY.bits().cast_signed());
        options
            .open(&self.dir)
            .and_then(|dir| dir.sync_all())
            .map_err(failed("syncing", &self.dir))
    }

    /// The file that is written.
    pub fn path(&self) -> PathBuf {
        self.dir.join(FILE)
    }
}
