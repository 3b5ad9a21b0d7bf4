//! Reads and replaces files of the state directory, which it locks. Other users may create files in it, so links are not followed, and
//! only regular files are opened.

mod appended;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use rustix::io::Errno;

pub use appended::Appended;

/// The name of the lock file.
const LOCK: &str = "state.lock";

/// The maximum number of broken versions of a file. Older ones are removed.
const MAX_BROKEN: u64 = 5;

/// How long to wait for a lock. A child process holds the locks of its parent until its exec (fork(2)), even if the parent was
/// killed meanwhile.
const LOCK_TIMEOUT: Duration = Duration::from_millis(500);
/// The time between two attempts.
const LOCK_RETRY_INTERVAL: Duration = Duration::from_millis(10);

/// Flags of open(2) for a path that somebody else may have created: a symbolic link is an error, and a pipe does not block.
const SAFELY: OFlags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK);

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

/// A file can't be saved.
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
    /// The content can't be encoded as JSON.
    #[error("encoding the file: {0}")]
    Encode(#[from] serde_json::Error),
}

/// A state directory. Its lock allows only one process to change its files. Every change takes the lock first, unless this process holds it.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    lock_name: &'static str,
    lock: Mutex<Option<File>>,
}

/// A file that one part of the exporter reads at the start, and what it is for messages.
#[derive(Clone, Copy, Debug)]
pub struct SavedFile {
    /// Its name.
    pub name: &'static str,
    /// The maximum size that is read, in bytes.
    pub max_bytes: u64,
    /// Its content, such as `the saved heartbeats`.
    pub content: &'static str,
    /// What follows if its content is lost.
    pub if_lost: &'static str,
}

impl StateDir {
    /// The state directory with this path. All parts of an exporter that save files share it.
    pub fn new(path: PathBuf) -> Arc<Self> {
        Arc::new(Self::with_lock(path, LOCK))
    }

    /// The directory with another lock file.
    pub const fn with_lock(path: PathBuf, lock_name: &'static str) -> Self {
        Self {
            path,
            lock_name,
            lock: Mutex::new(None),
        }
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the lock, unless this process holds it. It ends with the process, even after a crash. Creates the directory if it is
    /// missing. If somebody removed the lock file or the directory, the lock is taken again: another process can lock the new file.
    ///
    /// # Errors
    /// If another process holds the lock, or a step fails.
    pub fn take_lock(&self) -> Result<(), SaveError> {
        let mut held = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        if held.as_ref().is_none_or(|file| !self.is_lock(file)) {
            // First unlocked: file systems without stable numbers of files may say that it is another file.
            *held = None;
            *held = Some(lock(&self.path, self.lock_name)?);
        }
        Ok(())
    }

    /// Whether this open file is the lock file.
    fn is_lock(&self, file: &File) -> bool {
        let found = fs::symlink_metadata(self.path.join(self.lock_name));
        let held = file.metadata();
        found.is_ok_and(|found| held.is_ok_and(|held| (found.dev(), found.ino()) == (held.dev(), held.ino())))
    }

    /// Reads the file `name` of at most `max_bytes`. `None` if it does not exist.
    ///
    /// # Errors
    /// What went wrong, for people.
    pub fn read(&self, name: &str, max_bytes: u64) -> Result<Option<Vec<u8>>, String> {
        let file = match open(&self.path.join(name), OpenOptions::new().read(true)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(|error| error.to_string())?,
        };
        let mut text = Vec::new();
        let read = file.take(max_bytes + 1).read_to_end(&mut text);
        read.map_err(|error| error.to_string())?;
        if text.len() as u64 > max_bytes {
            return Err(format!("it is larger than {max_bytes} bytes"));
        }
        Ok(Some(text))
    }

    /// Reads and decodes a file. The content of a missing file is empty. A file that can't be used is moved aside, with a warning for the
    /// operator.
    pub fn load<T: Default>(
        &self,
        file: &SavedFile,
        decode: impl FnOnce(&[u8]) -> Result<T, String>,
    ) -> (T, Option<String>) {
        let read = self.read(file.name, file.max_bytes);
        let decoded = read.and_then(|text| text.map_or_else(|| Ok(T::default()), |text| decode(&text)));
        match decoded {
            Ok(content) => (content, None),
            Err(reason) => (T::default(), Some(self.reject(file, &reason))),
        }
    }

    /// Moves aside a file that can't be used, and returns a warning for the operator.
    pub fn reject(&self, file: &SavedFile, reason: &str) -> String {
        format!(
            "{} {} can't be used: {reason}; {}; {}",
            file.content,
            self.path.join(file.name).display(),
            self.set_aside(file.name),
            file.if_lost
        )
    }

    /// Moves the broken file `name` aside. Returns what was done, for a warning.
    pub fn set_aside(&self, name: &str) -> String {
        match self.take_lock() {
            Ok(()) => set_aside(&self.path, name),
            Err(error) => format!("moving it aside failed too: {error}"),
        }
    }

    /// Atomically replaces the file `name` and syncs it to the disk. After a crash at any time, the file is the old or the new one.
    ///
    /// # Errors
    /// If a step fails. The old file stays.
    pub fn replace(&self, name: &str, text: &[u8]) -> Result<(), SaveError> {
        self.take_lock()?;
        replace(&self.path, name, text)
    }
}

/// Makes an error of the system an error of an attempt.
pub fn failed(attempt: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SaveError {
    let path = path.to_owned();
    move |cause| SaveError::Io { attempt, path, cause }
}

/// Opens a regular file, or creates it if the options say so.
///
/// # Errors
/// If that fails, or it is a link or not a regular file.
pub fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
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

/// Creates the directory if it is missing, and locks its file `name`. Waits for a short time if it is locked.
fn lock(dir: &Path, name: &str) -> Result<File, SaveError> {
    fs::create_dir_all(dir).map_err(failed("creating the state directory", dir))?;
    let path = dir.join(name);
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true).mode(0o600);
    let file = open(&path, &mut options).map_err(failed("opening the lock file", &path))?;
    let began = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if began.elapsed() < LOCK_TIMEOUT => {
                thread::sleep(LOCK_RETRY_INTERVAL);
            }
            Err(TryLockError::WouldBlock) => return Err(StateDirError::InUse { dir: dir.to_owned() }.into()),
            Err(TryLockError::Error(cause)) => return Err(failed("locking", &path)(cause)),
        }
    }
}

fn replace(dir: &Path, name: &str, text: &[u8]) -> Result<(), SaveError> {
    let temporary = dir.join(format!("{name}.tmp"));
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
    let written = file.write_all(text).and_then(|()| file.sync_all());
    if let Err(cause) = written {
        // Free the space. If that fails too, report only the first one.
        let _ = fs::remove_file(&temporary);
        return Err(failed("writing", &temporary)(cause));
    }
    let path = dir.join(name);
    fs::rename(&temporary, &path).map_err(failed("replacing", &path))?;
    // Without syncing the directory, a crash of the machine may undo the rename.
    let mut options = OpenOptions::new();
    options
        .read(true)
        .custom_flags(OFlags::DIRECTORY.bits().cast_signed());
    options
        .open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(failed("syncing", dir))
}

fn set_aside(dir: &Path, name: &str) -> String {
    let prefix = format!("{name}.broken-");
    let mut numbers = broken(dir, &prefix);
    let next = numbers.last().map_or(1, |last| last.saturating_add(1));
    numbers.push(next);
    let aside = dir.join(format!("{prefix}{next}"));
    let action = match fs::rename(dir.join(name), &aside) {
        Ok(()) => format!("it was moved to {}", aside.display()),
        Err(error) => format!("moving it aside failed too: {error}"),
    };
    let surplus = numbers.len().saturating_sub(MAX_BROKEN as usize);
    for number in &numbers[..surplus] {
        // A surplus file does no harm.
        let _ = fs::remove_file(dir.join(format!("{prefix}{number}")));
    }
    action
}

/// The numbers of the broken files, in ascending order.
fn broken(dir: &Path, prefix: &str) -> Vec<u64> {
    let mut numbers: Vec<u64> = fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.strip_prefix(prefix)?.parse().ok())
        .collect();
    numbers.sort_unstable();
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After the lock failed at the start, another process may have taken it.
    #[test]
    fn nothing_is_changed_without_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| dir.path().join(name);
        fs::write(file("data"), "broken").unwrap();
        let other = StateDir::new(dir.path().to_owned());
        other.take_lock().unwrap();
        let state = StateDir::new(dir.path().to_owned());
        let saved = SavedFile {
            name: "data",
            max_bytes: 10,
            content: "the data",
            if_lost: "it is lost",
        };
        let (content, warning) = state.load::<u8>(&saved, |_| Err("it is broken".to_owned()));
        let warning = warning.unwrap();
        assert!(
            content == 0
                && warning.starts_with("the data ")
                && warning.contains("is in use by another process"),
            "{warning}"
        );
        let replaced = state.replace("data", b"new");
        assert!(matches!(replaced, Err(SaveError::InUse(_))), "{replaced:?}");
        assert_eq!(fs::read_to_string(file("data")).unwrap(), "broken");
        drop(other);
        let (_, warning) = state.load::<u8>(&saved, |_| Err("it is broken".to_owned()));
        let aside = file("data.broken-1");
        let expected = format!(
            "the data {} can't be used: it is broken; it was moved to {}; it is lost",
            file("data").display(),
            aside.display()
        );
        assert_eq!((warning, aside.exists()), (Some(expected), true));
        state.replace("data", b"new").unwrap();
        assert_eq!(
            state.load(&saved, |text| Ok(text.to_vec())),
            (b"new".to_vec(), None)
        );
    }

    #[test]
    fn a_lock_that_was_removed_is_taken_again() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("state");
        let state = StateDir::new(dir.clone());
        state.replace("data", b"one").unwrap();
        fs::remove_dir_all(&dir).unwrap();
        state.replace("data", b"two").unwrap();
        assert_eq!(fs::read_to_string(dir.join("data")).unwrap(), "two");

        fs::remove_file(dir.join(LOCK)).unwrap();
        let other = StateDir::new(dir.clone());
        other.take_lock().unwrap();
        let replaced = state.replace("data", b"three");
        assert!(matches!(replaced, Err(SaveError::InUse(_))), "{replaced:?}");
        assert_eq!(fs::read_to_string(dir.join("data")).unwrap(), "two");
        drop(other);
        state.replace("data", b"three").unwrap();
    }

    #[test]
    fn a_lock_that_ends_soon_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let held = lock(dir.path(), "lock").unwrap();
        let began = Instant::now();
        let holder = thread::spawn(move || {
            thread::sleep(LOCK_TIMEOUT / 5);
            drop(held);
        });
        let taken = lock(dir.path(), "lock").unwrap();
        assert!(began.elapsed() >= LOCK_TIMEOUT / 5);
        holder.join().unwrap();
        let again = lock(dir.path(), "lock");
        assert!(matches!(again, Err(SaveError::InUse(_))), "{again:?}");
        drop(taken);
    }
}
