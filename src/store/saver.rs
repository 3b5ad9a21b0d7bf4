//! The thread that saves the state: the services that changed soon after the change, and all of them at times.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tracing::{info, warn};

use super::file::StateFile;
use super::shared::StoreShared;

/// The delay from a change to its write, so that simultaneous changes need one write.
const DELAY: Duration = Duration::from_millis(100);

/// The minimum time between two writes. Together with the delay, a change is saved within a second unless the disk is slow.
const GAP: Duration = Duration::from_millis(400);

/// The pause after a failed write.
const RETRY: Duration = Duration::from_secs(5);

/// The time between two copies of all services, and so the maximum age of the saved times of runs. It is well below the age at which a
/// result is stale, so that statuses are still known after a crash and a quick restart.
const REFRESH: Duration = Duration::from_secs(30);

/// Saves the state. Dropping it saves once more and unlocks the state directory.
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

/// What a save writes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// The services whose saved state changed, apart from the times of runs.
    Changes,
    /// A copy of all services, if there is any change or new run since the last copy.
    All,
}

#[derive(Default)]
struct Wanted {
    save: bool,
    stop: bool,
}

impl Saver {
    /// Starts the thread. If that fails, only [`Saver::save_now`] writes.
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
            warn!(%error, "starting the thread that saves the state failed; the state is only saved at the end");
        }
        Self {
            inner,
            thread: spawned.ok(),
        }
    }

    /// Requests a write without waiting for it.
    pub fn wake(&self) {
        let mut wanted = self.inner.wanted();
        if !wanted.save {
            wanted.save = true;
            self.inner.changed.notify_all();
        }
    }

    /// Whether the last write succeeded; true before the first one.
    pub fn is_saved(&self) -> bool {
        self.inner.is_saved.load(Ordering::Acquire)
    }

    /// Writes a copy of all services now if anything changed, and waits for the write.
    pub fn save_now(&self) {
        self.inner.save(Extent::All);
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
            // This fails only if the thread panicked. The panic was printed then.
            let _ = thread.join();
        }
        self.inner.save(Extent::All);
    }
}

impl Inner {
    fn wanted(&self) -> MutexGuard<'_, Wanted> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut refreshed = Instant::now();
        loop {
            let left = REFRESH.saturating_sub(refreshed.elapsed());
            if !self.wait(left, |wanted| wanted.save) || !self.wait(DELAY, |_| false) {
                return;
            }
            self.wanted().save = false;
            let begun = Instant::now();
            let is_due = begun.duration_since(refreshed) >= REFRESH;
            let is_safe = self.save(if is_due {
                refreshed = begun;
                Extent::All
            } else {
                Extent::Changes
            });
            // Writing takes at most a quarter of the time, even to a slow disk.
            let pause = GAP.max(begun.elapsed() * 3);
            let pause = if is_safe { pause } else { RETRY };
            if !self.wait(pause, |_| false) {
                return;
            }
        }
    }

    /// Waits until `is_enough`, but at most for `time`. Returns false if the thread must stop.
    fn wait(&self, time: Duration, is_enough: fn(&Wanted) -> bool) -> bool {
        let until = Instant::now() + time;
        let mut wanted = self.wanted();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if wanted.stop || is_enough(&wanted) || left.is_zero() {
                return !wanted.stop;
            }
            let woken = self.changed.wait_timeout(wanted, left);
            wanted = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Writes if anything changed. Returns whether everything is saved.
    fn save(&self, extent: Extent) -> bool {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let needs_copy = extent == Extent::All || file.needs_copy();
        let (unsaved, is_copy, wall) = {
            let mut state = self.store.state();
            let has_new_runs = extent == Extent::All && (state.has_new_runs || file.has_log());
            if !state.needs_saving && !has_new_runs {
                return true;
            }
            let is_copy = needs_copy || state.needs_copy;
            let unsaved = if is_copy {
                state.take_all()
            } else {
                state.take_changed()
            };
            (unsaved, is_copy, state.wall)
        };
        let was_saved = self.is_saved.load(Ordering::Acquire);
        let result = if is_copy {
            file.write_copy(&unsaved, wall, self.store.clock.now())
        } else {
            file.append(&unsaved, wall)
        };
        match &result {
            Ok(()) if was_saved => {}
            Ok(()) => info!(file = %file.path().display(), "the state is saved again"),
            Err(error) => {
                // The next save writes a copy.
                self.store.state().needs_saving = true;
                self.wanted().save = true;
                if was_saved {
                    warn!(%error, "saving the state failed; changes are lost on restart until a retry succeeds");
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
