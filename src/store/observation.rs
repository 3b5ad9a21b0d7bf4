//! What happened to the services since the last observation: every change of status with its since-time, and the response times.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::events::StatusChange;
use crate::model::{CheckName, Maintenance, Moment, Reason, ServiceKey, Status, WallAnchor};

/// How many changes a service keeps until the next observation. More in a second are rare, and without an observer, none is needed.
const MAX_CHANGES: usize = 16;

/// What happened to all services since the last observation.
#[derive(Clone, Debug)]
pub struct Observation {
    /// The moment of the observation.
    pub now: Moment,
    /// Converts moments to Unix times.
    pub wall: WallAnchor,
    /// The services, in the order of the configuration.
    pub services: Vec<ServiceObservation>,
}

/// What happened to a service since the last observation.
#[derive(Clone, Debug)]
pub struct ServiceObservation {
    /// The service.
    pub key: ServiceKey,
    /// Its status now.
    pub status: Status,
    /// Whether it ever had a status other than unknown.
    pub has_verdict: bool,
    /// The maintenance window that holds now.
    pub maintenance: Option<Arc<Maintenance>>,
    /// The changes of its status, oldest first.
    pub changes: Vec<ObservedChange>,
    /// The response times of its checks.
    pub responses: ResponseTotals,
}

/// A change of the status of a service.
#[derive(Clone, Debug, PartialEq)]
pub struct ObservedChange {
    /// The new status.
    pub status: Status,
    /// Since when. This may be well before the run that confirmed it.
    pub since: Moment,
    /// The check that causes the status. `None` while up.
    pub check: Option<CheckName>,
    /// The reason of that check's problem.
    pub reason: Option<Reason>,
}

/// Response times of several runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResponseTotals {
    /// The number of runs with a response time.
    pub count: u32,
    /// The sum of the response times.
    pub sum: Duration,
    /// The longest one.
    pub max: Duration,
}

impl ResponseTotals {
    /// Adds a response time.
    pub fn add(&mut self, time: Duration) {
        self.count = self.count.saturating_add(1);
        self.sum = self.sum.saturating_add(time);
        self.max = self.max.max(time);
    }

    /// Adds the response times of other runs.
    pub fn merge(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        self.sum = self.sum.saturating_add(other.sum);
        self.max = self.max.max(other.max);
    }
}

/// The changes of a service's status since the last observation.
#[derive(Debug, Default)]
pub struct Observed {
    /// Oldest first.
    pub changes: VecDeque<ObservedChange>,
}

impl Observed {
    /// Adds a change.
    pub fn add_change(&mut self, change: &StatusChange) {
        if self.changes.len() == MAX_CHANGES {
            self.changes.pop_front();
        }
        self.changes.push_back(ObservedChange {
            status: change.new,
            since: change.since,
            // A service is up because of all its checks.
            check: change.check.clone().filter(|_| change.new != Status::Up),
            reason: change.problem.as_ref().map(|problem| problem.reason),
        });
    }
}
