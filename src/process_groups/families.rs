//! The metric families of process groups. Their names and labels are those of process-exporter, and some of them break the rules
//! for names; those that process-exporter does not have begin with `namedprocess_scrape_` too.

use crate::model::{Family, MetricType, Unit};

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Family {
    Family::probe(name, labels, help)
}

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Family {
    Family {
        metric_type: MetricType::Counter,
        unit: Unit::None,
        ..Family::probe(name, labels, help)
    }
}

const GROUP: &[&str] = &["groupname"];
const THREAD: &[&str] = &["groupname", "threadname"];

pub static PROCESSES: Family = gauge(
    "namedprocess_namegroup_num_procs",
    GROUP,
    "Processes of the group, including zombies.",
);
pub static CPU: Family = counter(
    "namedprocess_namegroup_cpu_seconds_total",
    &["groupname", "mode"],
    "CPU time in user and kernel mode.",
);
pub static READ_BYTES: Family = counter(
    "namedprocess_namegroup_read_bytes_total",
    GROUP,
    "Bytes read from storage.",
);
pub static WRITE_BYTES: Family = counter(
    "namedprocess_namegroup_write_bytes_total",
    GROUP,
    "Bytes written to storage.",
);
pub static MAJOR_FAULTS: Family = counter(
    "namedprocess_namegroup_major_page_faults_total",
    GROUP,
    "Page faults that needed a page from storage.",
);
pub static MINOR_FAULTS: Family = counter(
    "namedprocess_namegroup_minor_page_faults_total",
    GROUP,
    "Page faults that needed no page from storage.",
);
pub static CONTEXT_SWITCHES: Family = counter(
    "namedprocess_namegroup_context_switches_total",
    &["groupname", "ctxswitchtype"],
    "Context switches of all threads.",
);
pub static MEMORY: Family = gauge(
    "namedprocess_namegroup_memory_bytes",
    &["groupname", "memtype"],
    "Memory by type. Shared pages count once per process, or in proportion.",
);
pub static OPEN_FDS: Family = gauge(
    "namedprocess_namegroup_open_filedesc",
    GROUP,
    "Open file descriptors.",
);
pub static WORST_FD_RATIO: Family = gauge(
    "namedprocess_namegroup_worst_fd_ratio",
    GROUP,
    "Highest ratio of open file descriptors to their soft limit among the processes.",
);
pub static OLDEST_START: Family = gauge(
    "namedprocess_namegroup_oldest_start_time_seconds",
    GROUP,
    "Unix time when the oldest process started.",
);
pub static THREADS: Family = gauge(
    "namedprocess_namegroup_num_threads",
    GROUP,
    "Threads of the processes.",
);
pub static STATES: Family = gauge(
    "namedprocess_namegroup_states",
    &["groupname", "state"],
    "Processes by state. A process with several threads counts once, and each of its threads as well.",
);
pub static WAIT_CHANNELS: Family = gauge(
    "namedprocess_namegroup_threads_wchan",
    &["groupname", "wchan"],
    "Threads by the kernel function in which they wait. A process with several threads counts once more.",
);
pub static THREAD_COUNT: Family = gauge(
    "namedprocess_namegroup_thread_count",
    THREAD,
    "Threads with this name, in processes with several threads.",
);
pub static THREAD_CPU: Family = counter(
    "namedprocess_namegroup_thread_cpu_seconds_total",
    &["groupname", "threadname", "mode"],
    "CPU time of these threads in user and kernel mode.",
);
pub static THREAD_IO: Family = counter(
    "namedprocess_namegroup_thread_io_bytes_total",
    &["groupname", "threadname", "iomode"],
    "Bytes that these threads read from and wrote to storage.",
);
pub static THREAD_MAJOR_FAULTS: Family = counter(
    "namedprocess_namegroup_thread_major_page_faults_total",
    THREAD,
    "Page faults of these threads that needed a page from storage.",
);
pub static THREAD_MINOR_FAULTS: Family = counter(
    "namedprocess_namegroup_thread_minor_page_faults_total",
    THREAD,
    "Page faults of these threads that needed no page from storage.",
);
pub static THREAD_SWITCHES: Family = counter(
    "namedprocess_namegroup_thread_context_switches_total",
    &["groupname", "threadname", "ctxswitchtype"],
    "Context switches of these threads.",
);
pub static SCRAPE_ERRORS: Family = counter(
    "namedprocess_scrape_errors",
    &[],
    "Scrapes that could not list the processes.",
);
pub static READ_ERRORS: Family = counter(
    "namedprocess_scrape_procread_errors",
    &[],
    "Processes that could not be read, over all scrapes.",
);
pub static PARTIAL_ERRORS: Family = counter(
    "namedprocess_scrape_partial_errors",
    &[],
    "Processes of groups of which a value could not be read, over all scrapes.",
);
pub static GROUPS: Family = gauge(
    "namedprocess_scrape_groups",
    &[],
    "Groups, including those without processes.",
);
pub static LEFT_OUT_PROCESSES: Family = gauge(
    "namedprocess_scrape_left_out_processes",
    &[],
    "Processes without a group because there are too many groups.",
);
pub static LEFT_OUT_THREADS: Family = gauge(
    "namedprocess_scrape_left_out_threads",
    &[],
    "Threads without metrics because there are too many names of threads.",
);
pub static REMOVED_GROUPS: Family = counter(
    "namedprocess_scrape_removed_groups_total",
    &[],
    "Groups without processes that were removed because there were too many groups.",
);
