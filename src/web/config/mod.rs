//! The web configuration file (`--web.config.file`): TLS, users, header fields and rate limit of the exporter's own server, in
//! the format of Prometheus's exporter toolkit
//! (<https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md>).
//!
//! Unsupported keys and values are errors: a server with less protection than configured is worse than one that does not
//! start.

mod clients;
mod http;
mod load;
mod options;
mod parameters;
mod pem;
mod rate;
mod tls;
mod users;

pub(super) use load::{FileVersions, file_error, load_with_versions};
pub use load::{MAX_FILE_BYTES, WebSettings, load, parse_bytes};
pub use pem::Files;
pub use rate::Rate;
pub use users::{MAX_COST, PasswordHash};
