//! Reloads the configuration at run time, on request and when its files change. An invalid file changes nothing.

mod inotify;
mod watch;

use std::sync::Arc;

use tokio::sync::mpsc;
use tracing::{error, info};

use crate::config::{Config, ConfigError, LoadedFiles};
use crate::discover::Continuous;
use crate::store::Store;
use crate::web::Reloader;
use crate::{metrics, notify};
pub use watch::{WatchedFiles, reload_on_change};

/// Loads the current configuration.
pub type Loader = dyn Fn() -> Result<LoadedFiles, ConfigError> + Send + Sync;

/// Creates a reloader that passes the loaded configuration to `apply`, and records failures in the store.
pub fn reloader(
    load: Arc<Loader>,
    store: Arc<Store>,
    apply: impl Fn(&Config) + Send + Sync + 'static,
) -> Reloader {
    let apply = Arc::new(apply);
    Reloader::new(move || {
        let (load, store, apply) = (Arc::clone(&load), Arc::clone(&store), Arc::clone(&apply));
        Box::pin(async move { reload(load, &store, &*apply).await })
    })
}

/// Loads and applies the configuration. If a file is invalid, its previous content stays in use, metrics show the failure, and the error
/// has all findings.
async fn reload(
    load: Arc<Loader>,
    store: &Store,
    apply: &(dyn Fn(&Config) + Send + Sync),
) -> Result<(), String> {
    notify::reloading();
    // Loading a large file takes a while, and must not delay the checks.
    let result = match tokio::task::spawn_blocking(move || load()).await {
        Ok(Ok(loaded)) => {
            store.record_config_files(&loaded.files);
            apply(&loaded.config);
            match loaded.errors {
                None => Ok(summary(&loaded.config, loaded.files.len())),
                Some(findings) => Err(findings.to_string()),
            }
        }
        Ok(Err(findings)) => {
            store.reload_failed();
            Err(findings.to_string())
        }
        Err(panic) => {
            store.reload_failed();
            Err(format!("loading the configuration: {panic}"))
        }
    };
    match &result {
        Ok(summary) => {
            info!(%summary, "configuration loaded");
            notify::ready(summary);
        }
        Err(findings) => {
            error!(error = %findings, "loading the configuration failed; the last valid content of the files with errors stays in use");
            notify::ready("serving; the last reload of the configuration failed, see the log");
        }
    }
    result.map(drop)
}

/// Reloads the configuration on every message of `hangup`. Never returns.
pub async fn reload_on_hangup(mut hangup: mpsc::Receiver<()>, reloader: &Reloader) {
    while hangup.recv().await.is_some() {
        // The log and the metrics show the result.
        let _ = reloader.reload().await;
    }
    std::future::pending().await
}

/// Reloads the configuration when discovery finds a new service or check. Never returns.
pub async fn reload_on_discovery(discovery: Option<Arc<Continuous>>, reloader: &Reloader) {
    let Some(discovery) = discovery else {
        return std::future::pending().await;
    };
    loop {
        if discovery.wait_for_change().await {
            // The log and the metrics show the result.
            let _ = reloader.reload().await;
        }
    }
}

/// Summarizes a configuration of so many files: "1 service, 7 checks, at most 142 series".
pub fn summary(config: &Config, files: usize) -> String {
    let checks: usize = config.services.iter().map(|service| service.checks.len()).sum();
    let counted = |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
    let modules = match config.probe.modules.usable.len() {
        0 => String::new(),
        modules => format!(", {}", counted(modules, "module")),
    };
    let groups = match &config.process_groups {
        None => String::new(),
        Some(groups) => format!(", {} for process groups", counted(groups.rules.len(), "rule")),
    };
    let disabled = match config.disabled.len() {
        0 => String::new(),
        disabled => format!(", {disabled} turned off (enabled: false)"),
    };
    format!(
        "{}, {}{disabled}{modules}{groups}, at most {} series",
        counted(config.services.len(), "service"),
        counted(checks, "check"),
        metrics::series_count(config) + files.saturating_sub(1) as u64
    )
}
