//! The identities of services and checks in labels, logs and the saved state.

use std::fmt;
use std::sync::Arc;

/// A service's key as configured: `[a-z0-9_.-]+`, unique in the configuration. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceKey(Arc<str>);

/// A check's name, unique within its service. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CheckName(Arc<str>);

macro_rules! text_id {
    ($($name:ident),+) => {$(
        impl $name {
            /// Wraps the text without checking it; the configuration has checked it.
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

text_id!(ServiceKey, CheckName);

/// Identifies a check across reloads and restarts: the key of its service and its own name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CheckId {
    /// The service the check belongs to.
    pub service: ServiceKey,
    /// The check's name within the service.
    pub check: CheckName,
}

impl fmt::Display for CheckId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.service, self.check)
    }
}
