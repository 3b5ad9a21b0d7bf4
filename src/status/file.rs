//! Writes the status document to a file (`--status.file`) for readers without HTTP. A separate thread writes it, so that a
//! slow or full disk delays nothing else.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::{info, warn};

use super::{document, host_name};
use crate::metrics::StatusFileView;
use crate::store::{Snapshot, Store};

/// How often the thread checks whether a status changed.
const TICK: Duration = Duration::from_millis(200);

/// The minimum time between two writes, so that simultaneous changes need one write.
const GAP: Duration = Duration::from_millis(400);

/// The maximum age of the file while nothing changes.
const REFRESH: Duration = Duration::from_secs(5);

/// The pause after a failed write.
const RETRY: Duration = Duration::from_secs(5);

/// How long the first write waits for the first round of runs. Before that, every status is unknown.
const FIRST_ROUND: Duration = Duration::from_secs(8);

/// Every user may read the file.
const MODE: u32 = 0o644;

/// A file operation failed.
#[derive(Debug, thiserror::Error)]
#[error("{attempt} {}: {cause}", path.display())]
pub struct WriteError {
    attempt: &'static str,
    path: PathBuf,
    #[source]
    cause: io::Error,
}

/// Writes the file until it is dropped. Dropping does not wait for a write in progress.
#[derive(Debug)]
pub struct StatusFile {
    state: Arc<StatusFileState>,
    _alive: mpsc::Sender<()>,
}

/// Whether and when the file was written.
#[derive(Debug)]
pub struct StatusFileState(Mutex<StatusFileView>);

impl StatusFileState {
    /// The state of the last write, for `/metrics`.
    pub fn view(&self) -> StatusFileView {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records a write, and the Unix time of its content if it succeeded.
    fn record(&self, written: Option<f64>) {
        let mut view = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        view.is_written = written.is_some();
        view.last_written = written.unwrap_or(view.last_written);
    }
}

impl StatusFile {
    /// Starts writing the document of `snapshot` to the file at `path`, whenever `store` changes.
    pub fn start(path: PathBuf, store: Arc<Store>, snapshot: impl Fn() -> Snapshot + Send + 'static) -> Self {
        let (alive, ended) = mpsc::channel();
        let state = Arc::new(StatusFileState(Mutex::new(StatusFileView {
            is_written: true,
            last_written: 0.0,
        })));
        let writer = Writer {
            path,
            store,
            snapshot: Box::new(snapshot),
            state: Arc::clone(&state),
        };
        let spawned = std::thread::Builder::new()
            .name("status-file".to_owned())
            .spawn(move || writer.run(&ended));
        if let Err(error) = spawned {
            warn!(%error, "starting the thread that writes the status file failed; the file is not written");
            state.record(None);
        }
        Self { state, _alive: alive }
    }

    /// The state of the writes.
    pub fn state(&self) -> Arc<StatusFileState> {
        Arc::clone(&self.state)
    }
}

struct Writer {
    path: PathBuf,
    store: Arc<Store>,
    snapshot: Box<dyn Fn() -> Snapshot + Send>,
    state: Arc<StatusFileState>,
}

impl Writer {
    fn run(self, ended: &mpsc::Receiver<()>) {
        let started = Instant::now();
        // The end of the last write, and the minimum pause after it.
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
            let started_write = Instant::now();
            let is_written = self.attempt();
            // Writing takes at most a quarter of the time, even to a slow disk.
            let pause = GAP.max(started_write.elapsed() * 3);
            last = Some((Instant::now(), if is_written { pause } else { RETRY }));
            written = changes;
        }
    }

    /// Writes the file once and returns whether that succeeded. Logs the first failure and the first success after it.
    fn attempt(&self) -> bool {
        let was_written = self.state.view().is_written;
        let snapshot = (self.snapshot)();
        let host = host_name();
        let result = write(&self.path, |file| {
            serde_json::to_writer(&mut *file, &document(&snapshot, &host, |_| true))?;
            file.write_all(b"\n")
        });
        match &result {
            Err(error) if was_written => {
                warn!(%error, "writing the status file failed; retrying every 5 s");
            }
            Ok(()) if !was_written => {
                info!(file = %self.path.display(), "the status file is written again")
            }
            _ => {}
        }
        self.state.record(result.is_ok().then_some(snapshot.taken));
        result.is_ok()
    }
}

/// Atomically replaces the file at `path` with what `fill` writes. Does not sync it to the disk: after a crash of the machine it
/// is too old in any case, and readers check its age.
///
/// # Errors
/// If a file operation fails. The previous file stays.
fn write(path: &Path, fill: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> Result<(), WriteError> {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".tmp");
    let temporary = path.with_file_name(name);
    let failed = |attempt, path: &Path| {
        let path = path.to_owned();
        move |cause| WriteError { attempt, path, cause }
    };
    // An earlier process may have left it. Opening it is unsafe: in a directory that everybody may write to, it may be a link.
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
        // Regardless of the umask.
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
        // Free the space. If that fails too, report only the first one.
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
    fn a_write_replaces_the_file_and_leaves_no_other() {
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
    fn a_failed_write_keeps_the_previous_file() {
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
    fn a_planted_link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, victim) = (folder.path().join("status.json"), folder.path().join("victim"));
        fs::write(&victim, "mine").unwrap();
        std::os::unix::fs::symlink(&victim, folder.path().join(".status.json.tmp")).unwrap();
        put(&path, "status").unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "mine");
        assert!(fs::symlink_metadata(&path).unwrap().is_file());
    }

    #[test]
    fn a_missing_directory_and_a_directory_at_the_path_are_errors() {
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
