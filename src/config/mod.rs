//! The configuration. Written options (`*Options`, with optional keys and short forms) resolve to settings (`*Settings`, with
//! all defaults filled in). Only settings leave this module.
//!
//! [`files`] reads files, and [`yaml`] parses each one to a tree that knows the position of every value. `root`, `services` and
//! `checks` split the tree into parts with `key_split`, [`yaml::read`] deserializes the parts to option types, and these
//! resolve themselves. Errors and warnings are collected at a [`place::Place`] and reported together, with their positions.

pub mod address;
mod allowed_directories;
pub mod budget;
mod bytes_text;
pub mod celery;
pub mod certificate;
mod chatstack_format;
mod checks;
mod dependencies;
mod diagnostic;
pub mod dialogue;
pub mod dns;
pub mod docker;
pub mod duration;
pub mod exec;
pub mod exec_directories;
pub mod expression;
pub mod file_version;
pub mod files;
pub mod grpc;
pub mod heal;
pub mod heartbeat;
pub mod host;
pub mod http;
pub mod icmp;
mod ip_protocol_alias;
mod job_tokens;
pub mod json_path;
mod key_split;
mod kind_facts;
mod kinds;
mod level;
mod load;
pub mod maintenance;
pub mod memcached;
pub mod monitor;
pub mod monitor_options;
pub mod node;
mod opposites;
pub mod options;
mod others;
pub mod pattern;
mod pattern_cache;
pub mod place;
pub mod port;
pub mod postgres;
pub mod probe;
pub mod process;
pub mod process_groups;
pub mod process_names_file;
pub mod provider;
pub mod python;
pub mod rabbitmq;
mod redact;
pub mod redis;
mod redundancy;
pub mod regular_file;
mod renamed;
pub mod resource_limits;
mod root;
pub mod s3;
pub mod schema;
mod schema_parts;
mod schema_scalars;
pub mod secret;
pub mod server_url;
mod service_key;
mod services;
pub mod settings;
mod short_form;
pub mod size;
pub mod slo;
mod slow_checks;
pub mod suggest;
pub mod systemd;
mod target;
pub mod tcp;
#[cfg(test)]
pub mod tests_support;
mod tier_defaults;
mod timings;
pub mod tls;
pub mod unix;
mod unsupported;
mod validate;
pub mod websocket;
pub mod yaml;
pub mod zone;

pub use diagnostic::{ConfigError, Diagnostic, MAX_SHOWN};
pub use files::{ConfigFile, ConfigFiles, LoadedFiles, load, load_all};
pub use kind_facts::{KindFacts, OwnTimings};
pub use kinds::{KindSettings, sees_certificates};
pub use load::{
    EMBEDDED_DEFAULT, Loaded, MAX_FILE_BYTES, embedded_default, embedded_default_with, parse, parse_bytes,
    read_document,
};
pub use service_key::from_name as key_from_name;
pub use settings::{CheckSettings, Config, Disabled, Service};
pub use target::Target;
