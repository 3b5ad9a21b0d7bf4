//! The web server: metrics, probes, the status page and its events, status as JSON, health, reload, actions
//! on services, beats of jobs.
//!
//! `server` accepts connections from the listeners of `socket` and bounds their number. `tls` does the handshake. `stream` bounds
//! every wait for a client. `admission_layer` admits a request (`hosts`, `auth`, `throttle`), `endpoints` finds what its path names,
//! and `routes` handles it: `html` renders the pages, `api` the JSON, `event_hub` sends events, and
//! `heartbeat` receives beats. `body_cache` holds all rendered
//! bodies. `config` reads the web configuration file, and `watched_config` reloads it when it changes.

mod accept;
mod admin;
mod admin_reply;
mod admission_layer;
mod api;
mod auth;
mod auth_error;
mod badge;
mod body;
mod body_cache;
mod client;
pub mod config;
mod connections;
mod encoding;
mod endpoints;
mod error_reply;
mod event_hub;
mod event_log;
mod event_stream;
#[doc(hidden)]
pub mod fuzz_api;
mod heartbeat;
mod history;
mod hosts;
mod html;
mod model_query;
mod pages;
mod peer;
mod probe;
mod processes;
mod protocol;
mod query;
mod reload;
mod rendered_body;
mod reply;
mod routes;
mod row_diff;
mod server;
mod servers;
mod single_flight;
mod socket;
mod state;
mod stream;
mod throttle;
mod tls;
mod watched_config;

pub use admin::Admin;
pub use admission_layer::{AdmissionLayer, MAX_CONNECTIONS};
pub use body_cache::BodyCache;
pub use endpoints::is_reserved_path;
pub use event_hub::{EventHub, MAX_STREAMS};
pub use heartbeat::HeartbeatEndpoint;
pub use hosts::{AllowedHost, AllowedHosts};
pub use reload::{ReloadFuture, Reloader};
pub use server::{serve, serve_behind};
pub use servers::Servers;
pub use socket::Listener;
pub use state::State;
pub use watched_config::WebConfig;
