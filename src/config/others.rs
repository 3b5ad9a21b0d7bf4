//! What a configuration has in addition to the document that is being resolved.

use std::sync::Arc;

use super::settings::Service;

/// The parts of a configuration that its document does not contain.
#[derive(Clone, Copy, Debug, Default)]
pub struct Others<'a> {
    /// The services of files whose last valid content stays in use.
    pub services: &'a [Arc<Service>],
    /// Whether services may be missing, because a file has errors. A reference to an unknown service is then only a warning.
    pub is_incomplete: bool,
}
