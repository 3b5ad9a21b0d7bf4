//! The status document: what is known of every service, as one JSON object for programs and people.
//!
//! It bears two vocabularies side by side. That of the old status monitor (`ok`, `http`, `port`, `systemd`, `process`) keeps its
//! readers working; ours (`status`, `reason`, `checks`) says all there is to say. `document` declares the types, `build` fills
//! them from a snapshot, `legacy` does the old vocabulary, `advice` says what to do about a problem, and `file` keeps a copy
//! on disk. `targets` lists the checks for Prometheus's service discovery.

pub mod advice;
mod build;
pub mod document;
mod file;
mod legacy;
mod targets;

pub use build::{document, groups, host_name, overall, service};
pub use document::{Document, ServiceStatus};
pub use file::StatusFile;
pub use targets::{PROBED_KINDS, TargetGroup, targets};
