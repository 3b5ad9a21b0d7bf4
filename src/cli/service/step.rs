//! One step of a plan: acts on the units and containers of a service, and waits until its checks are up.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::journal;
use crate::actuator::{ActError, Action, Actuator, Done};
use crate::cli::progress::Progress;
use crate::cli::rounds::{RoundResources, Rounds};
use crate::cli::show::ServiceRow;
use crate::config::Config;
use crate::config::Target;
use crate::manage::{Plan, Step};
use crate::model::Status;

/// The time between two rounds of checks while a service is not up.
const ROUND_INTERVAL: Duration = Duration::from_millis(500);
/// The time between the two rounds that must both be up, so that a service that dies right after its start does not count as up.
const CONFIRMATION: Duration = Duration::from_secs(1);

/// Does the steps of a plan.
pub struct StepRunner {
    pub plan: Arc<Plan>,
    pub actuator: Actuator,
    pub resources: RoundResources,
    /// How long each step may take.
    pub timeout: Duration,
    pub progress: Arc<Progress>,
}

/// How a step ended.
#[derive(Debug)]
pub struct StepOutcome {
    /// The action.
    pub action: Action,
    /// What was done to each unit and container.
    pub acted: Vec<(Target, Result<Done, ActError>)>,
    /// The last results of the checks. Absent if an action failed, if the service was stopped, or without a result in time.
    pub row: Option<ServiceRow>,
    /// The last lines of the units' journals, if the step failed.
    pub journal: Vec<String>,
    /// How long the step took.
    pub took: Duration,
}

impl StepOutcome {
    /// Whether all actions succeeded.
    pub fn has_acted(&self) -> bool {
        self.acted.iter().all(|(_, result)| result.is_ok())
    }

    /// The status of the service. A stopped service is up in the sense that the step succeeded.
    pub fn status(&self) -> Status {
        match &self.row {
            _ if !self.has_acted() => Status::Down,
            None if self.action == Action::Stop => Status::Up,
            None => Status::Unknown,
            Some(row) => row.status,
        }
    }

    /// Whether services that depend on it may follow. A degraded service works.
    pub fn is_success(&self) -> bool {
        matches!(self.status(), Status::Up | Status::Degraded)
    }
}

impl StepRunner {
    /// Does the step at this position.
    pub async fn run(&self, position: usize) -> StepOutcome {
        let (step, action) = (&self.plan.steps[position], self.plan.action);
        let (began, deadline) = (Instant::now(), Instant::now() + self.timeout);
        let key = step.service.key.as_str();
        self.progress.record_start(key, &format!("{key} ({action})"));
        let acted = join_all(step.targets.iter().map(async |target| {
            let result = self.actuator.act(target, action, deadline).await;
            (target.clone(), result)
        }));
        let mut outcome = StepOutcome {
            action,
            acted: acted.await,
            row: None,
            journal: Vec::new(),
            took: Duration::ZERO,
        };
        if outcome.has_acted() && action != Action::Stop {
            outcome.row = self.wait_until_up(step, deadline).await;
        }
        outcome.took = began.elapsed();
        if outcome.status() != Status::Up {
            for target in step.targets.iter().chain(&step.shared) {
                outcome.journal.extend(journal::last_lines(target).await);
            }
        }
        outcome
    }

    /// Runs the checks until all are up, at the latest until the deadline. Returns their last results.
    async fn wait_until_up(&self, step: &Step, deadline: Instant) -> Option<ServiceRow> {
        let config = Config {
            services: vec![Arc::clone(&step.service)],
            ..Config::default()
        };
        let key = step.service.key.as_str();
        let mut rounds = Rounds::new(config, self.resources.clone(), false);
        let mut last: Option<ServiceRow> = None;
        loop {
            let Ok(round) = tokio::time::timeout_at(deadline, rounds.run_once()).await else {
                return last;
            };
            // Without a state directory, rounds do not fail.
            let row = round.ok()?.services.pop()?;
            let is_up = row.status == Status::Up;
            let is_confirmed = is_up && last.as_ref().is_some_and(|last| last.status == Status::Up);
            if !is_up {
                self.progress
                    .record_start(key, &format!("{key} ({})", row.status));
            }
            last = Some(row);
            let next = Instant::now() + if is_up { CONFIRMATION } else { ROUND_INTERVAL };
            if is_confirmed || next >= deadline {
                return last;
            }
            tokio::time::sleep_until(next).await;
        }
    }
}
