//! The families of checks of every kind.

use super::row::{Fill, Row};
use super::writer::Series;
use crate::model::MetricType::{Counter, Gauge, Histogram, Info};
use crate::model::{Conclusion, Status, Unit};
use crate::store::CheckView;

/// The name of the family of `certificate.warn_before`. Only checks with that key have it.
pub(super) const WARN_BEFORE: &str = "upkeep_tls_certificate_warn_before_seconds";

/// The rows of checks.
pub(super) static ROWS: &[Row] = &[
    Row::new(
        "upkeep_check_info",
        Info,
        Fill::Check(|view, series| {
            series.push_with(&[view.settings.kind.kind().as_str(), &view.target], 1_u64);
        }),
        "A configured check, with its kind and target.",
    )
    .with_labels(&["kind", "target"]),
    Row::new(
        "upkeep_check_success",
        Gauge,
        Fill::Check(|view, series| {
            let run = view.last_run.as_ref();
            series.push_some(run.map(|run| !matches!(run.outcome.conclusion, Conclusion::Failure(_))));
        }),
        "1 if the last run succeeded, even slowly or with a warning; 0 if it failed.",
    ),
    Row::new(
        "upkeep_check_problem_info",
        Info,
        Fill::Check(problem),
        "Reason why the check is degraded or down. Absent otherwise.",
    )
    .with_labels(&["reason"]),
    Row::new(
        "upkeep_check_last_duration_seconds",
        Gauge,
        Fill::Check(|view, series| {
            let time = view.last_run.as_ref().map(|run| {
                let time = run.outcome.response_time.unwrap_or(run.outcome.duration);
                time.as_secs_f64()
            });
            series.push_some(time);
        }),
        "Response time of the last run, or the run's duration if there was no response.",
    )
    .in_unit(Unit::Seconds),
    Row::new(
        "upkeep_check_duration_seconds",
        Histogram,
        Fill::Check(|view, series| {
            if let Some(times) = &view.response_times {
                series.push_histogram(times);
            }
        }),
        "Response times of runs. A timeout counts with its deadline.",
    )
    .in_unit(Unit::Seconds),
    Row::new(
        "upkeep_check_threshold_seconds",
        Gauge,
        Fill::Check(|view, series| {
            if view.settings.kind.kind().is_timed() {
                let thresholds = &view.settings.thresholds;
                series.push_with(&[Status::Degraded.as_str()], thresholds.degraded.as_secs_f64());
                series.push_with(&[Status::Down.as_str()], thresholds.down.as_secs_f64());
            }
        }),
        "Configured response time from which the check is degraded or down.",
    )
    .with_labels(&["threshold"])
    .in_unit(Unit::Seconds),
    Row::new(
        "upkeep_check_runs_total",
        Counter,
        Fill::Check(|view, series| series.push(view.runs)),
        "Completed runs of the check.",
    ),
    Row::new(
        "upkeep_check_failures_total",
        Counter,
        Fill::Check(|view, series| series.push(view.failures)),
        "Failed runs of the check.",
    ),
    Row::new(
        "upkeep_check_inconclusive_runs_total",
        Counter,
        Fill::Check(|view, series| series.push(view.inconclusive_runs)),
        "Runs without a result because the exporter lacked CPU time, file descriptors, memory, ports or threads, or \
         because the service manager had not responded. They do not change the status.",
    ),
    Row::new(
        "upkeep_check_consecutive_inconclusive_runs",
        Gauge,
        Fill::Check(|view, series| series.push(view.consecutive_inconclusive_runs)),
        "Consecutive inconclusive runs, up to now. After five that lacked CPU time, failed runs count as failures until \
         a run succeeds.",
    ),
    Row::new(
        "upkeep_check_missed_runs_total",
        Counter,
        Fill::Check(|view, series| series.push(view.missed_runs)),
        "Runs skipped because the previous run was still in progress.",
    ),
    Row::new(
        "upkeep_check_consecutive_failures",
        Gauge,
        Fill::Check(|view, series| {
            series.push_some(view.last_run.as_ref().map(|_| view.consecutive_failures));
        }),
        "Consecutive failed runs, up to the last run; 0 if it succeeded.",
    ),
    Row::new(
        "upkeep_check_last_run_timestamp_seconds",
        Gauge,
        Fill::Check(|view, series| series.push_some(view.last_ended)),
        "Unix time when the last run ended. Survives a restart of the exporter.",
    )
    .in_unit(Unit::Seconds),
    Row::new(
        "upkeep_check_last_success_timestamp_seconds",
        Gauge,
        Fill::Check(|view, series| series.push_some(view.last_success)),
        "Unix time when the last successful run ended. Survives a restart of the exporter.",
    )
    .in_unit(Unit::Seconds),
    Row::new(
        "upkeep_check_stale_after_seconds",
        Gauge,
        Fill::Check(|view, series| series.push(view.settings.stale_after().as_secs_f64())),
        "Maximum age of the last result. If it is older, the status of the check is unknown.",
    )
    .in_unit(Unit::Seconds),
    Row::new(
        WARN_BEFORE,
        Gauge,
        Fill::Check(|view, series| {
            let warn_before = view.settings.certificate.warn_before;
            series.push_some(warn_before.map(|time| time.as_secs_f64()));
        }),
        "Configured time before the expiry of a certificate from which the alert on it fires. Absent without \
         certificate.warn_before: then the alert compares with the lifetime of the certificate.",
    )
    .in_unit(Unit::Seconds),
];

/// Writes the reason for the status. It may differ from that of the last run: a run that succeeds may still wait for another one
/// to confirm the recovery.
fn problem(view: &CheckView, series: &mut Series<'_>) {
    if let (Status::Degraded | Status::Down, Some(problem)) = (view.status, &view.problem) {
        series.push_with(&[problem.reason.as_str()], 1_u64);
    }
}
