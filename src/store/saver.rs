//! The thread that writes what lasts: soon after a change, seldom otherwise.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tracing::{info, warn};

use super::StoreShared;
use super::file::StateFile;

/// From a change to its write: what changes together is written together.
const DELAY: Duration = Duration::from_millis(100);

/// From one write to the next; with the delay and a disk that is not too slow, a change is safe within a second.
const GAP: Duration = Duration::from_millis(400);

/// How long a failed write waits for the next attempt.
const RETRY: Duration = Duration::from_secs(5);

/// How old the saved times of the last runs may become while nothing else changes. Well below the least age at which a
/// result is stale, so that after a crash and a quick restart statuses are still known.
const REFRESH: Duration = Duration::from_secs(30);

/// Writes what lasts. Dropping it writes once more and lets the state directory go.
pub struct Saver {
    inner: Arc<Inner>,
    thread: Option<JoinHandle<()>>,
}

struct Inner {
    store: Arc<StoreShared>,
    file: Mutex<StateFile>,
    is_saved: AtomicBool,
    wanted: Mutex<Wanted>,
    changed: Condvar,
}

/// What is worth a write.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Worth {
    /// Something that lasts changed.
    Changes,
    /// A run was recorded, even if it changed nothing but the time of the last one.
    Runs,
}

#[derive(Default)]
struct Wanted {
    save: bool,
    stop: bool,
}

impl Saver {
    /// Starts the thread. Where that fails, only [`Saver::save_now`] writes.
    pub fn start(store: Arc<StoreShared>, file: StateFile) -> Self {
        let inner = Arc::new(Inner {
            store,
            file: Mutex::new(file),
            is_saved: AtomicBool::new(true),
            wanted: Mutex::default(),
            changed: Condvar::new(),
        });
        let of_thread = inner.clone();
        let spawned = std::thread::Builder::new()
            .name("state".to_owned())
            .spawn(move || of_thread.run());
        if let Err(error) = &spawned {
            warn!(%error, "starting the thread that saves the state failed; it is saved at the end only");
        }
        Self {
            inner,
            thread: spawned.ok(),
        }
    }

    /// Asks for a write; does not wait.
    pub fn wake(&self) {
        let mut wanted = self.inner.wanted();
        if !wanted.save {
            wanted.save = true;
            self.inner.changed.notify_all();
        }
    }

    /// Whether the last attempt to write succeeded; true before the first one.
    pub fn is_saved(&self) -> bool {
        self.inner.is_saved.load(Ordering::Acquire)
    }

    /// Writes now, if there is anything new, and waits for it.
    pub fn save_now(&self) {
        self.inner.save(Worth::Runs);
    }
}

impl std::fmt::Debug for Saver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Saver")
            .field("is_saved", &self.is_saved())
            .finish_non_exhaustive()
    }
}

impl Drop for Saver {
    fn drop(&mut self) {
        self.inner.wanted().stop = true;
        self.inner.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // It panicked where this fails, and said so.
            let _ = thread.join();
        }
        self.inner.save(Worth::Runs);
    }
}

impl Inner {
    fn wanted(&self) -> MutexGuard<'_, Wanted> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        while self.wait(REFRESH, |wanted| wanted.save) && self.wait(DELAY, |_| false) {
            let has_changed = std::mem::take(&mut self.wanted().save);
            let begun = Instant::now();
            let is_safe = self.save(if has_changed { Worth::Changes } else { Worth::Runs });
            // Of a slow disk, or of a very large state, no more than a quarter of the time is taken.
            let pause = GAP.max(begun.elapsed() * 3);
            let pause = if is_safe { pause } else { RETRY };
            if !self.wait(pause, |_| false) {
                return;
            }
        }
    }

    /// Waits until `enough`, at most for `time`; whether to go on.
    fn wait(&self, time: Duration, enough: fn(&Wanted) -> bool) -> bool {
        let until = Instant::now() + time;
        let mut wanted = self.wanted();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if wanted.stop || enough(&wanted) || left.is_zero() {
                return !wanted.stop;
            }
            let woken = self.changed.wait_timeout(wanted, left);
            wanted = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Writes if there is anything new that is `worth` it; whether all is safe now.
    fn save(&self, worth: Worth) -> bool {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let (kept, wall) = {
            let mut state = self.store.state();
            let is_new = match worth {
                Worth::Changes => state.needs_saving,
                Worth::Runs => state.needs_saving || state.has_new_runs,
            };
            if !is_new {
                return true;
            }
            (state.collect(), state.wall)
        };
        let was_saved = self.is_saved.load(Ordering::Acquire);
        let result = file.write(&kept, wall, self.store.clock.now());
        match &result {
            Ok(()) if was_saved => {}
            Ok(()) => info!(file = %file.path().display(), "the state is saved again"),
            Err(error) => {
                self.store.state().needs_saving = true;
                self.wanted().save = true;
                if was_saved {
                    warn!(%error, "saving the state failed: what changes from now on does not survive a restart; trying again");
                }
            }
        }
        if result.is_ok() != was_saved {
            self.is_saved.store(result.is_ok(), Ordering::Release);
            self.store.touch();
        }
        result.is_ok()
    }
}
