//! Which pid namespaces a process check looks into.

use schemars::JsonSchema;
use serde::Deserialize;

/// Which processes count by their pid namespace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PidNamespace {
    /// Only those of the namespace that /proc belongs to; on a host, what runs in containers is left out.
    Own,
    /// All that /proc shows; on a host, what runs in containers too.
    #[default]
    Any,
}
