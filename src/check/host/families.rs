//! The metric families of host checks. They are few on purpose: `node_exporter` measures machines in detail.

use crate::model::{Family, MetricType, Scope, Unit};

/// The share of CPU time in use.
pub static CPU_USAGE: Family = Family::gauge(
    "upkeep_host_cpu_usage_ratio",
    &[],
    "Ratio of CPU time in use since the previous run. Absent after the first run.",
);

/// The number of cores.
pub static CPUS: Family = Family::gauge("upkeep_host_cpus", &[], "Cores of the machine that are online.");

/// The load averages.
pub static LOAD: Family = Family::gauge(
    "upkeep_host_load_average",
    &["window"],
    "Average number of tasks that run, or wait for a CPU or a disk, over 1m, 5m or 15m.",
);

/// The memory.
pub static MEMORY_SIZE: Family =
    Family::gauge("upkeep_host_memory_size_bytes", &[], "Memory of the machine.").in_unit(Unit::Bytes);

/// The available memory.
pub static MEMORY_AVAILABLE: Family = Family::gauge(
    "upkeep_host_memory_available_bytes",
    &[],
    "Memory that programs can get without swapping.",
)
.in_unit(Unit::Bytes);

/// The swap space.
pub static SWAP_SIZE: Family =
    Family::gauge("upkeep_host_swap_size_bytes", &[], "Swap space of the machine.").in_unit(Unit::Bytes);

/// The swap space in use.
pub static SWAP_USED: Family =
    Family::gauge("upkeep_host_swap_used_bytes", &[], "Swap space in use.").in_unit(Unit::Bytes);

/// The time in which tasks waited.
pub static PRESSURE_WAITING: Family = Family {
    name: "upkeep_host_pressure_waiting_seconds_total",
    metric_type: MetricType::Counter,
    unit: Unit::Seconds,
    scope: Scope::Check,
    labels: &["resource"],
    help: "Time in which tasks waited for a resource (cpu, memory or io), since the start of the machine.",
};

/// The size of a file system.
pub static DISK_SIZE: Family = Family::gauge(
    "upkeep_host_disk_size_bytes",
    &["mount"],
    "Size of a file system.",
)
.in_unit(Unit::Bytes);

/// The free space of a file system.
pub static DISK_AVAILABLE: Family = Family::gauge(
    "upkeep_host_disk_available_bytes",
    &["mount"],
    "Free space of a file system for users other than root.",
)
.in_unit(Unit::Bytes);

/// The inodes of a file system.
pub static DISK_INODES: Family = Family::gauge(
    "upkeep_host_disk_inodes",
    &["mount"],
    "Inodes of a file system. Absent if their number is not fixed.",
);

/// The free inodes of a file system.
pub static DISK_INODES_FREE: Family = Family::gauge(
    "upkeep_host_disk_inodes_free",
    &["mount"],
    "Free inodes of a file system. Absent if their number is not fixed.",
);

/// The open file descriptors.
pub static OPEN_FDS: Family = Family::gauge(
    "upkeep_host_open_fds",
    &[],
    "Open file descriptors of all processes of the machine.",
);

/// The limit of open file descriptors.
pub static MAX_FDS: Family = Family::gauge(
    "upkeep_host_max_fds",
    &[],
    "Maximum number of open file descriptors of the machine (fs.file-max).",
);

/// The families of host checks.
pub const FAMILIES: &[&Family] = &[
    &CPU_USAGE,
    &CPUS,
    &LOAD,
    &MEMORY_SIZE,
    &MEMORY_AVAILABLE,
    &SWAP_SIZE,
    &SWAP_USED,
    &PRESSURE_WAITING,
    &DISK_SIZE,
    &DISK_AVAILABLE,
    &DISK_INODES,
    &DISK_INODES_FREE,
    &OPEN_FDS,
    &MAX_FDS,
];
