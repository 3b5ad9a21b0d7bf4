//! The transport layer of all checks: name resolution, connections, TLS, proxies, HTTP, and the guard of probes. Nothing here
//! depends on a kind of check.

pub mod api_client;
pub mod certificates;
pub mod connect;
pub mod dbus;
pub mod dial;
pub mod dns_exchange;
pub mod endpoint;
pub mod engine;
pub mod guard;
pub mod http;
pub mod io_error;
pub mod network;
pub mod oauth2;
pub mod probe_samples;
pub mod proxy;
pub mod read_budget;
pub mod resolve;
pub mod reusable;
pub mod run_recorder;
pub mod shortage;
pub mod stream;
pub mod tls;
pub mod transport_error;
