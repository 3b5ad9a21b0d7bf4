//! Changes to log and to send to subscribers: status changes of services, and problems of checks.

use std::sync::Arc;

use tracing::{debug, info, warn};

use crate::model::{CheckId, CheckName, Moment, Problem, ServiceKey, Status, UtcTime, WallAnchor};

/// A service's status changed.
#[derive(Debug)]
pub struct StatusChange {
    pub service: ServiceKey,
    pub old: Status,
    pub new: Status,
    pub since: Moment,
    /// It is the first status after unknown.
    pub is_first: bool,
    /// The check that causes the status. `None` while up.
    pub check: Option<CheckName>,
    pub problem: Option<Arc<Problem>>,
}

/// A status change of a service, for subscribers. Wall-clock values are Unix times in seconds.
#[derive(Clone, Debug)]
pub struct StatusEvent {
    /// The service.
    pub service: ServiceKey,
    /// The previous status.
    pub old: Status,
    /// The new status.
    pub new: Status,
    /// Since when the status is the new one.
    pub since: f64,
    /// The check that causes the status. `None` while up.
    pub check: Option<CheckName>,
    /// The problem of that check.
    pub problem: Option<Arc<Problem>>,
}

/// Something to log, once the store's lock is released.
#[derive(Debug)]
pub enum Event {
    Status(StatusChange),
    Problem {
        check: CheckId,
        status: Status,
        problem: Arc<Problem>,
    },
    Recovered {
        check: CheckId,
        status: Status,
    },
}

impl Event {
    /// Logs the event.
    pub fn log(&self, wall: WallAnchor) {
        match self {
            Self::Status(change) => change.log(wall),
            Self::Problem {
                check,
                status,
                problem,
            } => info!(
                service = %check.service, check = %check.check, %status, reason = %problem.reason,
                problem = problem.message(), "check has a problem"
            ),
            Self::Recovered { check, status } => info!(
                service = %check.service, check = %check.check, %status, "check recovered"
            ),
        }
    }
}

impl StatusChange {
    /// The event for subscribers. The first status is a change for them, too.
    pub fn to_event(&self, wall: WallAnchor) -> StatusEvent {
        StatusEvent {
            service: self.service.clone(),
            old: self.old,
            new: self.new,
            since: wall.seconds(self.since),
            // A service is up because of all its checks.
            check: self.check.clone().filter(|_| self.new != Status::Up),
            problem: self.problem.clone(),
        }
    }

    fn log(&self, wall: WallAnchor) {
        let Self {
            service, old, new, ..
        } = self;
        let since = UtcTime(wall.nanos(self.since));
        let check = self.check.as_ref().map_or("", CheckName::as_str);
        match (&self.problem, new) {
            (Some(problem), _) => warn!(
                %service, %old, %new, check, reason = %problem.reason, problem = problem.message(), %since,
                "status changed"
            ),
            // Thousands of services may be up when the exporter starts. Their lines would hide others.
            (None, Status::Up) if self.is_first => debug!(%service, %old, %new, %since, "status changed"),
            (None, Status::Up) => info!(%service, %old, %new, %since, "status changed"),
            (None, _) => warn!(%service, %old, %new, check, %since, "status changed"),
        }
    }
}
