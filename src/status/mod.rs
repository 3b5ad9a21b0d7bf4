//! The status document: what is known of every service, as one JSON object for programs and people.
//!
//! It has two sets of fields. Those of the ChatStack monitor (`ok`, `http`, `port`, `systemd`, `process`) keep its readers
//! working; ours (`status`, `reason`, `checks`) hold everything. `document` declares the types, `build` fills them from a
//! snapshot, `chatstack` adds the monitor's fields, `advice` says what to do about a problem, `file` keeps a copy on disk, and
//! `targets` lists the checks for Prometheus's service discovery.

pub mod advice;
mod build;
mod chatstack;
mod file;
pub mod schema;
mod targets;

pub use build::{document, groups, host_name, service};
pub use file::{StatusFile, StatusFileState};
pub use schema::{Document, ServiceStatus};
pub use targets::{PROBED_KINDS, TargetGroup, targets};
