//! What healing needs to know about services, without the cost of a snapshot.

use std::sync::Arc;

use super::check::CheckState;
use super::impacts::Impacts;
use super::service::ServiceState;
use crate::config::Service;
use crate::model::{CheckName, Moment, Problem, Reason, ServiceKey, Severity, Shortage, Status};

/// The health of the services at one moment.
#[derive(Clone, Debug, Default)]
pub struct Health {
    /// The services that can be healed.
    pub services: Vec<ServiceHealth>,
    /// The number of all services.
    pub service_count: usize,
    /// The number of services that are down and depend on no service that is down.
    pub down_count: usize,
    /// A resource that the exporter lacked in the last run of any check.
    pub shortage: Option<Shortage>,
}

/// The health of a service.
#[derive(Clone, Debug)]
pub struct ServiceHealth {
    /// Its settings.
    pub service: Arc<Service>,
    /// Its status.
    pub status: Status,
    /// A service that it depends on, directly or not, and that is down.
    pub root: Option<ServiceKey>,
    /// Whether a service that it depends on may be down: it failed in its last run, or has not run since this one failed.
    pub is_root_unknown: bool,
    /// Whether a maintenance window holds.
    pub in_maintenance: bool,
    /// Its critical checks that are down.
    pub failing: Vec<CheckHealth>,
    /// The end of the last run, of the critical check with the oldest one. Checks without a current status are left out.
    pub checked: Option<Moment>,
}

/// A critical check that is down.
#[derive(Clone, Debug)]
pub struct CheckHealth {
    /// Its name.
    pub name: CheckName,
    /// Its latest failed runs in a row, newest first: when each started, and why it failed.
    pub failed_runs: Vec<(Moment, Option<Reason>)>,
    /// Why it is down.
    pub problem: Option<Arc<Problem>>,
}

impl Health {
    /// The health of `services` at `now`.
    pub(super) fn of(services: &[ServiceState], impacts: &Impacts, now: Moment) -> Self {
        let mut health = Self {
            service_count: services.len(),
            ..Self::default()
        };
        for (position, service) in services.iter().enumerate() {
            let is_root = service.saved.status == Status::Down && !service.suppression.is_impacted;
            health.down_count += usize::from(is_root);
            for check in &service.checks {
                health.shortage = health.shortage.or_else(|| own_shortage(check));
            }
            if service.service.heal.is_some() {
                let mut of_service = ServiceHealth::of(service, now);
                of_service.is_root_unknown = of_service.first_failure().is_some_and(|since| {
                    let mut dependencies = impacts.dependencies(position).into_iter();
                    dependencies.any(|dependency| may_be_down(&services[dependency], since, now))
                });
                health.services.push(of_service);
            }
        }
        health
    }
}

/// The shortage of this process or machine in the last run. A busy service manager only concerns its units, and a program that can't tell
/// only its check.
fn own_shortage(check: &CheckState) -> Option<Shortage> {
    let shortage = check.shortage.as_ref()?.shortage?;
    (!matches!(shortage, Shortage::Manager | Shortage::Undecided)).then_some(shortage)
}

/// Whether a service may be down, although its status at `now` is not. `since` is when a service that depends on it failed.
fn may_be_down(state: &ServiceState, since: Moment, now: Moment) -> bool {
    let critical = || {
        let checks = state.checks.iter();
        checks.filter(|check| check.settings.severity == Severity::Critical)
    };
    let required = state.service.any_of.unwrap_or(critical().count());
    critical().filter(|check| !check.may_be_down(since, now)).count() < required
}

impl ServiceHealth {
    /// When the oldest known failed run in a row started.
    fn first_failure(&self) -> Option<Moment> {
        let runs = self.failing.iter().flat_map(|check| &check.failed_runs);
        runs.map(|(started, _)| *started).min()
    }

    fn of(state: &ServiceState, now: Moment) -> Self {
        let critical = || {
            let checks = state.checks.iter();
            checks.filter(|check| check.settings.severity == Severity::Critical)
        };
        let failing = critical().filter(|check| check.status(now) == Status::Down);
        let current = critical().filter(|check| check.status(now) != Status::Unknown);
        Self {
            service: state.service.clone(),
            status: state.saved.status,
            root: state
                .roots
                .first()
                .filter(|_| state.suppression.is_impacted)
                .cloned(),
            is_root_unknown: false,
            in_maintenance: state.suppression.in_maintenance,
            checked: current.filter_map(|check| check.saved.last_ended).min(),
            failing: failing
                .map(|check| CheckHealth {
                    name: check.settings.name.clone(),
                    failed_runs: check.recent.failed_in_a_row().collect(),
                    problem: check.problem(Status::Down),
                })
                .collect(),
        }
    }
}
