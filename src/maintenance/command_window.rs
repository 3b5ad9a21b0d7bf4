//! A window that a command started.

use super::request::Scope;
use crate::config::Service;
use crate::model::Moment;

/// A window that a command started. Its times are on the exporter's own clock, so a step of the wall clock does not change its
/// length.
#[derive(Clone, Debug, PartialEq)]
pub struct CommandWindow {
    /// Unique in the state directory: `m1`, `m2`, and so on.
    pub id: String,
    /// The services. Groups are resolved at every use, so a service that is added to a group is in maintenance as well.
    pub scope: Scope,
    /// The start.
    pub started: Moment,
    /// The end.
    pub ends: Moment,
    /// The user who started it.
    pub by: String,
    /// Why.
    pub reason: String,
}

impl CommandWindow {
    /// Whether it holds at `now`.
    pub fn is_active(&self, now: Moment) -> bool {
        now < self.ends
    }

    /// Whether it is for this service.
    pub fn covers(&self, service: &Service) -> bool {
        self.scope.all || self.scope.groups.contains(&service.group) || self.names(service.key.as_str())
    }

    /// Whether it names this service, not only its group.
    pub fn names(&self, key: &str) -> bool {
        self.scope.services.iter().any(|service| service == key)
    }
}
