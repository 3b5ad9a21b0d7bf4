//! What an action needs from outside.

use std::future::Future;
use std::pin::Pin;

use super::evidence::{TargetEvidence, TargetState};
use crate::config::Target;
use crate::config::heal::HealSettings;
use crate::model::ServiceKey;

/// A future of a trait object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Queries and changes units and containers. Tests use their own.
pub trait Control: Send + Sync + 'static {
    /// Queries the state of a unit or container.
    ///
    /// # Errors
    /// Why it is unknown.
    fn state<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, Result<TargetState, String>>;

    /// Takes the action on the service, and waits for its end. `state` is the state of the unit or container just before.
    ///
    /// # Errors
    /// Why it failed. It may have done part of its work.
    fn act<'a>(
        &'a self,
        service: &'a ServiceKey,
        settings: &'a HealSettings,
        state: &'a TargetEvidence,
    ) -> BoxFuture<'a, Result<(), String>>;
}
