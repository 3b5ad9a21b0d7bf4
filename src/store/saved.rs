//! The saved state of services and checks.

use std::sync::Arc;

use crate::model::{CheckName, Moment, Problem, ServiceKey, Status};
use crate::verdict::{CheckVerdict, Conditions};

/// The saved state of a service.
#[derive(Clone, Debug)]
pub struct SavedService {
    /// The last status.
    pub status: Status,
    /// Since when the service has that status.
    pub status_since: Option<Moment>,
    /// Whether the service ever had a status other than unknown.
    pub has_verdict: bool,
    /// The conditions.
    pub conditions: Conditions,
    /// Whether no condition becomes confirmed; see [`super::suppression::Suppression`].
    pub is_suppressed: bool,
    /// When the last suppression ended. Evidence before this moment confirms nothing.
    pub counts_from: Option<Moment>,
}

impl Default for SavedService {
    fn default() -> Self {
        Self {
            status: Status::Unknown,
            status_since: None,
            has_verdict: false,
            conditions: Conditions::default(),
            is_suppressed: false,
            counts_from: None,
        }
    }
}

/// The saved state of a check.
#[derive(Clone, Debug, Default)]
pub struct SavedCheck {
    /// The fingerprint of the settings; see [`super::fingerprint`].
    pub fingerprint: u64,
    /// The verdict of its runs.
    pub verdict: CheckVerdict,
    /// When the last run ended.
    pub last_ended: Option<Moment>,
    /// When the last successful run ended.
    pub last_success: Option<Moment>,
    /// The last problem.
    pub problem: Option<Arc<Problem>>,
}

/// The saved state of all services.
#[derive(Clone, Debug, Default)]
pub struct SavedState {
    /// The services with their checks, in no particular order. Keys and names are unique.
    pub services: Vec<(ServiceKey, SavedService, SavedChecks)>,
}

/// The saved state of the checks of a service, by name.
pub type SavedChecks = Vec<(CheckName, SavedCheck)>;
