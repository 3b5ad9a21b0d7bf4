//! The web server: metrics, health, reload, and a page that links them.
//!
//! `server` accepts connections from what `socket` listens on and bounds their number, `tls` does the handshake, `stream`
//! bounds every wait for a client, `front` asks who it is (`auth`, `throttle`), `routes` knows what there is and `pages`
//! makes the texts. `config` reads the web configuration file, `live` reads it again when it changes.

mod accept;
mod auth;
mod body;
pub mod config;
mod connections;
mod front;
mod live;
mod pages;
mod protocol;
mod reload;
mod reply;
mod routes;
mod server;
mod socket;
mod socket_file;
mod stream;
mod throttle;
mod tls;

use std::fmt;
use std::sync::Arc;

pub use front::Front;
pub use live::WebConfig;
pub use reload::{ReloadFuture, Reloader};
pub use server::{MAX_CONNECTIONS, serve, serve_behind};
pub use socket::Listener;
pub use socket_file::{MODE as SOCKET_MODE, SocketError, SocketFile};

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
