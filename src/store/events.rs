//! What the log tells: one line per status change of a service, and one per change of a check's problem.

use std::sync::Arc;

use tracing::{debug, info, warn};

use super::walltime::{UtcTime, WallAnchor};
use crate::model::{CheckId, CheckName, Moment, Problem, ServiceKey, Status};

/// A service's status changed.
#[derive(Debug)]
pub struct StatusChange {
    pub service: ServiceKey,
    pub old: Status,
    pub new: Status,
    pub since: Moment,
    /// It is the first verdict.
    pub is_first: bool,
    /// The check that made it so; none where it is up.
    pub check: Option<CheckName>,
    pub problem: Option<Arc<Problem>>,
}

/// A change of a service's status as subscribers get it. Wall-clock values are Unix times in seconds.
#[derive(Clone, Debug)]
pub struct StatusEvent {
    /// The service.
    pub service: ServiceKey,
    /// What it was.
    pub old: Status,
    /// What it is.
    pub new: Status,
    /// Since when.
    pub since: f64,
    /// The check that made it so; none where it is up.
    pub check: Option<CheckName>,
    /// What keeps that check from being up.
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
    /// Writes it to the log.
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
    /// What subscribers are told. The first verdict is a change for them, too.
    pub fn told(&self, wall: WallAnchor) -> StatusEvent {
        StatusEvent {
            service: self.service.clone(),
            old: self.old,
            new: self.new,
            since: wall.seconds(self.since),
            // What is up is so by all of its checks.
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
            // Thousands of services that are well when the exporter starts are no news.
            (None, Status::Up) if self.is_first => debug!(%service, %old, %new, %since, "status changed"),
            (None, Status::Up) => info!(%service, %old, %new, %since, "status changed"),
            (None, _) => warn!(%service, %old, %new, check, %since, "status changed"),
        }
    }
}
