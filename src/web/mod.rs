//! The web server: metrics, probes, the status page and its events, status as JSON, health, reload.
//!
//! `server` accepts connections from the listeners of `socket` and bounds their number. `tls` does the handshake. `stream` bounds
//! every wait for a client. `auth_layer` admits a request (`hosts`, `auth`, `throttle`), `endpoints` finds what its path names,
//! and `routes` answers it: `html` renders the pages, `api` the JSON, `event_hub` sends events. `body_cache` holds all rendered
//! bodies. `config` reads the web configuration file, and `watched_config` reloads it when it changes.

mod accept;
mod api;
mod auth;
mod auth_error;
mod auth_layer;
mod body;
mod body_cache;
pub mod config;
mod connections;
mod encoding;
mod endpoints;
mod event_hub;
mod event_stream;
#[doc(hidden)]
pub mod fuzz_api;
mod hosts;
mod html;
mod probe;
mod protocol;
mod query;
mod reload;
mod rendered_body;
mod reply;
mod routes;
mod row_diff;
mod server;
mod single_flight;
mod socket;
mod socket_file;
mod stream;
mod throttle;
mod tls;
mod watched_config;

use std::fmt;
use std::sync::Arc;

pub use auth_layer::{AuthLayer, MAX_CONNECTIONS};
pub use body_cache::BodyCache;
pub use endpoints::is_taken;
pub use event_hub::{EventHub, MAX_STREAMS};
pub use hosts::{AllowedHost, AllowedHosts};
pub use reload::{ReloadFuture, Reloader};
pub use server::{serve, serve_behind};
pub use socket::Listener;
pub use socket_file::{MODE as SOCKET_MODE, SocketError, SocketFile};
pub use watched_config::WebConfig;

use crate::metrics::Renderer;
use crate::probe::Prober;
use crate::store::Snapshot;

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
    /// The hosts that requests may name (`--web.allowed-hosts`).
    pub allowed_hosts: AllowedHosts,
    /// Sends events to pages and other clients.
    pub event_hub: Arc<EventHub>,
    /// Where the metrics are (`--web.telemetry-path`); begins with a slash.
    pub telemetry_path: String,
    /// The rendered bodies of metrics, pages and JSON.
    pub bodies: BodyCache,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("is_lifecycle_enabled", &self.is_lifecycle_enabled)
            .field("telemetry_path", &self.telemetry_path)
            .finish_non_exhaustive()
    }
}
