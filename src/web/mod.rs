//! The web server: metrics, status as JSON, health, reload, and a page that links them.
//!
//! `server` accepts connections and bounds their number, `stream` bounds every wait for a client, `routes` knows what
//! there is, `pages` makes the texts and `api` the JSON.

mod accept;
mod api;
mod body;
mod connections;
mod pages;
mod probe;
mod query;
mod reload;
mod reply;
mod routes;
mod server;
mod shared;
mod stream;

use std::fmt;
use std::sync::Arc;

pub use reload::{ReloadFuture, Reloader};
pub use server::{MAX_CONNECTIONS, serve};

use crate::metrics::Renderer;
use crate::probe::Prober;
use crate::store::Snapshot;
pub use shared::Bodies;

/// What the server answers from.
pub struct State {
    /// What is known of every check and service now.
    pub snapshot: Box<dyn Fn() -> Snapshot + Send + Sync>,
    /// Answers `/probe`.
    pub prober: Arc<Prober>,
    /// Renders the metrics.
    pub renderer: Arc<Renderer>,
    /// Whether every check has run at least once.
    pub is_ready: Box<dyn Fn() -> bool + Send + Sync>,
    /// Loads the configuration anew.
    pub reloader: Reloader,
    /// Whether `POST /-/reload` is allowed (`--web.enable-lifecycle`).
    pub is_lifecycle_enabled: bool,
    /// Where the metrics are (`--web.telemetry-path`); begins with a slash.
    pub telemetry_path: String,
    /// The bodies that are made of snapshots.
    pub bodies: Bodies,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("is_lifecycle_enabled", &self.is_lifecycle_enabled)
            .field("telemetry_path", &self.telemetry_path)
            .finish_non_exhaustive()
    }
}
