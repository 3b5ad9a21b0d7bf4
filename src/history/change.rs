//! A change of the status of a service, or of its maintenance while it is not up, in 32 bytes.

use crate::model::{CheckName, Reason, Status};

/// A change of the status of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Since when the service has the status, as a Unix time in milliseconds.
    pub at: i64,
    /// The check that causes the status. `None` while up.
    pub check: Option<CheckName>,
    /// The new status.
    pub status: Status,
    /// The reason of that check's problem.
    pub reason: Option<Reason>,
    /// Whether the service is in maintenance from then on.
    pub in_maintenance: bool,
}
