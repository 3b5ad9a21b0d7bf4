//! The resources that all connections of the exporter share.

use std::sync::Arc;

use super::certificates::SystemTrust;
use super::resolve::{Resolver, ResolverFiles};

/// The resolver and the system's certificate authorities. Clones share both.
#[derive(Clone, Debug, Default)]
pub struct Network {
    /// The resolver of names.
    pub resolver: Arc<Resolver>,
    /// The authorities that the system trusts.
    pub trust: Arc<SystemTrust>,
}

impl Network {
    /// A network whose resolver reads these files.
    pub fn new(files: ResolverFiles) -> Self {
        Self {
            resolver: Arc::new(Resolver::new(files)),
            ..Self::default()
        }
    }
}
