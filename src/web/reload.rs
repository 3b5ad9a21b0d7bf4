//! Reloading the configuration on request.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::Mutex;

/// An attempt to load the configuration; the error is a text for people, all findings included.
pub type ReloadFuture = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// Loads the configuration anew, one attempt at a time.
pub struct Reloader {
    hook: Arc<dyn Fn() -> ReloadFuture + Send + Sync>,
    turn: Arc<Mutex<()>>,
}

impl Reloader {
    /// A reloader that calls `hook`.
    pub fn new(hook: impl Fn() -> ReloadFuture + Send + Sync + 'static) -> Self {
        Self {
            hook: Arc::new(hook),
            turn: Arc::default(),
        }
    }

    /// Waits for attempts under way, then makes one. It runs to its end even when the caller goes away, for a reload
    /// that stops halfway is none.
    ///
    /// # Errors
    /// What is wrong with the configuration.
    pub async fn reload(&self) -> Result<(), String> {
        let (hook, turn) = (Arc::clone(&self.hook), Arc::clone(&self.turn));
        let attempt = tokio::spawn(async move {
            let _turn = turn.lock_owned().await;
            hook().await
        });
        attempt.await.unwrap_or_else(|_| {
            Err("loading the configuration failed inside the exporter; its log says why".into())
        })
    }
}

impl fmt::Debug for Reloader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloader").finish_non_exhaustive()
    }
}
