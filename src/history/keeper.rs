//! Records the history in the background, and saves it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

use super::encoding::{encode_copy, encode_record};
use super::file::{HistoryFile, MAX_COPY_BYTES};
use super::kept::Kept;
use super::reader::Reader;
use super::recorder::Recorder;
use crate::model::Clock;
use crate::store::{SaveError, Store};

/// The time between two observations.
const TICK: Duration = Duration::from_secs(1);

/// The time between two saves. With the time of a save, at most a minute is lost when the process is killed.
const SAVE_INTERVAL: Duration = Duration::from_secs(50);

/// Records the history of all services. Dropping it ends the recording.
pub struct History {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

/// What the recording and its saving share.
pub(super) struct Shared {
    store: Arc<Store>,
    kept: Arc<Kept>,
    /// Locked while a file is written. `None` without a state directory.
    file: Mutex<Option<HistoryFile>>,
}

impl History {
    /// Reads the saved history from the state directory of the store, and starts to record on `runtime`. Without a directory, the history
    /// begins again at every start. Also returns warnings for the operator.
    pub fn start(runtime: &Handle, store: Arc<Store>, clock: Arc<dyn Clock>) -> (Self, Vec<String>) {
        let mut recorder = Recorder::default();
        let (file, warnings) = match store.state_dir() {
            Some(dir) => {
                let (file, warnings) = HistoryFile::open(dir, &mut recorder);
                (Some(file), warnings)
            }
            None => (None, Vec::new()),
        };
        recorder.loaded(clock.wall_nanos() / 1_000_000);
        let shared = Arc::new(Shared {
            store,
            kept: Arc::new(Kept::new(recorder, clock, file.is_some())),
            file: Mutex::new(file),
        });
        let task = runtime.spawn(run(Arc::clone(&shared)));
        (Self { shared, task }, warnings)
    }

    /// Reads the history, while it is recorded.
    pub fn reader(&self) -> Reader {
        Reader::new(Arc::clone(&self.shared.kept))
    }

    /// Observes the store and saves. Blocks until everything is on the disk, or that has failed.
    pub fn save(&self) {
        self.shared.observe();
        self.shared.save();
    }

    /// Ends the recording and saves.
    pub fn stop(&self) {
        self.task.abort();
        self.save();
    }
}

impl Drop for History {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Observes the store every second. Saves at the start if the saved files are not usable as they are, and then regularly.
async fn run(shared: Arc<Shared>) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut saved = shared.kept.clock.now();
    let mut is_due = shared.next_copy().is_some();
    let mut saving: Option<JoinHandle<()>> = None;
    loop {
        ticks.tick().await;
        shared.observe();
        let now = shared.kept.clock.now();
        is_due |= now.since(saved) >= SAVE_INTERVAL;
        // A disk that hangs delays no observation.
        let is_saving = saving.as_ref().is_some_and(|saving| !saving.is_finished());
        if is_due && !is_saving {
            (saved, is_due) = (now, false);
            let shared = Arc::clone(&shared);
            saving = Some(tokio::task::spawn_blocking(move || shared.save()));
        }
    }
}

impl Shared {
    fn file(&self) -> MutexGuard<'_, Option<HistoryFile>> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_copy(&self) -> Option<u64> {
        self.file().as_ref().and_then(HistoryFile::next_copy)
    }

    /// Records what happened since the last observation.
    pub fn observe(&self) {
        let observation = self.store.observe();
        self.kept.recorder().record(&observation);
    }

    /// Saves what is not saved. An error is logged, and the next save tries again.
    pub fn save(&self) {
        let mut file = self.file();
        let Some(file) = file.as_mut() else {
            return;
        };
        let result = self.save_to(file);
        let was_saved = self
            .kept
            .has_save_succeeded
            .swap(result.is_ok(), Ordering::AcqRel);
        match result {
            Ok(()) if was_saved => {}
            Ok(()) => info!(file = %file.path().display(), "the history is saved again"),
            Err(error) if was_saved => {
                warn!(%error, "saving the history failed; it is lost on restart until a retry succeeds");
            }
            Err(_) => {}
        }
    }

    fn save_to(&self, file: &mut HistoryFile) -> Result<(), SaveError> {
        let mut recorder = self.kept.recorder();
        let unsaved = recorder.take_unsaved();
        let result = if let Some(number) = file.next_copy() {
            let now = self.kept.clock.wall_nanos() / 1_000_000;
            recorder.forget_old(now);
            let mut bytes = encode_copy(&recorder, number);
            while bytes.len() > MAX_COPY_BYTES && recorder.reduce(now) {
                bytes = encode_copy(&recorder, number);
            }
            drop(recorder);
            file.write_copy(&bytes)
        } else if unsaved.is_empty() {
            Ok(())
        } else {
            let record = encode_record(&recorder, &unsaved);
            drop(recorder);
            file.append(&record)
        };
        if result.is_err() {
            self.kept.recorder().return_unsaved(&unsaved);
        }
        result
    }
}
