//! Reloads the configuration on request.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::Mutex;

/// An attempt to load the configuration. Its error lists all findings for people.
pub type ReloadFuture = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// Reloads the configuration, one attempt at a time.
pub struct Reloader {
    load: Arc<dyn Fn() -> ReloadFuture + Send + Sync>,
    lock: Arc<Mutex<()>>,
}

impl Reloader {
    /// Creates a reloader that calls `load`.
    pub fn new(load: impl Fn() -> ReloadFuture + Send + Sync + 'static) -> Self {
        Self {
            load: Arc::new(load),
            lock: Arc::default(),
        }
    }

    /// Waits for the attempt in progress, then makes another one. It runs to its end even if the caller is dropped, so no
    /// reload stops halfway.
    ///
    /// # Errors
    /// When the configuration has errors: all of them.
    pub async fn reload(&self) -> Result<(), String> {
        let (load, lock) = (Arc::clone(&self.load), Arc::clone(&self.lock));
        let attempt = tokio::spawn(async move {
            let _guard = lock.lock_owned().await;
            load().await
        });
        attempt.await.unwrap_or_else(|_| {
            Err("reloading the configuration failed inside the exporter; see its log".into())
        })
    }
}

impl fmt::Debug for Reloader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloader").finish_non_exhaustive()
    }
}
