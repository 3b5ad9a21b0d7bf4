//! The status document in a file (`--status.file`), for readers without HTTP. A thread of its own writes it, so that a disk that
//! hangs or is full delays nothing else.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use tracing::{info, warn};

use super::{document, host_name};
use crate::store::Store;

/// How often to look whether a status changed.
const TICK: Duration = Duration::from_millis(200);

/// The least time from one write to the next: what changes together is written together.
const GAP: Duration = Duration::from_millis(400);

/// How old the file may become while nothing changes.
const REFRESH: Duration = Duration::from_secs(5);

/// How long a failed write waits for the next attempt.
const RETRY: Duration = Duration::from_secs(5);

/// How long the first write waits for the first round of runs, after which the document has something to say.
const FIRST_ROUND: Duration = Duration::from_secs(8);

/// Everybody may read it.
const MODE: u32 = 0o644;

/// Why the file could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{attempt} {}: {cause}", path.display())]
pub struct WriteError {
    attempt: &'static str,
    path: PathBuf,
    #[source]
    cause: io::Error,
}

/// Keeps the file until it is dropped. Nothing waits for the thread: a write that hangs may hang.
#[derive(Debug)]
pub struct StatusFile {
    _alive: mpsc::Sender<()>,
}

impl StatusFile {
    /// Starts to keep the document of `store` in the file at `path`.
    pub fn start(path: PathBuf, store: Arc<Store>) -> Self {
        let (alive, ended) = mpsc::channel();
        store.status_file_wanted();
        let writer = Writer {
            path,
            store: Arc::clone(&store),
            was_written: true,
        };
        let spawned = std::thread::Builder::new()
            .name("status-file".to_owned())
            .spawn(move || writer.run(&ended));
        if let Err(error) = spawned {
            warn!(%error, "starting the thread that writes the status file failed; it is not written");
            store.status_file_written(false);
        }
        Self { _alive: alive }
    }
}

struct Writer {
    path: PathBuf,
    store: Arc<Store>,
    /// Whether the last attempt succeeded.
    was_written: bool,
}

impl Writer {
    fn run(mut self, ended: &mpsc::Receiver<()>) {
        let started = Instant::now();
        // When the last write ended, and when the next one may begin.
        let mut last: Option<(Instant, Duration)> = None;
        let mut written = 0;
        while matches!(ended.recv_timeout(TICK), Err(RecvTimeoutError::Timeout)) {
            let changes = self.store.changes();
            let is_due = match last {
                None => self.store.is_first_round_over() || started.elapsed() >= FIRST_ROUND,
                Some((last, pause)) => {
                    let age = last.elapsed();
                    age >= pause && (changes != written || age >= REFRESH)
                }
            };
            if !is_due {
                continue;
            }
            let begun = Instant::now();
            let is_written = self.attempt();
            // Of a slow disk, or for a very large document, no more than a quarter of the time is taken.
            let pause = GAP.max(begun.elapsed() * 3);
            last = Some((Instant::now(), if is_written { pause } else { RETRY }));
            written = changes;
        }
    }

    /// Writes once, and tells of the first failure and of the end of failures; whether it is written.
    fn attempt(&mut self) -> bool {
        let snapshot = self.store.snapshot();
        let host = host_name();
        let result = write(&self.path, |file| {
            serde_json::to_writer(&mut *file, &document(&snapshot, &host, |_| true))?;
            file.write_all(b"\n")
        });
        match &result {
            Err(error) if self.was_written => {
                warn!(%error, "writing the status file failed; trying again each 5 s");
            }
            Ok(()) if !self.was_written => {
                info!(file = %self.path.display(), "the status file is written again")
            }
            _ => {}
        }
        self.was_written = result.is_ok();
        self.store.status_file_written(self.was_written);
        self.was_written
    }
}

/// Replaces the file at `path` by what `fill` writes, whole or not at all. It is not forced to the disk: after a crash of the
/// machine it is old in any case, and its readers look at its age.
///
/// # Errors
/// When the file system refuses; the file that was there stays.
fn write(path: &Path, fill: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> Result<(), WriteError> {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".tmp");
    let temporary = path.with_file_name(name);
    let failed = |attempt, path: &Path| {
        let path = path.to_owned();
        move |cause| WriteError { attempt, path, cause }
    };
    // What an earlier process left. It is not opened: in a folder of everybody's it may lead somewhere else.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed("removing", &temporary)(error));
        }
        _ => {}
    }
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(MODE).open(&temporary);
    let file = file.map_err(failed("creating", &temporary))?;
    let filled = (|| {
        // Whatever the umask says.
        file.set_permissions(Permissions::from_mode(MODE))?;
        let mut file = BufWriter::new(file);
        fill(&mut file)?;
        file.flush()
    })();
    let result = match filled {
        Ok(()) => fs::rename(&temporary, path).map_err(failed("replacing", path)),
        Err(error) => Err(failed("writing", &temporary)(error)),
    };
    if result.is_err() {
        // It may hold what the disk has no room for; that it can't be removed is no news.
        let _ = fs::remove_file(&temporary);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(path: &Path, text: &str) -> Result<(), WriteError> {
        write(path, |file| file.write_all(text.as_bytes()))
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn a_file_is_replaced_and_readable_and_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("status.json");
        for text in ["first, longer", "second"] {
            put(&path, text).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, MODE);
        assert_eq!(names(folder.path()), ["status.json"]);
    }

    #[test]
    fn what_fails_leaves_the_file_before_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("status.json");
        put(&path, "before").unwrap();
        let failed = write(&path, |file| {
            file.write_all(b"half")?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        });
        let message = failed.unwrap_err().to_string();
        assert!(
            message.starts_with("writing ") && message.contains(".status.json.tmp: "),
            "{message}"
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), "before");
        assert_eq!(names(folder.path()), ["status.json"]);
    }

    #[test]
    fn a_planted_link_leads_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let (path, victim) = (folder.path().join("status.json"), folder.path().join("victim"));
        fs::write(&victim, "mine").unwrap();
        std::os::unix::fs::symlink(&victim, folder.path().join(".status.json.tmp")).unwrap();
        put(&path, "status").unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "mine");
        assert!(fs::symlink_metadata(&path).unwrap().is_file());
    }

    #[test]
    fn a_missing_folder_and_a_folder_in_the_way_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let missing = put(&folder.path().join("a/status.json"), "x")
            .unwrap_err()
            .to_string();
        assert!(
            missing.starts_with("creating ") && missing.ends_with("(os error 2)"),
            "{missing}"
        );
        let occupied = folder.path().join("b");
        fs::create_dir(&occupied).unwrap();
        let message = put(&occupied, "x").unwrap_err().to_string();
        assert!(message.starts_with("replacing "), "{message}");
        assert_eq!(names(folder.path()), ["b"]);
    }
}
