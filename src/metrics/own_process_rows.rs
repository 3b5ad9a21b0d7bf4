//! The families of the exporter's own process.

use super::own_process::OwnProcess;
use super::row::{Fill, Row};
use crate::model::MetricType::{Counter, Gauge};
use crate::model::Unit;

/// A row whose value is absent if /proc can't be read.
macro_rules! row {
    ($name:literal, $type:ident, $unit:ident, $help:literal, |$process:ident| $value:expr) => {
        Row::new(
            $name,
            $type,
            Fill::Exporter(|shown, series| {
                let value = |$process: &OwnProcess| $value;
                series.push_some(shown.process.as_ref().and_then(value));
            }),
            $help,
        )
        .in_unit(Unit::$unit)
    };
}

/// The rows of the process.
pub(super) static ROWS: &[Row] = &[
    row!(
        "process_cpu_seconds_total",
        Counter,
        Seconds,
        "User and system CPU time spent by the exporter.",
        |process| Some(process.cpu_seconds)
    ),
    row!(
        "process_resident_memory_bytes",
        Gauge,
        Bytes,
        "Resident memory of the exporter.",
        |process| Some(process.resident_bytes)
    ),
    row!(
        "process_virtual_memory_bytes",
        Gauge,
        Bytes,
        "Virtual memory of the exporter.",
        |process| Some(process.virtual_bytes)
    ),
    row!(
        "process_open_fds",
        Gauge,
        None,
        "Open file descriptors of the exporter.",
        |process| Some(process.open_fds)
    ),
    row!(
        "process_max_fds",
        Gauge,
        None,
        "Maximum number of open file descriptors of the exporter.",
        |process| process.max_fds
    ),
    row!(
        "process_threads",
        Gauge,
        None,
        "Threads of the exporter.",
        |process| Some(process.threads)
    ),
    row!(
        "process_start_time_seconds",
        Gauge,
        Seconds,
        "Unix time when the exporter started.",
        |process| Some(process.start_time)
    ),
];
