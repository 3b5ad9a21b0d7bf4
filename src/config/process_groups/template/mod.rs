//! Templates of group names: the part of Go's text/template that names of process-exporter use.
//!
//! Supported: `.Comm` and the other variables, `index`, `printf` and the other functions of `function.rs`, pipelines,
//! `if`, `with`, `range`, comments, and trim markers. Anything else is an error when the file is loaded. The meaning is Go's
//! (<https://pkg.go.dev/text/template>), including that an error while a name is rendered cuts the name off there.

mod attributes;
mod eval;
mod format;
mod function;
mod parse;
mod token;
mod value;

use std::fmt;
use std::sync::Arc;

pub use attributes::Attributes;
use parse::Node;

/// The longest template, in bytes.
pub const MAX_TEMPLATE_BYTES: usize = 4096;

/// The name of a group that a rule without a name has.
pub const DEFAULT_NAME: &str = "{{.ExeBase}}";

/// A template, compared by its source. Cheap to clone.
#[derive(Clone)]
pub struct Template {
    source: Arc<str>,
    nodes: Arc<[Node]>,
}

impl Template {
    /// Parses a template.
    ///
    /// # Errors
    /// What is wrong with it, or not supported.
    pub fn parse(source: &str) -> Result<Self, String> {
        if source.len() > MAX_TEMPLATE_BYTES {
            return Err(format!("longer than {MAX_TEMPLATE_BYTES} bytes"));
        }
        Ok(Self {
            nodes: parse::parse(source)?.into(),
            source: source.into(),
        })
    }

    /// Renders the name of a process. If a step fails, such as an index that is out of range, the name ends there.
    pub fn render(&self, attributes: &Attributes) -> String {
        eval::render(&self.nodes, attributes)
    }

    /// Whether names may contain control groups. They are read only then.
    pub fn uses_cgroups(&self) -> bool {
        self.source.contains(".Cgroups")
    }

    /// Whether names may contain the user.
    pub fn uses_username(&self) -> bool {
        self.source.contains(".Username")
    }

    /// The source.
    pub fn as_str(&self) -> &str {
        &self.source
    }
}

impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

#[cfg(test)]
mod tests;
