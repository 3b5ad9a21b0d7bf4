//! The pid namespaces whose processes a process check counts.

use schemars::JsonSchema;
use serde::Deserialize;

/// Which processes count by their pid namespace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PidNamespace {
    /// Only processes of the namespace that /proc belongs to. On a host, processes in containers do not count.
    Own,
    /// All processes that /proc shows. On a host, processes in containers count.
    #[default]
    Any,
}
