//! The web configuration file (`--web.config.file`): TLS, users, header fields and a rate of the exporter's own server, in
//! the format of Prometheus's exporter toolkit
//! (<https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md>).
//!
//! A key or a value that can't be honoured is an error: a server that is less protected than its file says is worse than
//! one that does not start.

mod clients;
mod http;
mod load;
mod parameters;
mod pem;
mod rate;
mod tls;
mod users;
mod written;

pub use load::{MAX_FILE_BYTES, WebSettings, load, parse_bytes};
pub(super) use load::{Stamps, load_stamped, whole};
pub use pem::Files;
pub use rate::Rate;
pub use users::{MAX_COST, PasswordHash};
