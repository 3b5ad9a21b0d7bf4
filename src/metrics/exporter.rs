//! The families of the exporter itself.

use super::row::{Fill, Row};
use super::views::{ProbeView, ScrapeData};
use super::writer::Series;
use crate::model::MetricType::{Counter, Gauge, Histogram, Info};
use crate::model::Unit;

/// The source revision that the binary was built from; `build.rs` sets it.
const REVISION: &str = match option_env!("UPKEEP_REVISION") {
    Some(revision) => revision,
    None => "unknown",
};

/// The rows of the exporter.
pub(super) static ROWS: &[Row] = &[
    Row::new(
        "upkeep_build_info",
        Info,
        Fill::Exporter(|_, series| series.push_with(&[env!("CARGO_PKG_VERSION"), REVISION], 1_u64)),
        "Version of the exporter and the revision it was built from.",
    )
    .with_labels(&["version", "revision"]),
    Row::new(
        "upkeep_clock_timestamp_seconds",
        Gauge,
        Fill::Exporter(|shown, series| series.push(shown.snapshot.taken)),
        "Current Unix time of the exporter.",
    )
    .in_unit(Unit::Seconds),
    Row::new(
        "upkeep_config_last_reload_successful",
        Gauge,
        Fill::Exporter(|shown, series| series.push(shown.snapshot.exporter.last_reload_successful)),
        "1 if the last load of the configuration succeeded, 0 if any of its files has errors.",
    ),
    Row::new(
        "upkeep_config_file_valid",
        Gauge,
        Fill::Exporter(|shown, series| {
            for file in shown.snapshot.exporter.config_files.iter() {
                series.push_with(&[&file.name], file.is_valid);
            }
        }),
        "1 if a configuration file was valid at the last load, 0 if it has errors or can't be read: its last valid content stays in use. \
         Absent for the embedded configuration.",
    )
    .with_labels(&["file"]),
    Row::new(
        "upkeep_config_last_reload_success_timestamp_seconds",
        Gauge,
        Fill::Exporter(|shown, series| series.push(shown.snapshot.exporter.last_reload_success)),
        "Unix time when the configuration was last loaded successfully.",
    )
    .in_unit(Unit::Seconds),
    Row::new(
        "upkeep_web_config_last_reload_successful",
        Gauge,
        Fill::Exporter(|shown, series| {
            let web = shown.views.web.as_ref();
            series.push_some(web.map(|web| web.last_reload_successful));
        }),
        "1 if the last load of the web configuration succeeded, 0 if it failed and the previous one stays in use. \
         Absent without a web configuration.",
    ),
    Row::new(
        "upkeep_web_refused_requests_total",
        Counter,
        Fill::Exporter(|shown, series| {
            if let Some(web) = &shown.views.web {
                push_by_reason(&web.refused, series);
            }
        }),
        "Requests rejected because of the web configuration, by reason: unauthorized, too_many_failures, rate_limit \
         or busy. Absent without a web configuration.",
    )
    .with_labels(&["reason"]),
    Row::new(
        "upkeep_heartbeat_rejected_requests_total",
        Counter,
        Fill::Exporter(|shown, series| {
            if let Some(refused) = &shown.views.refused_beats {
                push_by_reason(refused, series);
            }
        }),
        "Requests of jobs to /api/heartbeat that were rejected, by reason: unknown_token or rate_limit. Absent without heartbeat checks.",
    )
    .with_labels(&["reason"]),
    Row::new(
        "upkeep_state_last_save_successful",
        Gauge,
        Fill::Exporter(|shown, series| series.push_some(shown.snapshot.exporter.state_saved)),
        "1 if the last save of the state file succeeded, 0 if it failed. Absent without a state directory.",
    ),
    Row::new(
        "upkeep_history_last_save_successful",
        Gauge,
        Fill::Exporter(|shown, series| series.push_some(shown.snapshot.exporter.history_saved)),
        "1 if the last save of the history succeeded, 0 if it failed. Absent without a state directory.",
    ),
    Row::new(
        "upkeep_status_file_last_write_successful",
        Gauge,
        Fill::Exporter(|shown, series| {
            series.push_some(shown.views.status_file.map(|file| file.is_written));
        }),
        "1 if the last write of the status file succeeded, 0 if it failed. Absent without --status.file.",
    ),
    Row::new(
        "upkeep_status_file_last_write_timestamp_seconds",
        Gauge,
        Fill::Exporter(|shown, series| {
            series.push_some(shown.views.status_file.map(|file| file.last_written));
        }),
        "Unix time when the status file was last written, 0 before the first write. Absent without --status.file.",
    )
    .in_unit(Unit::Seconds),
    Row::new(
        "upkeep_scheduler_lag_seconds",
        Histogram,
        Fill::Exporter(|shown, series| series.push_histogram(&shown.snapshot.exporter.scheduler_lag)),
        "Delay from the planned to the actual start of a run.",
    )
    .in_unit(Unit::Seconds),
    Row::new(
        "upkeep_exporter_lost_seconds_total",
        Counter,
        Fill::Exporter(|shown, series| series.push(shown.views.lost.as_secs_f64())),
        "Time in which checks could not run because the exporter was frozen, throttled or short of CPU time. It \
         extends deadlines and does not count as response time.",
    )
    .in_unit(Unit::Seconds),
    Row::new(
        "upkeep_runs_in_flight",
        Gauge,
        Fill::Exporter(|shown, series| series.push(shown.snapshot.exporter.runs_in_flight)),
        "Runs in progress.",
    ),
    Row::new(
        "upkeep_probe_requests_total",
        Counter,
        Fill::Exporter(|shown, series| push_probes(shown, series, |probes| probes.runs)),
        "Requests to /probe that were run, without the rejected ones. Absent without modules.",
    ),
    Row::new(
        "upkeep_probe_failures_total",
        Counter,
        Fill::Exporter(|shown, series| push_probes(shown, series, |probes| probes.failures)),
        "Failed probes of /probe. Absent without modules.",
    ),
    Row::new(
        "upkeep_probe_inconclusive_total",
        Counter,
        Fill::Exporter(|shown, series| push_probes(shown, series, |probes| probes.inconclusive)),
        "Probes without a result because the exporter lacked CPU time, file descriptors, memory, ports or threads. \
         The response is 503. Absent without modules.",
    ),
    Row::new(
        "upkeep_probe_refused_total",
        Counter,
        Fill::Exporter(|shown, series| {
            if let Some(probes) = &shown.views.probes {
                push_by_reason(&probes.refused, series);
            }
        }),
        "Requests to /probe that were rejected, and connections that the guard blocked, by reason. Absent without modules.",
    )
    .with_labels(&["reason"]),
    Row::new(
        "upkeep_probes_in_flight",
        Gauge,
        Fill::Exporter(|shown, series| push_probes(shown, series, |probes| probes.in_flight)),
        "Probes in progress. Absent without modules.",
    ),
];

fn push_probes(shown: &ScrapeData, series: &mut Series<'_>, count: fn(&ProbeView) -> u64) {
    series.push_some(shown.views.probes.as_ref().map(count));
}

fn push_by_reason(counts: &[(&'static str, u64)], series: &mut Series<'_>) {
    for (reason, count) in counts {
        series.push_with(&[reason], *count);
    }
}
