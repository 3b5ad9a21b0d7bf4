//! What a control group uses, and its metrics.

use std::borrow::Cow;

use crate::model::{Family, MetricType, Sample, Scope, Unit};

/// What a group and the groups below it use. Absent values are not known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// A number that identifies the group while it exists.
    pub id: u64,
    /// CPU time in nanoseconds.
    pub cpu_nanos: Option<u64>,
    /// Memory in bytes, with the cache of files.
    pub memory: Option<u64>,
    /// The largest memory so far, in bytes.
    pub memory_peak: Option<u64>,
    /// The group's own limit of memory, in bytes.
    pub memory_limit: Option<u64>,
    /// The inactive part of the page cache. The kernel frees it first.
    pub inactive_file: Option<u64>,
    /// Processes and threads.
    pub tasks: Option<u64>,
    /// The group's own limit of tasks.
    pub tasks_limit: Option<u64>,
    /// Bytes read from and written to block devices.
    pub io: Option<(u64, u64)>,
    /// Processes that the kernel killed because memory was exhausted.
    pub oom_kills: Option<u64>,
}

impl Families {
    /// The families of a kind: its own, followed by these. `N` is the number of all.
    pub const fn with<const N: usize>(&self, own: &[&'static Family]) -> [&'static Family; N] {
        let ours = [
            self.cpu,
            self.memory,
            self.working_set,
            self.memory_peak,
            self.memory_limit,
            self.tasks,
            self.tasks_limit,
            self.io_read,
            self.io_written,
            self.oom_kills,
        ];
        assert!(N == own.len() + ours.len(), "another number of families");
        let mut all = [self.cpu; N];
        let mut at = 0;
        while at < N {
            all[at] = if at < own.len() {
                own[at]
            } else {
                ours[at - own.len()]
            };
            at += 1;
        }
        all
    }
}

impl Usage {
    /// The memory without the inactive part of the page cache: what Kubernetes and `docker stats` compare with a limit. A
    /// program that reads many files fills its limit with that cache, and works well.
    pub fn working_set(&self) -> Option<u64> {
        let memory = self.memory?;
        Some(memory.saturating_sub(self.inactive_file.unwrap_or(0)))
    }

    /// Its samples, and the counter of OOM kills.
    pub fn push(&self, families: &Families, label: Option<&str>, samples: &mut Vec<Sample>) {
        let seconds = self.cpu_nanos.map(|nanos| nanos as f64 / 1e9);
        let values = [
            (families.cpu, seconds),
            (families.memory, self.memory.map(float)),
            (families.working_set, self.working_set().map(float)),
            (families.memory_peak, self.memory_peak.map(float)),
            (families.memory_limit, self.memory_limit.map(float)),
            (families.tasks, self.tasks.map(float)),
            (families.tasks_limit, self.tasks_limit.map(float)),
            (families.io_read, self.io.map(|(read, _)| float(read))),
            (families.io_written, self.io.map(|(_, written)| float(written))),
        ];
        for (family, value) in values {
            if let Some(value) = value {
                samples.push(sample(family, label, value));
            }
        }
    }
}

/// A sample of a family with at most one label.
pub fn sample(family: &'static Family, label: Option<&str>, value: f64) -> Sample {
    Sample {
        family,
        labels: label
            .map(|label| Cow::Owned(label.to_owned()))
            .into_iter()
            .collect(),
        value,
    }
}

#[allow(clippy::cast_precision_loss, reason = "exact up to 8 PiB")]
fn float(value: u64) -> f64 {
    value as f64
}

/// The families of one kind.
#[derive(Debug)]
pub struct Families {
    /// CPU time.
    pub cpu: &'static Family,
    /// Memory.
    pub memory: &'static Family,
    /// Memory without the cache that is freed first.
    pub working_set: &'static Family,
    /// The largest memory so far.
    pub memory_peak: &'static Family,
    /// The limit of memory.
    pub memory_limit: &'static Family,
    /// Tasks.
    pub tasks: &'static Family,
    /// The limit of tasks.
    pub tasks_limit: &'static Family,
    /// Bytes read.
    pub io_read: &'static Family,
    /// Bytes written.
    pub io_written: &'static Family,
    /// OOM kills.
    pub oom_kills: &'static Family,
}

/// Declares the families of a kind, whose names start with `$prefix`, as the constant `$name`. `$what` is the word for the group in their
/// help.
macro_rules! families {
    ($name:ident, $prefix:literal, $what:literal, $labels:expr) => {
        /// The families of what the group uses.
        pub const $name: $crate::check::cgroup::Families = {
            use $crate::check::cgroup::family;
            use $crate::model::MetricType::{Counter, Gauge};
            use $crate::model::Unit::{Bytes, None, Seconds};

            static CPU: Family = family(
                concat!($prefix, "_cpu_seconds_total"),
                (Counter, Seconds),
                $labels,
                concat!(
                    "CPU time that the ",
                    $what,
                    " has used. Starts at 0 when it is started."
                ),
            );
            static MEMORY: Family = family(
                concat!($prefix, "_memory_bytes"),
                (Gauge, Bytes),
                $labels,
                concat!(
                    "Memory that the ",
                    $what,
                    " uses, including the page cache."
                ),
            );
            static WORKING_SET: Family = family(
                concat!($prefix, "_memory_working_set_bytes"),
                (Gauge, Bytes),
                $labels,
                concat!(
                    "Memory that the ",
                    $what,
                    " uses, without the inactive part of the page cache."
                ),
            );
            static MEMORY_PEAK: Family = family(
                concat!($prefix, "_memory_peak_bytes"),
                (Gauge, Bytes),
                $labels,
                concat!(
                    "Largest memory that the ",
                    $what,
                    " has used since it was started."
                ),
            );
            static MEMORY_LIMIT: Family = family(
                concat!($prefix, "_memory_limit_bytes"),
                (Gauge, Bytes),
                $labels,
                concat!(
                    "Memory that the ",
                    $what,
                    " may use. Absent without a limit of its own."
                ),
            );
            static TASKS: Family = family(
                concat!($prefix, "_tasks"),
                (Gauge, None),
                $labels,
                concat!("Processes and threads of the ", $what, "."),
            );
            static TASKS_LIMIT: Family = family(
                concat!($prefix, "_tasks_limit"),
                (Gauge, None),
                $labels,
                concat!(
                    "Processes and threads that the ",
                    $what,
                    " may have. Absent without a limit of its own."
                ),
            );
            static IO_READ: Family = family(
                concat!($prefix, "_io_read_bytes_total"),
                (Counter, Bytes),
                $labels,
                concat!(
                    "Bytes that the ",
                    $what,
                    " has read from block devices. Starts at 0 when it is started."
                ),
            );
            static IO_WRITTEN: Family = family(
                concat!($prefix, "_io_written_bytes_total"),
                (Counter, Bytes),
                $labels,
                concat!(
                    "Bytes that the ",
                    $what,
                    " has written to block devices. Starts at 0 when it is started."
                ),
            );
            static OOM_KILLS: Family = family(
                concat!($prefix, "_oom_kills_total"),
                (Counter, None),
                $labels,
                concat!(
                    "Times that processes of the ",
                    $what,
                    " were killed for lack of memory, since the exporter started."
                ),
            );
            $crate::check::cgroup::Families {
                cpu: &CPU,
                memory: &MEMORY,
                working_set: &WORKING_SET,
                memory_peak: &MEMORY_PEAK,
                memory_limit: &MEMORY_LIMIT,
                tasks: &TASKS,
                tasks_limit: &TASKS_LIMIT,
                io_read: &IO_READ,
                io_written: &IO_WRITTEN,
                oom_kills: &OOM_KILLS,
            }
        };
    };
}
pub(in crate::check) use families;

/// A family of a check.
pub const fn family(
    name: &'static str,
    (metric_type, unit): (MetricType, Unit),
    labels: &'static [&'static str],
    help: &'static str,
) -> Family {
    Family {
        name,
        metric_type,
        unit,
        scope: Scope::Check,
        labels,
        help,
    }
}
