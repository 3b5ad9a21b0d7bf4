//! The settings of healing, as the rest of the exporter uses them.

use std::time::Duration;

use crate::config::target::Target;
use crate::model::{Reason, words};

/// The reasons that a restart can fix, which are the default of `reasons`. The others are outside the process (`dns`, `tls`,
/// `auth`, `permission`), are not a failure (`slow`), or are the exporter's own (`internal`).
pub const DEFAULT_REASONS: [Reason; 7] = [
    Reason::Refused,
    Reason::Timeout,
    Reason::Closed,
    Reason::Protocol,
    Reason::State,
    Reason::Missing,
    Reason::Limit,
];

/// The default number of actions on all services within an hour.
pub const DEFAULT_TOTAL_BUDGET: u32 = 20;

/// How long a service must be up after an action, so that the action counts as a success. Most processes that fail again do so
/// within the first minute.
pub const VERIFY_FOR: Duration = Duration::from_secs(60);

words! {
    /// What the exporter does about a failed service.
    HealMode {
        /// Nothing.
        Off = "off",
        /// It records what it would do.
        DryRun = "dry-run",
        /// It acts.
        Act = "act",
    }
}

/// The settings of a service's healing.
#[derive(Clone, Debug, PartialEq)]
pub struct HealSettings {
    /// What to do; never [`HealMode::Off`].
    pub mode: HealMode,
    /// Consecutive failed runs of a critical check that cause an action; at least 1.
    pub after: u32,
    /// The action.
    pub action: HealAction,
    /// The unit or container whose state is checked before an action. `None` only with a command.
    pub target: Option<Target>,
    /// The reasons for failures that cause an action.
    pub reasons: Vec<Reason>,
    /// Why the service counts as a store of data that healing must not touch. `None` if it may act.
    pub stateful: Option<String>,
    /// The maximum number of actions within an hour.
    pub budget: u32,
    /// The minimum time between two actions.
    pub backoff: Backoff,
    /// How long a unit or container may start before it counts as failed.
    pub start_grace: Duration,
    /// See [`VERIFY_FOR`].
    pub verify_for: Duration,
}

/// What is done to heal a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HealAction {
    /// Restart the unit or container.
    Restart,
    /// Start the unit or container, if it does not run.
    Start,
    /// Run this program with these arguments. The program is an absolute path.
    Command(Vec<String>),
}

impl HealAction {
    /// The word in configuration, labels and logs.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::Start => "start",
            Self::Command(_) => "command",
        }
    }
}

/// The minimum time between two actions. It doubles with every action, and halves for every 10 minutes of health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// After the first action.
    pub min: Duration,
    /// The maximum.
    pub max: Duration,
}

/// The limits of healing as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealLimits {
    /// The maximum number of actions on all services within an hour.
    pub total: u32,
}

impl Default for HealLimits {
    fn default() -> Self {
        Self {
            total: DEFAULT_TOTAL_BUDGET,
        }
    }
}
