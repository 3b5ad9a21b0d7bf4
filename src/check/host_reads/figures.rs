//! The figures of the machine, from files of /proc.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use procfs::{FromBufRead, FromBufReadSI, FromRead, KernelStats, LoadAverage, Meminfo, ProcError};
use rustix::io::Errno;

use crate::model::{Problem, Reason};
use crate::net::shortage;

/// The most that is read of a file, in bytes. /proc/stat has about 100 bytes per CPU, and 12 per interrupt number. The others have a
/// few kilobytes.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// The resources that pressure stall information exists for, in the order of [`Figures::pressure`].
pub const RESOURCES: [&str; 3] = ["cpu", "memory", "io"];

/// The figures of one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    /// The CPU time of all cores since the start of the machine.
    pub cpu: CpuTicks,
    /// How many cores are online.
    pub cores: u64,
    /// The load averages over 1, 5 and 15 minutes.
    pub load: [f64; 3],
    /// The memory in bytes.
    pub memory: Memory,
    /// The pressure on each of [`RESOURCES`]. `None` if the kernel does not report it.
    pub pressure: Option<[Pressure; 3]>,
    /// The file descriptors of all processes.
    pub descriptors: Descriptors,
}

/// CPU time in clock ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuTicks {
    /// Time in which a CPU worked, or in which the hypervisor gave it to others.
    pub busy: u64,
    /// Time in which a CPU had nothing to do, or in which tasks only waited for disks.
    pub idle: u64,
}

/// Memory in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// The memory of the machine.
    pub total: u64,
    /// The memory that programs can get without swapping.
    pub available: u64,
    /// The swap space.
    pub swap_total: u64,
    /// The swap space that is not in use.
    pub swap_free: u64,
}

/// The pressure on a resource.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pressure {
    /// The share of the last 60 seconds in which tasks waited for it.
    pub recent: f64,
    /// The time in which tasks waited for it since the start of the machine, in seconds.
    pub waited: f64,
}

/// File descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptors {
    /// How many are open.
    pub open: u64,
    /// How many can be open.
    pub max: u64,
}

/// A file of /proc could not be read.
#[derive(Clone, Debug, thiserror::Error)]
#[error("reading {path}: {cause}")]
pub struct FiguresError {
    path: String,
    cause: String,
    reason: Reason,
    errno: Option<Errno>,
}

impl FiguresError {
    /// The problem of a run.
    pub fn problem(&self) -> Problem {
        let shortage = self.errno.and_then(shortage::from_errno);
        shortage::problem_or(shortage, self.reason, self)
    }
}

impl Figures {
    /// Reads the figures from the /proc mounted at `procfs`. May block, for example if it contains files of lxcfs.
    ///
    /// # Errors
    /// If a file can't be read or parsed. A missing directory `pressure` is not an error.
    pub fn read(procfs: &Path) -> Result<Self, FiguresError> {
        let stats = parse(&procfs.join("stat"), |file| {
            KernelStats::from_buf_read(file, procfs::current_system_info())
        })?;
        let load = parse(&procfs.join("loadavg"), LoadAverage::from_read)?;
        let memory = parse(&procfs.join("meminfo"), Meminfo::from_buf_read)?;
        let available = memory.mem_available;
        Ok(Self {
            cpu: cpu_ticks(&stats),
            cores: stats.cpu_time.len() as u64,
            load: [load.one, load.five, load.fifteen].map(f64::from),
            memory: Memory {
                total: memory.mem_total,
                // Before Linux 3.14, and in some containers.
                available: available.unwrap_or(memory.mem_free + memory.buffers + memory.cached),
                swap_total: memory.swap_total,
                swap_free: memory.swap_free,
            },
            pressure: read_pressure(&procfs.join("pressure"))?,
            descriptors: parse(&procfs.join("sys/fs/file-nr"), parse_descriptors)?,
        })
    }
}

fn cpu_ticks(stats: &KernelStats) -> CpuTicks {
    let total = &stats.total;
    // `user` includes guests (proc_stat(5)).
    let busy = [
        Some(total.user),
        Some(total.nice),
        Some(total.system),
        total.irq,
        total.softirq,
        total.steal,
    ];
    CpuTicks {
        busy: busy.into_iter().flatten().fold(0, u64::saturating_add),
        idle: total.idle.saturating_add(total.iowait.unwrap_or(0)),
    }
}

/// Reads the pressure. Without the option CONFIG_PSI, or with the kernel parameter psi=0, the directory does not exist or its files
/// can't be opened (Documentation/accounting/psi.rst).
fn read_pressure(directory: &Path) -> Result<Option<[Pressure; 3]>, FiguresError> {
    let mut found = Vec::new();
    for resource in RESOURCES {
        match parse(&directory.join(resource), parse_pressure) {
            Ok(pressure) => found.push(pressure),
            Err(FiguresError {
                errno: Some(Errno::NOENT | Errno::OPNOTSUPP),
                ..
            }) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    Ok(found.try_into().ok())
}

/// Parses the line `some`, which says when at least one task waited. The line `full` does not exist for the CPU before Linux 5.13.
#[allow(clippy::cast_precision_loss, reason = "exact for 285 years in microseconds")]
fn parse_pressure(mut file: impl BufRead) -> Result<Pressure, ProcError> {
    let mut line = String::new();
    file.read_line(&mut line)?;
    if !line.starts_with("some ") {
        return Err(ProcError::Other("has no line that starts with some".to_owned()));
    }
    let record = procfs::parse_pressure_record(&line)?;
    Ok(Pressure {
        recent: f64::from(record.avg60) / 100.0,
        waited: record.total as f64 / 1e6,
    })
}

/// Parses the open descriptors, a zero and the maximum (proc_sys_fs(5)).
fn parse_descriptors(mut file: impl BufRead) -> Result<Descriptors, ProcError> {
    let mut line = String::new();
    file.read_line(&mut line)?;
    let numbers: Option<Vec<u64>> = line.split_whitespace().map(|word| word.parse().ok()).collect();
    match numbers.as_deref() {
        Some([open, unused, max, ..]) => Ok(Descriptors {
            open: open.saturating_sub(*unused),
            max: *max,
        }),
        _ => Err(ProcError::Other("does not have three numbers".to_owned())),
    }
}

fn parse<T>(
    path: &Path,
    parse: impl FnOnce(BufReader<io::Take<File>>) -> Result<T, ProcError>,
) -> Result<T, FiguresError> {
    let failed = |cause: String, errno: Option<Errno>| FiguresError {
        path: path.display().to_string(),
        cause,
        reason: match errno {
            Some(Errno::ACCESS | Errno::PERM) => Reason::Permission,
            Some(_) => Reason::Unreachable,
            None => Reason::Protocol,
        },
        errno,
    };
    let unreadable = |error: &io::Error| failed(error.to_string(), Errno::from_io_error(error));
    let file = File::open(path).map_err(|error| unreadable(&error))?;
    parse(BufReader::new(file.take(MAX_BYTES))).map_err(|error| match error {
        ProcError::Io(error, _) => unreadable(&error),
        ProcError::Other(text) => failed(text, None),
        error => failed(format!("unexpected content: {error}"), None),
    })
}

/// Parses `bytes` as the files that the exporter parses itself. For tests with arbitrary input.
#[doc(hidden)]
pub fn fuzz_parse(bytes: &[u8]) -> (bool, bool) {
    (parse_pressure(bytes).is_ok(), parse_descriptors(bytes).is_ok())
}
