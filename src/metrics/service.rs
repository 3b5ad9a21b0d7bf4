//! The families of services.

use super::row::{Fill, Row};
use crate::model::MetricType::{Counter, Gauge, Info};
use crate::model::{Condition, Status, Unit};

/// The families that only services with an objective have.
pub(super) const OF_OBJECTIVES: [&str; 2] = [
    "upkeep_service_objective_ratio",
    "upkeep_service_objective_allowance_seconds",
];

/// The rows of services.
pub(super) static ROWS: &[Row] = &[
    Row::new(
        "upkeep_service_info",
        Info,
        Fill::Service(|view, series| series.push_with(&[&view.service.name], 1_u64)),
        "A configured service, with its display name. Count services with this metric.",
    )
    .with_labels(&["name"]),
    Row::new(
        "upkeep_service_up",
        Gauge,
        Fill::Service(|view, series| {
            series.push_some(match view.status {
                Status::Up | Status::Degraded => Some(true),
                Status::Down => Some(false),
                Status::Unknown => None,
            });
        }),
        "1 while the service is up or degraded, 0 while it is down. Absent while unknown.",
    ),
    Row::new(
        "upkeep_service_status",
        Gauge,
        Fill::Service(|view, series| {
            for status in Status::ALL {
                series.push_with(&[status.as_str()], *status == view.status);
            }
        }),
        "1 for the current status of the service, 0 for the others.",
    )
    .with_labels(&["status"]),
    Row::new(
        "upkeep_service_condition_since_timestamp_seconds",
        Gauge,
        Fill::Service(|view, series| {
            for (condition, since) in Condition::ALL.iter().zip(view.conditions.iter().flatten()) {
                series.push_with(&[condition.as_str()], *since);
            }
        }),
        "Unix time when the condition began, 0 while it does not hold. Absent before the first status.",
    )
    .with_labels(&["condition"])
    .in_unit(Unit::Seconds),
    Row::new(
        "upkeep_service_condition_tolerance_seconds",
        Gauge,
        Fill::Service(|view, series| {
            for condition in Condition::ALL {
                let tolerance = view.service.tolerance.of(*condition);
                series.push_with(&[condition.as_str()], tolerance.as_secs_f64());
            }
        }),
        "Configured time that the condition may last before its alert fires.",
    )
    .with_labels(&["condition"])
    .in_unit(Unit::Seconds),
    Row::new(
        "upkeep_service_condition_confirmed",
        Gauge,
        Fill::Service(|view, series| {
            for (condition, confirmed) in Condition::ALL.iter().zip(view.confirmed.iter().flatten()) {
                series.push_with(&[condition.as_str()], *confirmed);
            }
        }),
        "1 if the condition is confirmed: runs have shown it for its tolerance minus one recheck interval, and it has not \
         ended. Otherwise 0.",
    )
    .with_labels(&["condition"]),
    Row::new(
        OF_OBJECTIVES[0],
        Gauge,
        Fill::Service(|view, series| {
            if let Some(objective) = view.service.objective {
                series.push(objective.ratio());
            }
        }),
        "Configured share of 30 days in which the service must not be down. Absent without an objective.",
    ),
    Row::new(
        OF_OBJECTIVES[1],
        Gauge,
        Fill::Service(|view, series| {
            if view.service.objective.is_some() {
                series.push(view.service.objective_allowance().as_secs_f64());
            }
        }),
        "Down time within an hour that the alerts on the objective do not count: what two failed runs cost. Absent without an objective.",
    )
    .in_unit(Unit::Seconds),
    Row::new(
        "upkeep_service_maintenance",
        Gauge,
        Fill::Service(|view, series| series.push(view.maintenance.is_some())),
        "1 while the service is in a maintenance window, in which its alerts do not start.",
    ),
    Row::new(
        "upkeep_service_impacted",
        Gauge,
        Fill::Service(|view, series| series.push(view.is_impacted)),
        "1 while a service that it depends on, directly or not, is down; then its alerts for down, degraded and slow do not start.",
    ),
    Row::new(
        "upkeep_service_root_cause_info",
        Info,
        Fill::Service(|view, series| {
            for root in &view.roots {
                series.push_with(&[root.as_str()], 1_u64);
            }
        }),
        "The services that cause the impact: they are down, and no service that they depend on is down. At most 8.",
    )
    .with_labels(&["root"]),
    Row::new(
        "upkeep_service_start_time_seconds",
        Gauge,
        Fill::Service(|view, series| {
            if let Some(since) = view.running_since() {
                series.push(since);
            }
        }),
        "Unix time since when all units, containers and processes of the service run: the last of their starts. Absent while it is \
         down or unknown, and if no check knows a start.",
    )
    .in_unit(Unit::Seconds),
    Row::new(
        "upkeep_service_status_changes_total",
        Counter,
        Fill::Service(|view, series| series.push(view.status_changes)),
        "Changes of the status of the service.",
    ),
];
