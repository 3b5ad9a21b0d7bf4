//! What the checks that talk over a network share.

use std::sync::Arc;

use super::http::Bodies;
use super::resolve::{Resolver, ResolverFiles};
use super::tls::SystemTrust;
use super::workers::Workers;

/// Name resolution, the system's authorities, the memory for bodies, and the threads that judge. A clone shares them.
#[derive(Clone, Debug, Default)]
pub struct Network {
    /// Resolves names.
    pub resolver: Arc<Resolver>,
    /// The authorities that the system trusts.
    pub trust: Arc<SystemTrust>,
    /// Bounds the memory that all bodies kept for assertions take together.
    pub bodies: Bodies,
    /// Hold what targets send against expressions.
    pub workers: Workers,
}

impl Network {
    /// A network whose names come from these files.
    pub fn new(files: ResolverFiles) -> Self {
        Self {
            resolver: Arc::new(Resolver::new(files)),
            ..Self::default()
        }
    }
}
