//! The web server: metrics, health, reload, the status page and its events.
//!
//! `server` accepts connections and bounds their number, `stream` bounds every wait for a client, `routes` knows what
//! there is, `page` renders the status page, and `live` tells what happens.

mod accept;
mod body;
mod connections;
mod event_stream;
mod live;
mod page;
mod reload;
mod reply;
mod routes;
mod server;
mod stream;
mod update;

use std::fmt;
use std::sync::Arc;

pub use live::{Live, MAX_STREAMS};
pub use reload::{ReloadFuture, Reloader};
pub use server::{MAX_CONNECTIONS, serve};

use crate::metrics::Renderer;
use crate::store::Snapshot;

/// What the server answers from.
pub struct State {
    /// What is known of every check and service now.
    pub snapshot: Box<dyn Fn() -> Snapshot + Send + Sync>,
    /// Renders the metrics.
    pub renderer: Arc<Renderer>,
    /// Whether every check has run at least once.
    pub is_ready: Box<dyn Fn() -> bool + Send + Sync>,
    /// Loads the configuration anew.
    pub reloader: Reloader,
    /// Whether `POST /-/reload` is allowed (`--web.enable-lifecycle`).
    pub is_lifecycle_enabled: bool,
    /// What the page and its events need beside snapshots.
    pub live: Arc<Live>,
    /// Where the metrics are (`--web.telemetry-path`); begins with a slash.
    pub telemetry_path: String,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("is_lifecycle_enabled", &self.is_lifecycle_enabled)
            .field("telemetry_path", &self.telemetry_path)
            .finish_non_exhaustive()
    }
}
