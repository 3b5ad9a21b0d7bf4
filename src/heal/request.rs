//! What the command `heal` and the exporter send each other over the control socket.

use serde::{Deserialize, Serialize};

/// A request of the command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Request {
    /// Reports the state of a service with its last decisions, or of all services.
    Status {
        /// The key of the service.
        service: Option<String>,
    },
    /// Pauses healing of a service or of all services.
    Pause {
        /// The key of the service.
        service: Option<String>,
        /// The length in seconds. Without it, the pause lasts until a person resumes.
        seconds: Option<u64>,
        /// Why, for people; may be empty.
        reason: String,
    },
    /// Ends the pause, and heals services again that healing gave up on.
    Resume {
        /// The key of the service.
        service: Option<String>,
    },
}

/// The response to every request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Response {
    /// Whether the flag `--no-heal` is set.
    pub disabled: bool,
    /// The actions on all services together that are left in this hour.
    pub budget_remaining: u32,
    /// The maximum number of actions on all services together within an hour.
    pub budget_limit: u32,
    /// The pause of all services.
    pub pause: Option<PauseRow>,
    /// The requested service, or all services whose mode is not off.
    pub services: Vec<ServiceRow>,
    /// What the operator should know.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// A pause.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PauseRow {
    /// When it ends: RFC 3339, UTC. `None` if a person must end it.
    pub until: Option<String>,
    /// Who requested it.
    pub by: String,
    /// Why; may be empty.
    pub reason: String,
}

/// The healing of a service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceRow {
    /// The key of the service.
    pub service: String,
    /// The mode.
    pub mode: String,
    /// What an action does.
    pub action: String,
    /// The unit or container; empty for a command without one.
    pub target: String,
    /// The actions that are left in this hour.
    pub budget_remaining: u32,
    /// The maximum number of actions within an hour.
    pub budget_limit: u32,
    /// Its own pause.
    pub pause: Option<PauseRow>,
    /// Whether healing gave up.
    pub gave_up: bool,
    /// Whether an action is in progress.
    pub acting: bool,
    /// Why no action is taken now.
    pub refusal: Option<String>,
    /// When the last action began: RFC 3339, UTC.
    pub last_action: Option<String>,
    /// The result of the last action: `success`, `failed` or `pending`.
    pub last_result: Option<String>,
    /// The last decisions, newest first. Empty unless one service was requested.
    #[serde(default)]
    pub decisions: Vec<DecisionRow>,
}

/// A decision or event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DecisionRow {
    /// When: RFC 3339, UTC.
    pub at: String,
    /// What happened.
    pub event: String,
    /// The action, the reason of a refusal, or who paused or resumed healing.
    pub detail: String,
    /// The check that caused it.
    pub check: Option<String>,
    /// Its failed runs in a row since the last action.
    pub runs: Option<usize>,
    /// Why the last one failed.
    pub reason: Option<String>,
    /// The evidence for people.
    pub evidence: String,
}
