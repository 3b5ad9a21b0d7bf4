//! The samples of a process check: sums over the matching processes.

use std::ops::Add;

use crate::check::proc_scan::{Process, ScanResult, SoftLimit};
use crate::model::{Family, MetricType, Sample, Scope, Unit};

use super::cpu::CpuCounter;

/// The families of process checks.
pub const FAMILIES: &[&Family] = &[
    &PROCESSES,
    &CPU,
    &RESIDENT_MEMORY,
    &OPEN_FDS,
    &MAX_FDS,
    &THREADS,
    &START_TIME,
];

const fn family(name: &'static str, metric_type: MetricType, unit: Unit, help: &'static str) -> Family {
    Family {
        name,
        metric_type,
        unit,
        scope: Scope::Check,
        labels: &[],
        help,
    }
}

/// The number of matching processes.
pub static PROCESSES: Family = family(
    "upkeep_processes",
    MetricType::Gauge,
    Unit::None,
    "Matching processes, without zombies, the exporter and the processes of its own command.",
);

/// CPU time.
pub static CPU: Family = family(
    "upkeep_process_cpu_seconds_total",
    MetricType::Counter,
    Unit::Seconds,
    "User and system CPU time of the matching processes, including those that matched earlier and have ended.",
);

/// Memory.
pub static RESIDENT_MEMORY: Family = family(
    "upkeep_process_resident_memory_bytes",
    MetricType::Gauge,
    Unit::Bytes,
    "Resident memory of the matching processes. Shared pages count once per process.",
);

/// Descriptors.
pub static OPEN_FDS: Family = family(
    "upkeep_process_open_fds",
    MetricType::Gauge,
    Unit::None,
    "Open file descriptors of the matching processes. Absent if some of them can't be read.",
);

/// The limit of descriptors.
pub static MAX_FDS: Family = family(
    "upkeep_process_max_fds",
    MetricType::Gauge,
    Unit::None,
    "Lowest soft limit of open file descriptors among the matching processes.",
);

/// Threads.
pub static THREADS: Family = family(
    "upkeep_process_threads",
    MetricType::Gauge,
    Unit::None,
    "Threads of the matching processes.",
);

/// The oldest start.
pub static START_TIME: Family = family(
    "upkeep_process_start_time_seconds",
    MetricType::Gauge,
    Unit::Seconds,
    "Unix time when the oldest matching process started.",
);

fn sample(family: &'static Family, value: f64) -> Sample {
    Sample {
        family,
        labels: Vec::new(),
        value,
    }
}

/// The sample of the CPU counter; `None` before the first scan.
pub fn cpu(counter: &CpuCounter) -> Option<Sample> {
    counter.ticks().map(|ticks| sample(&CPU, seconds(ticks)))
}

/// The gauges of one scan. Without a matching process, there is only the count. If a value can't be read for one process,
/// its sum is absent, because a partial sum would be misleading.
pub fn gauges(scan: &ScanResult) -> Vec<Sample> {
    let processes = &scan.found.processes[..];
    let mut samples = vec![sample(&PROCESSES, processes.len() as f64)];
    if processes.is_empty() {
        return samples;
    }
    let mut push = |family, value: Option<f64>| samples.extend(value.map(|value| sample(family, value)));
    let pages = sum(processes, |process| Some(process.resident_pages));
    push(
        &RESIDENT_MEMORY,
        pages.map(|pages| pages * procfs::page_size() as f64),
    );
    push(&OPEN_FDS, sum(processes, |process| process.open_fds));
    push(&MAX_FDS, smallest_limit(processes));
    push(&THREADS, sum(processes, |process| Some(process.threads)));
    push(&START_TIME, oldest_start(scan));
    samples
}

/// When the oldest matching process started, in Unix time.
pub fn oldest_start(scan: &ScanResult) -> Option<f64> {
    let starts = scan.found.processes.iter().map(|process| process.identity.1);
    let start = scan.survey.boot_time.zip(starts.min());
    start.map(|(boot, ticks)| boot as f64 + seconds(ticks))
}

fn sum(processes: &[Process], value: impl Fn(&Process) -> Option<u64>) -> Option<f64> {
    processes
        .iter()
        .map(|process| value(process).map(|value| value as f64))
        .try_fold(0.0, |sum, value| value.map(|value| sum.add(value)))
}

fn smallest_limit(processes: &[Process]) -> Option<f64> {
    let limits: Option<Vec<SoftLimit>> = processes.iter().map(|process| process.max_fds).collect();
    Some(match limits?.into_iter().min()? {
        SoftLimit::Value(limit) => limit as f64,
        SoftLimit::Unlimited => f64::INFINITY,
    })
}

fn seconds(ticks: u64) -> f64 {
    ticks as f64 / procfs::ticks_per_second() as f64
}
