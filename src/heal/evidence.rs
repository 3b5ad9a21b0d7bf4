//! What is known about a service, its unit or container, and the machine when a decision is made.

use std::time::Duration;

use crate::model::{CheckName, Moment, Reason, ServiceKey, Shortage, Status};

/// What is known about a service.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// The service's status.
    pub status: Option<Status>,
    /// Its critical checks that are down.
    pub failing: Vec<FailingCheck>,
    /// When its critical checks last ran. `None` means now.
    pub checked: Option<Moment>,
    /// A service that it depends on, directly or not, and that is down.
    pub root: Option<ServiceKey>,
    /// Whether a service that it depends on may be down, but its checks have to run first.
    pub is_root_unknown: bool,
    /// Whether a maintenance window holds.
    pub in_maintenance: bool,
    /// The state of the unit or container.
    pub target: TargetEvidence,
    /// Whether an action on another service with the same unit or container is in progress.
    pub is_target_busy: bool,
    /// What is known about everything else.
    pub machine: MachineEvidence,
}

impl Evidence {
    /// Whether the service works, possibly with warnings.
    pub fn is_working(&self) -> bool {
        matches!(self.status, Some(Status::Up | Status::Degraded))
    }
}

/// A critical check that is down.
#[derive(Clone, Debug)]
pub struct FailingCheck {
    /// Its name.
    pub name: CheckName,
    /// Its latest failed runs without a successful one in between, newest first.
    pub runs: Vec<FailedRun>,
    /// The message of the last one.
    pub message: String,
}

/// A failed run.
#[derive(Clone, Copy, Debug)]
pub struct FailedRun {
    /// When it started.
    pub started: Moment,
    /// Why it failed. `None` if the run was too slow, but did not fail.
    pub reason: Option<Reason>,
}

/// What is known about the machine and the exporter.
#[derive(Clone, Copy, Debug, Default)]
pub struct MachineEvidence {
    /// Services that are down, and depend on no service that is down.
    pub down: usize,
    /// All services.
    pub services: usize,
    /// A resource that the exporter lacks.
    pub shortage: Option<Shortage>,
    /// A resource that the machine lacks, by its pressure stall information.
    pub pressure: Option<&'static str>,
}

/// The state of the unit or container that an action applies to.
#[derive(Clone, Debug, Default)]
pub enum TargetEvidence {
    /// It was not queried yet.
    #[default]
    NotQueried,
    /// There is none: the action is a command.
    None,
    /// The query failed.
    Failed(String),
    /// It was queried.
    Known(TargetState),
}

/// The state of a unit or container, as far as decisions depend on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetState {
    /// It does not exist.
    pub is_missing: bool,
    /// It is masked.
    pub is_masked: bool,
    /// A job of it is queued or running, or it is between two states.
    pub has_job: bool,
    /// systemd or the engine is about to restart it.
    pub is_auto_restarting: bool,
    /// systemd refuses to start it again for now.
    pub has_hit_start_limit: bool,
    /// It was stopped on request, or ended without an error.
    pub was_stopped: bool,
    /// It runs.
    pub is_running: bool,
    /// For how long it has been running.
    pub running_for: Option<Duration>,
    /// For people.
    pub text: String,
}
