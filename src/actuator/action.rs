//! What to do with a unit or container, and the result.

use crate::model::words;

words! {
    /// What to do with a unit or container.
    Action {
        /// Start it. A running one does not change.
        Start = "start",
        /// Stop it. A stopped one does not change.
        Stop = "stop",
        /// Stop it, if it runs, and start it.
        Restart = "restart",
    }
}

/// The result of a successful action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// The action is complete.
    Changed,
    /// There was nothing to do: it was in the wanted state already, or systemd skipped the job because of a condition.
    Unchanged,
}

/// What to do if systemd already has another job for the unit, such as a stop job when it is to be started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Conflict {
    /// Replace the other job, as `systemctl` does. For actions of a person.
    #[default]
    Replace,
    /// Fail. For automatic actions: a person or another program has the unit in hand.
    Fail,
}
