//! The queue of password checks. A check is slow on purpose, so few run at once, off the runtime's workers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// How many checks run at once.
pub(super) const MAX_CHECKS: usize = 2;
/// How many more wait.
pub(super) const MAX_WAITING: usize = 16;

/// Identifies the attempt that a check is about.
pub(super) type Key = Vec<u8>;
/// Receives whether the password is correct, once the check is done.
pub(super) type CheckResult = watch::Receiver<Option<bool>>;

/// Too many checks wait.
#[derive(Debug)]
pub(super) struct QueueFull;

/// Running and waiting checks.
#[derive(Debug)]
pub(super) struct PasswordChecks {
    running: Arc<Semaphore>,
    /// Counts running checks too.
    queued: Arc<Semaphore>,
    pending: Mutex<HashMap<Key, CheckResult>>,
}

impl PasswordChecks {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            running: Arc::new(Semaphore::new(MAX_CHECKS)),
            queued: Arc::new(Semaphore::new(MAX_CHECKS + MAX_WAITING)),
            pending: Mutex::default(),
        })
    }

    /// Locks the queue, so that looking a check up and starting it are one step.
    pub fn lock(self: &Arc<Self>) -> Queue<'_> {
        Queue {
            checks: self,
            pending: self.pending.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// Keeps all checks from running until the permits are dropped.
    #[cfg(test)]
    pub async fn hold(&self) -> OwnedSemaphorePermit {
        let all = u32::try_from(MAX_CHECKS).unwrap();
        Arc::clone(&self.running).acquire_many_owned(all).await.unwrap()
    }

    #[cfg(test)]
    pub fn is_idle(&self) -> bool {
        self.pending.lock().unwrap().is_empty()
    }
}

/// The locked queue.
pub(super) struct Queue<'a> {
    checks: &'a Arc<PasswordChecks>,
    pending: MutexGuard<'a, HashMap<Key, CheckResult>>,
}

impl Queue<'_> {
    /// Returns the result of the pending check with this key.
    pub fn join(&self, key: &Key) -> Option<CheckResult> {
        self.pending.get(key).cloned()
    }

    /// Starts a check in a separate task: other requests wait for it even if the client that started it leaves.
    ///
    /// # Errors
    /// When too many checks wait.
    pub fn start(
        mut self,
        key: Key,
        check: impl FnOnce() -> bool + Send + 'static,
    ) -> Result<CheckResult, QueueFull> {
        let permit = Arc::clone(&self.checks.queued)
            .try_acquire_owned()
            .map_err(|_| QueueFull)?;
        let (sender, result) = watch::channel(None);
        self.pending.insert(key.clone(), result.clone());
        let pending = PendingCheck {
            checks: Arc::clone(self.checks),
            key,
            _permit: permit,
        };
        tokio::spawn(pending.run(check, sender));
        Ok(result)
    }
}

/// Removes a check from the queue when it is dropped.
struct PendingCheck {
    checks: Arc<PasswordChecks>,
    key: Key,
    _permit: OwnedSemaphorePermit,
}

impl PendingCheck {
    async fn run(self, check: impl FnOnce() -> bool + Send + 'static, sender: watch::Sender<Option<bool>>) {
        let Ok(permit) = Arc::clone(&self.checks.running).acquire_owned().await else {
            return;
        };
        let check = tokio::task::spawn_blocking(move || {
            // Held for as long as the work takes, even if the task is gone.
            let _permit = permit;
            check()
        });
        let is_correct = check.await.unwrap_or(false);
        sender.send_replace(Some(is_correct));
    }
}

impl Drop for PendingCheck {
    fn drop(&mut self) {
        self.checks.lock().pending.remove(&self.key);
    }
}
