//! Loading the configuration again while running: a bad one changes nothing, a good one is taken over as a whole.

use std::sync::Arc;

use tokio::sync::mpsc;
use tracing::{error, info};

use crate::config::{Config, ConfigError};
use crate::store::Store;
use crate::web::Reloader;
use crate::{metrics, notify};

/// Loads the configuration as it is now.
pub type Loader = dyn Fn() -> Result<Config, ConfigError> + Send + Sync;

/// A reloader that hands what `load` returns to `take_over`, and tells the store of what could not be loaded.
pub fn reloader(
    load: Arc<Loader>,
    store: Arc<Store>,
    take_over: impl Fn(&Config) + Send + Sync + 'static,
) -> Reloader {
    let take_over = Arc::new(take_over);
    Reloader::new(move || {
        let (load, store, take_over) = (Arc::clone(&load), Arc::clone(&store), Arc::clone(&take_over));
        Box::pin(async move { reload(load, &store, &*take_over).await })
    })
}

/// Loads the configuration and takes it over. A bad one leaves the one before in force, and the metrics say so; the
/// error holds all findings.
async fn reload(
    load: Arc<Loader>,
    store: &Store,
    take_over: &(dyn Fn(&Config) + Send + Sync),
) -> Result<(), String> {
    notify::reloading();
    // A large file takes a while to read; the checks must not wait for it.
    let result = match tokio::task::spawn_blocking(move || load()).await {
        Ok(Ok(config)) => {
            take_over(&config);
            Ok(summary(&config))
        }
        Ok(Err(findings)) => Err(findings.to_string()),
        Err(panic) => Err(format!("loading the configuration: {panic}")),
    };
    match &result {
        Ok(summary) => {
            info!(%summary, "configuration loaded");
            notify::ready(summary);
        }
        Err(findings) => {
            store.reload_failed();
            error!(error = %findings, "configuration not loaded; the one before stays in force");
            notify::ready("serving; the configuration file is bad and was not loaded, see the log");
        }
    }
    result.map(drop)
}

/// Loads the configuration each time `hangup` says so. Never returns.
pub async fn follow(mut hangup: mpsc::Receiver<()>, reloader: &Reloader) {
    while hangup.recv().await.is_some() {
        // The log and the metrics tell what came of it.
        let _ = reloader.reload().await;
    }
    std::future::pending().await
}

/// What a configuration makes, for people: "1 service, 7 checks, at most 142 series".
pub fn summary(config: &Config) -> String {
    let checks: usize = config.services.iter().map(|service| service.checks.len()).sum();
    let counted = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let modules = match config.probe.modules.len() {
        0 => String::new(),
        modules => format!(", {}", counted(modules, "module")),
    };
    format!(
        "{}, {}{modules}, at most {} series",
        counted(config.services.len(), "service"),
        counted(checks, "check"),
        metrics::series_count(config)
    )
}
