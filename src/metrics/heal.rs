//! The families of healing. Services whose mode is off have no series.

use super::row::{Fill, Row};
use crate::model::MetricType::{Counter, Gauge, Info};
use crate::model::Unit;

/// The rows of healing.
pub(super) static ROWS: &[Row] = &[
    Row::new(
        "upkeep_heal_mode_info",
        Info,
        Fill::Heal(|heal, series| series.push_with(&[heal.mode.as_str()], 1_u64)),
        "The mode of healing: dry-run or act.",
    )
    .with_labels(&["mode"]),
    Row::new(
        "upkeep_heal_actions_total",
        Counter,
        Fill::Heal(|heal, series| {
            for (result, count) in &heal.actions {
                series.push_with(&[heal.action, result], *count);
            }
        }),
        "Finished actions since the exporter started, by result: acted, failed or dry_run. An action that ended without an error \
         may not have helped.",
    )
    .with_labels(&["action", "result"]),
    Row::new(
        "upkeep_heal_refusals_total",
        Counter,
        Fill::Heal(|heal, series| {
            for (reason, count) in &heal.refusals {
                series.push_with(&[reason], *count);
            }
        }),
        "Refusals to act on a failed service since the exporter started, by reason. A refusal that lasts counts once, and again if \
         it returns after a minute or more.",
    )
    .with_labels(&["reason"]),
    Row::new(
        "upkeep_heal_last_action_timestamp_seconds",
        Gauge,
        Fill::Heal(|heal, series| series.push_some(heal.last_action.map(|action| action.at))),
        "Unix time when the last action began. It survives a restart of the exporter. Absent before the first action; dry runs do \
         not count.",
    )
    .in_unit(Unit::Seconds),
    Row::new(
        "upkeep_heal_budget_remaining",
        Gauge,
        Fill::Heal(|heal, series| series.push(u64::from(heal.budget_remaining))),
        "Actions that are still allowed within this hour. In mode dry-run, dry runs count.",
    ),
    Row::new(
        "upkeep_heal_budget_limit",
        Gauge,
        Fill::Heal(|heal, series| series.push(u64::from(heal.budget_limit))),
        "Configured maximum number of actions within an hour.",
    ),
    Row::new(
        "upkeep_heal_gave_up",
        Gauge,
        Fill::Heal(|heal, series| series.push(heal.has_given_up)),
        "1 if healing gave up, because actions in a row did not help. Otherwise 0.",
    ),
    Row::new(
        "upkeep_heal_total_budget_remaining",
        Gauge,
        Fill::Exporter(|shown, series| {
            let budget = shown.snapshot.exporter.heal_budget;
            series.push_some(budget.map(|budget| u64::from(budget.remaining)));
        }),
        "Actions on all services together that are still allowed within this hour. Absent if the mode of all services is off.",
    ),
    Row::new(
        "upkeep_heal_total_budget_limit",
        Gauge,
        Fill::Exporter(|shown, series| {
            let budget = shown.snapshot.exporter.heal_budget;
            series.push_some(budget.map(|budget| u64::from(budget.limit)));
        }),
        "Configured maximum number of actions on all services together within an hour. Absent if the mode of all services is off.",
    ),
];
