//! Reloads the configuration when its files change.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::inotify::Watches;
use crate::config::ConfigFiles;
use crate::config::files::Versions;
use crate::web::Reloader;

/// How long files must stay unchanged before they are loaded. An editor writes a file in steps, and a deployment several files.
const SETTLED_AFTER: Duration = Duration::from_secs(1);

/// Files that change all the time are loaded after this time nevertheless.
const MAX_SETTLING: Duration = Duration::from_secs(30);

/// The minimum time between two looks at the files. Other files of a directory may change all the time.
const PAUSE: Duration = Duration::from_millis(200);

/// The files of a configuration whose changes are loaded automatically.
#[derive(Clone, Debug)]
pub struct WatchedFiles {
    /// The files.
    pub files: Arc<ConfigFiles>,
    /// How often files are looked at without an event. inotify does not report changes that another machine makes in a network file
    /// system.
    pub poll_interval: Duration,
}

/// Reloads the configuration when its files change. `None` for a configuration that is not watched. Never returns.
pub async fn reload_on_change(watched: Option<WatchedFiles>, reloader: &Reloader) {
    let Some(WatchedFiles { files, poll_interval }) = watched else {
        return std::future::pending().await;
    };
    let mut watches = match Watches::new() {
        Ok(watches) => Some(watches),
        Err(error) => {
            warn!(%error, "watching the configuration with inotify failed; polling it instead");
            None
        }
    };
    loop {
        // The watches come first, so that no change is missed between the look at the files and the wait.
        if let Some(watches) = &mut watches
            && let Some(directories) = look(&files, ConfigFiles::watched_directories).await
        {
            watches.set(&directories);
        }
        match look(&files, ConfigFiles::versions).await {
            Some(versions) if files.differ_from_loaded(&versions) => {
                let versions = settle(&files, versions).await;
                if files.differ_from_loaded(&versions) {
                    info!("the configuration files changed");
                    // The log and the metrics show the result.
                    let _ = reloader.reload().await;
                }
            }
            _ => wait(&mut watches, poll_interval).await,
        }
        sleep(PAUSE).await;
    }
}

/// Calls `read` with the files. A file system that hangs must not block a worker.
async fn look<T: Send + 'static>(files: &Arc<ConfigFiles>, read: fn(&ConfigFiles) -> T) -> Option<T> {
    let files = Arc::clone(files);
    tokio::task::spawn_blocking(move || read(&files)).await.ok()
}

/// Waits until the files stay unchanged, and returns their versions.
async fn settle(files: &Arc<ConfigFiles>, mut versions: Versions) -> Versions {
    let start = Instant::now();
    while start.elapsed() < MAX_SETTLING {
        sleep(SETTLED_AFTER).await;
        match look(files, ConfigFiles::versions).await {
            Some(current) if current != versions => versions = current,
            _ => break,
        }
    }
    versions
}

/// Waits for an event, or for the next poll.
async fn wait(watches: &mut Option<Watches>, poll_interval: Duration) {
    let Some(active) = watches else {
        return sleep(poll_interval).await;
    };
    tokio::select! {
        () = sleep(poll_interval) => {}
        result = active.changed() => if let Err(error) = result {
            warn!(%error, "watching the configuration with inotify failed; polling it instead");
            *watches = None;
        }
    }
}
