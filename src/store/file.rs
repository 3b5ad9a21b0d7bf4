//! The state directory: a lock for one exporter at a time, and the state file, which is replaced atomically. Other users may
//! create files in the directory, so links are not followed, and only regular files are opened.

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

/// The maximum number of broken files. Older ones are removed.
const MAX_BROKEN: u64 = 5;

/// The maximum size of a state file in bytes. 100,000 checks need half of it.
const MAX_BYTES: u64 = 128 * 1024 * 1024;

/// Flags of open(2) for a path that somebody else may have created: a symbolic link is an error, and a pipe does not block.
const SAFELY: OFlags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK);

/// The mode bit that lets everybody write (inode(7)).
const OTHERS_WRITE: u32 = 0o002;

/// The state directory can't be used.
#[derive(Debug, thiserror::Error)]
pub enum StateDirError {
    /// Another exporter holds the lock.
    #[error(
        "the state directory {} is in use by another process; use a different --state.dir for each exporter",
        dir.display()
    )]
    InUse {
        /// The directory.
        dir: PathBuf,
    },
}

/// The state can't be saved.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// A file operation failed.
    #[error("{attempt} {}: {cause}", path.display())]
    Io {
        /// The attempted operation.
        attempt: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the system.
        cause: io::Error,
    },
    /// Another exporter uses the directory.
    #[error(transparent)]
    InUse(#[from] StateDirError),
    /// The state can't be encoded as JSON.
    #[error("encoding the state: {0}")]
    Encode(#[from] serde_json::Error),
}

fn failed(attempt: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SaveError {
    let path = path.to_owned();
    move |cause| SaveError::Io { attempt, path, cause }
}

/// Opens a regular file, or creates it if the options say so.
fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let file = options.custom_flags(SAFELY.bits().cast_signed()).open(path);
    let file = file.map_err(|error| match Errno::from_io_error(&error) {
        // open(2): ELOOP is a link at the end of the path, ENXIO a pipe without a reader.
        Some(Errno::LOOP) => io::Error::other("it is a symbolic link, and links are not followed"),
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

    /// Creates the directory if it is missing, and locks it. The lock ends with the process, even after a crash.
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

    /// Whether every user of the machine may create files in the directory.
    fn is_open_to_others(&self) -> bool {
        let mode = fs::metadata(&self.dir).map(|found| found.permissions().mode());
        mode.is_ok_and(|mode| mode & OTHERS_WRITE != 0)
    }

    /// Reads the file. A missing file is an empty state.
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

    /// Moves a broken file aside, and returns a warning.
    fn set_aside(&self, reason: &str) -> String {
        let path = self.dir.join(FILE);
        let mut numbers = self.broken();
        let next = numbers.last().map_or(1, |last| last.saturating_add(1));
        numbers.push(next);
        let aside = self.dir.join(format!("{BROKEN}{next}"));
        let action = match fs::rename(&path, &aside) {
            Ok(()) => format!("it was moved to {}", aside.display()),
            Err(error) => format!("moving it aside failed too: {error}"),
        };
        let surplus = numbers.len().saturating_sub(MAX_BROKEN as usize);
        for number in &numbers[..surplus] {
            // A surplus file does no harm.
            let _ = fs::remove_file(self.dir.join(format!("{BROKEN}{number}")));
        }
        format!(
            "the saved state {} can't be used: {reason}; {action}; statuses and since-times start again, so alerts for \
             ongoing failures wait for their tolerance again",
            path.display()
        )
    }

    /// The numbers of the broken files, in ascending order.
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

    /// Atomically replaces the file with `state` and syncs it to the disk. After a crash at any time, the file is the old or the
    /// new one.
    ///
    /// # Errors
    /// If a step fails. The old file stays.
    pub fn write(&mut self, state: &SavedState, wall: WallAnchor, now: Moment) -> Result<(), SaveError> {
        self.take_lock()?;
        let text = saved::encode(state, wall, now)?;
        let temporary = self.dir.join(TEMPORARY);
        // An earlier process or another user may have created it. Opening it is unsafe: it may be a link or a pipe.
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
            // Free the space. If that fails too, report only the first one.
            let _ = fs::remove_file(&temporary);
            return Err(failed("writing", &temporary)(cause));
        }
        let path = self.dir.join(FILE);
        fs::rename(&temporary, &path).map_err(failed("replacing", &path))?;
        // Without syncing the directory, a crash of the machine may undo the rename.
        let mut options = OpenOptions::new();
        options
            .read(true)
            .custom_flags(OFlags::DIRECTORY.bits().cast_signed());
        options
            .open(&self.dir)
            .and_then(|dir| dir.sync_all())
            .map_err(failed("syncing", &self.dir))
    }

    /// The path of the file.
    pub fn path(&self) -> PathBuf {
        self.dir.join(FILE)
    }
}
