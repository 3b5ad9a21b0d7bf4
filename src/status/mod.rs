//! The status document: the state of every service as one JSON object, for programs and people.
//!
//! It has two sets of fields. The fields of the ChatStack monitor (`ok`, `http`, `port`, `systemd`, `process`) are for its existing
//! readers. The other fields (`status`, `reason`, `checks`) are complete. `schema` declares the types, `build` fills them from a
//! snapshot, `chatstack` fills the fields of the monitor, `advice` has the advice for problems, `file` writes the document to a
//! file, `targets` lists the checks for Prometheus's service discovery, and `models` searches the models that providers offer.

pub mod advice;
mod build;
mod chatstack;
mod file;
mod heal;
mod models;
pub mod schema;
mod targets;
mod time;
mod word;

pub use advice::markdown as advice_markdown;
pub use build::{document, groups, host_name, service};
pub use file::{StatusFile, StatusFileState};
pub use models::{FoundModel, FoundModels, ModelSearch, ModelSource, ModelsDocument, model_sources, models};
pub use schema::{Document, ServiceStatus};
pub use targets::{PROBED_KINDS, TargetGroup, targets};
