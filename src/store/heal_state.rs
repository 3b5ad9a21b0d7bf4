//! The healing of a service in a snapshot. The store leaves it empty; the exporter fills it in from the healer.

use crate::config::heal::HealMode;
use crate::model::{CheckName, Reason};

/// The healing of a service. Times are Unix times in seconds.
#[derive(Clone, Debug, PartialEq)]
pub struct HealState {
    /// Its mode; never off.
    pub mode: HealMode,
    /// What an action does: `restart`, `start` or `command`.
    pub action: &'static str,
    /// The unit or container; empty for a command without one.
    pub target: String,
    /// The actions, or in a dry run the dry runs, that are left in this hour.
    pub budget_remaining: u32,
    /// The maximum number of actions within an hour.
    pub budget_limit: u32,
    /// A pause of this service or of all services.
    pub pause: Option<HealPause>,
    /// Whether healing gave up.
    pub has_given_up: bool,
    /// Why no action is taken now. `None` if nothing is to be healed, or an action is in progress.
    pub refusal: Option<&'static str>,
    /// The last action. `None` without one; dry runs do not count.
    pub last_action: Option<LastAction>,
    /// Finished actions since the exporter started, by result.
    pub actions: Vec<(&'static str, u64)>,
    /// Refusals since the exporter started, by reason.
    pub refusals: Vec<(&'static str, u64)>,
    /// The last decisions, newest first.
    pub decisions: Vec<HealDecision>,
}

/// A pause of healing.
#[derive(Clone, Debug, PartialEq)]
pub struct HealPause {
    /// When it ends; `None` if a person must end it.
    pub until: Option<f64>,
    /// Who requested it.
    pub by: String,
}

/// The last action on a service.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LastAction {
    /// When it began.
    pub at: f64,
    /// `success`: the service was up for long enough afterwards. `failed`: it was not, or the action failed. `pending`: the action is
    /// in progress, or its effect is not known yet.
    pub result: &'static str,
}

/// A decision or event.
#[derive(Clone, Debug, PartialEq)]
pub struct HealDecision {
    /// When.
    pub at: f64,
    /// What happened, such as `acted` or `refused`.
    pub event: &'static str,
    /// The action, the reason of a refusal, or who paused or resumed healing.
    pub detail: String,
    /// The check that caused it, with its failed runs and the reason of the last one.
    pub cause: Option<(CheckName, usize, Reason)>,
    /// The evidence for people.
    pub evidence: String,
}

/// The budget of all services together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealBudget {
    /// The actions that are left in this hour.
    pub remaining: u32,
    /// The maximum number of actions within an hour.
    pub limit: u32,
}
