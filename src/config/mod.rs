//! The configuration: what was written (`*Options`, `Option`s and short forms) becomes what it resolves to
//! (`*Settings`, no defaults left open). Only the resolved form leaves this module.
//!
//! A file goes this way: [`load()`] reads it, [`yaml`] makes a tree of it that knows the place of every value, `document`
//! takes the tree apart down to single checks, `pieces` and [`yaml::read`] make written types of the parts, and these
//! resolve themselves. Everything found on the way is collected, located in the file, and told at once.

pub mod address;
pub mod budget;
pub mod celery;
mod checks;
mod dependencies;
pub mod dialogue;
pub mod dns;
pub mod docker;
pub mod duration;
pub mod expression;
mod findings;
pub mod grpc;
pub mod http;
pub mod icmp;
pub mod json_path;
mod key_split;
mod kinds;
mod levels;
mod load;
pub mod memcached;
pub mod monitor;
mod old_form;
pub mod pattern;
mod pattern_cache;
pub mod place;
pub mod postgres;
pub mod probe;
pub mod process;
pub mod rabbitmq;
pub mod redis;
pub mod regular_file;
mod root;
pub mod s3;
pub mod schema;
pub mod secret;
pub mod server_url;
mod services;
pub mod settings;
mod short_form;
pub mod size;
pub mod stamp;
pub mod suggest;
pub mod systemd;
pub mod tcp;
#[cfg(test)]
pub mod tests_support;
mod texts;
mod timings;
pub mod tls;
pub mod unix;
mod unsupported;
pub mod written;
pub mod yaml;
pub mod zone;

pub use findings::{ConfigError, Located, MAX_SHOWN};
pub use load::{
    EMBEDDED_DEFAULT, Loaded, MAX_FILE_BYTES, embedded_default, embedded_default_on, load, parse,
    parse_bytes, read_document,
};
pub use settings::{CheckSettings, Config, KindFacts, KindSettings, Service};
