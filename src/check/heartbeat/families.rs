//! The metric families of heartbeat checks.

use crate::model::{Family, MetricType, Scope, Unit};

/// The state, with one series for each state.
pub static STATE: Family = Family::gauge(
    "upkeep_heartbeat_state",
    &["state"],
    "State of the job: 1 for the current state, 0 for the others.",
);

/// The last success.
pub static LAST_SUCCESS: Family = Family::gauge(
    "upkeep_heartbeat_last_success_timestamp_seconds",
    &[],
    "Unix time of the last success that the job reported. Absent before the first one.",
)
.in_unit(Unit::Seconds);

/// The last start.
pub static LAST_START: Family = Family::gauge(
    "upkeep_heartbeat_last_start_timestamp_seconds",
    &[],
    "Unix time of the last start that the job reported. Absent before the first one.",
)
.in_unit(Unit::Seconds);

/// When the next success is due.
pub static DUE: Family = Family::gauge(
    "upkeep_heartbeat_due_timestamp_seconds",
    &[],
    "Unix time at which the next success of the job is due.",
)
.in_unit(Unit::Seconds);

/// When the job is down.
pub static DEADLINE: Family = Family::gauge(
    "upkeep_heartbeat_deadline_timestamp_seconds",
    &[],
    "Unix time from which the job is down without a success: the due time and the grace time, or later while the job runs.",
)
.in_unit(Unit::Seconds);

/// The duration of the last run.
pub static RUN_DURATION: Family = Family::gauge(
    "upkeep_heartbeat_run_duration_seconds",
    &[],
    "Time from the start of the last finished run of the job to its end. Absent if the job reports no starts.",
)
.in_unit(Unit::Seconds);

/// The last exit status.
pub static EXIT_STATUS: Family = Family::gauge(
    "upkeep_heartbeat_exit_status",
    &[],
    "Exit status that the job reported last. Absent if its last result has none.",
);

/// Runs in progress.
pub static OPEN_RUNS: Family = Family::gauge(
    "upkeep_heartbeat_open_runs",
    &[],
    "Runs of the job that have started and not finished.",
);

/// Beats.
pub static BEATS: Family = Family {
    name: "upkeep_heartbeat_beats_total",
    metric_type: MetricType::Counter,
    unit: Unit::None,
    scope: Scope::Check,
    labels: &["type"],
    help: "Beats that the job sent: start, success or fail.",
};

/// The families of heartbeat checks.
pub const FAMILIES: &[&Family] = &[
    &STATE,
    &LAST_SUCCESS,
    &LAST_START,
    &DUE,
    &DEADLINE,
    &RUN_DURATION,
    &EXIT_STATUS,
    &OPEN_RUNS,
    &BEATS,
];
