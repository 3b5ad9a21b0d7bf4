//! The families of the exporter's own work.

use super::table::{Fill, Row};
use crate::model::MetricType::Counter;
use crate::model::MetricType::{Gauge, Histogram, Info};
use crate::model::Unit;

/// The source revision that the binary was built from, where the build was told.
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
        "The version of the exporter and the revision it was built from.",
    )
    .with_labels(&["version", "revision"]),
    Row::new(
        "upkeep_clock_timestamp_seconds",
        Gauge,
        Fill::Exporter(|exposed, series| series.push(exposed.snapshot.taken)),
        "Unix time on the exporter's clock, which the since-times are of.",
    )
    .in_unit(Unit::Seconds),
    Row::new(
        "upkeep_config_last_reload_successful",
        Gauge,
        Fill::Exporter(|exposed, series| series.push(exposed.snapshot.exporter.last_reload_successful)),
        "1 if the last attempt to load the configuration succeeded, 0 if it failed.",
    ),
    Row::new(
        "upkeep_config_last_reload_success_timestamp_seconds",
        Gauge,
        Fill::Exporter(|exposed, series| series.push(exposed.snapshot.exporter.last_reload_success)),
        "Unix time at which the configuration was last loaded.",
    )
    .in_unit(Unit::Seconds),
    Row::new(
        "upkeep_web_config_last_reload_successful",
        Gauge,
        Fill::Exporter(|exposed, series| match &exposed.snapshot.exporter.web {
            Some(web) => series.push(web.last_reload_successful),
            None => Ok(()),
        }),
        "1 if the web configuration was loaded as it is on disk, 0 if it is broken and the one before is in use; absent \
         without one.",
    ),
    Row::new(
        "upkeep_web_refused_requests_total",
        Counter,
        Fill::Exporter(|exposed, series| {
            let web = exposed.snapshot.exporter.web.iter();
            let mut refused = web.flat_map(|web| &web.refused);
            refused.try_for_each(|(reason, count)| series.push_with(&[reason], *count))
        }),
        "Requests refused by the web configuration, by reason: unauthorized, too_many_failures, rate_limit or busy. Absent \
         without a web configuration.",
    )
    .with_labels(&["reason"]),
    Row::new(
        "upkeep_state_last_save_successful",
        Gauge,
        Fill::Exporter(|exposed, series| match exposed.snapshot.exporter.state_saved {
            Some(is_saved) => series.push(is_saved),
            None => Ok(()),
        }),
        "1 if what lasts beyond a restart was saved, 0 if that failed; absent without a state directory.",
    ),
    Row::new(
        "upkeep_status_file_last_write_successful",
        Gauge,
        Fill::Exporter(|exposed, series| match exposed.snapshot.exporter.status_file {
            Some(file) => series.push(file.is_written),
            None => Ok(()),
        }),
        "1 if the status file was written, 0 if that failed; absent without --status.file.",
    ),
    Row::new(
        "upkeep_status_file_last_write_timestamp_seconds",
        Gauge,
        Fill::Exporter(|exposed, series| match exposed.snapshot.exporter.status_file {
            Some(file) => series.push(file.last_written),
            None => Ok(()),
        }),
        "Unix time at which the status file was last written, 0 before that; absent without --status.file.",
    )
    .in_unit(Unit::Seconds),
    Row::new(
        "upkeep_scheduler_lag_seconds",
        Histogram,
        Fill::Exporter(|exposed, series| series.push_histogram(&exposed.snapshot.exporter.scheduler_lag)),
        "Time from the planned to the actual start of runs.",
    )
    .in_unit(Unit::Seconds),
    Row::new(
        "upkeep_exporter_lost_seconds_total",
        Counter,
        Fill::Exporter(|exposed, series| series.push(exposed.snapshot.exporter.lost.as_secs_f64())),
        "Time that the runtime of the checks stood still: the process was frozen, throttled or short of CPU time. It is not \
         counted as response time, and extends deadlines.",
    )
    .in_unit(Unit::Seconds),
    Row::new(
        "upkeep_runs_in_flight",
        Gauge,
        Fill::Exporter(|exposed, series| series.push(exposed.snapshot.exporter.runs_in_flight)),
        "Runs under way.",
    ),
    Row::new(
        "upkeep_probe_requests_total",
        Counter,
        Fill::Exporter(|exposed, series| match &exposed.snapshot.exporter.probes {
            Some(probes) => series.push(probes.runs),
            None => Ok(()),
        }),
        "Probes made for /probe; absent without modules.",
    ),
    Row::new(
        "upkeep_probe_failures_total",
        Counter,
        Fill::Exporter(|exposed, series| match &exposed.snapshot.exporter.probes {
            Some(probes) => series.push(probes.failures),
            None => Ok(()),
        }),
        "Probes made for /probe that failed; absent without modules.",
    ),
    Row::new(
        "upkeep_probe_inconclusive_total",
        Counter,
        Fill::Exporter(|exposed, series| match &exposed.snapshot.exporter.probes {
            Some(probes) => series.push(probes.inconclusive),
            None => Ok(()),
        }),
        "Probes made for /probe that the exporter's own lack of time, descriptors, memory or ports spoilt; they are \
         answered with 503. Absent without modules.",
    ),
    Row::new(
        "upkeep_probe_refused_total",
        Counter,
        Fill::Exporter(|exposed, series| {
            let probes = exposed.snapshot.exporter.probes.iter();
            let mut refused = probes.flat_map(|probes| &probes.refused);
            refused.try_for_each(|(reason, count)| series.push_with(&[reason], *count))
        }),
        "Requests and connections of /probe that were refused, by reason.",
    )
    .with_labels(&["reason"]),
    Row::new(
        "upkeep_probes_in_flight",
        Gauge,
        Fill::Exporter(|exposed, series| match &exposed.snapshot.exporter.probes {
            Some(probes) => series.push(probes.in_flight),
            None => Ok(()),
        }),
        "Probes under way.",
    ),
];
