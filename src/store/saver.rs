//! The thread that saves the state: soon after a change, rarely otherwise.

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

/// The maximum age of the saved times of runs while nothing else changes. It is well below the age at which a result is stale, so
/// that statuses are still known after a crash and a quick restart.
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

/// Which changes cause a write.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Relevant {
    /// Changes of the saved state, apart from the times of runs.
    Changes,
    /// Every recorded run.
    Runs,
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

    /// Writes now if anything changed, and waits for the write.
    pub fn save_now(&self) {
        self.inner.save(Relevant::Runs);
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
        self.inner.save(Relevant::Runs);
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
            let is_safe = self.save(if has_changed {
                Relevant::Changes
            } else {
                Relevant::Runs
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

    /// Writes if anything `relevant` changed. Returns whether everything is saved.
    fn save(&self, relevant: Relevant) -> bool {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let (state, wall) = {
            let mut state = self.store.state();
            let has_changed = match relevant {
                Relevant::Changes => state.needs_saving,
                Relevant::Runs => state.needs_saving || state.has_new_runs,
            };
            if !has_changed {
                return true;
            }
            (state.begin_save(), state.wall)
        };
        let was_saved = self.is_saved.load(Ordering::Acquire);
        let result = file.write(&state, wall, self.store.clock.now());
        match &result {
            Ok(()) if was_saved => {}
            Ok(()) => info!(file = %file.path().display(), "the state is saved again"),
            Err(error) => {
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
