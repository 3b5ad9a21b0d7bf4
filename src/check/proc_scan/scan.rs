//! One scan of /proc for all waiting requests. It reads the command line of every process. It reads the name, the user and the
//! executable only if some criteria need them, and the resource usage only of matching processes. Every file costs about as
//! much as the command line, so a scan takes as long as it reads files.
//!
//! The name is read from `comm`, because the kernel needs longer for the 52 fields of `stat`. A process with a command line has
//! its own memory, so it is neither a kernel thread nor a zombie. For all others, `stat` is read.
//!
//! A process can end between two reads; then it is ignored. Command lines are not cached, because a process can change its
//! own. After exec it still has the same id and start time.

use std::path::Path;
use std::sync::Arc;

use rustix::io::Errno;

use super::criteria::{Criteria, MatchResult};
use super::error::ScanError;
use super::facts::ReadFacts;
use super::files::{ProcRoot, ProcessPath, has_ended, readable};
use super::limits::KnownLimits;
use super::own_command::OwnCommand;
use super::parse::{Identity, SoftLimit, Stat, max_open_files};
use super::progress::Progress;
use super::texts::{Buffers, MAX_FILE_BYTES, read_command_line};
use crate::net::shortage;

/// A process that matches. Values that may not be read are `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// Id and start.
    pub identity: Identity,
    /// CPU time in clock ticks.
    pub cpu_ticks: u64,
    /// Live threads.
    pub threads: u64,
    /// Resident memory in pages.
    pub resident_pages: u64,
    /// Open descriptors.
    pub open_fds: Option<u64>,
    /// The soft limit of open descriptors.
    pub max_fds: Option<SoftLimit>,
}

/// The result of a scan for one set of criteria.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matches {
    /// The processes that match all criteria, in the order of their ids.
    pub processes: Vec<Process>,
    /// Matching processes that ended and were not reaped by their parent.
    pub zombies: usize,
    /// Processes that may match: the exporter may not read what decides.
    pub unknown: usize,
    /// Matching processes that are excluded.
    pub excluded: usize,
    /// Matching processes that started the exporter or belong to its command.
    pub own_command: usize,
}

/// The result of a scan for one request.
#[derive(Clone, Debug)]
pub struct ScanResult {
    /// The processes that match the request's criteria.
    pub found: Matches,
    /// The data that all requests of the scan share.
    pub survey: Arc<Survey>,
}

/// What one scan found independently of criteria.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// The id of every process, in ascending order.
    pub processes: Vec<i32>,
    /// Whether there are processes that the exporter is not allowed to see. Every pid namespace has a process 1 as long as
    /// it exists. If it is not listed, /proc is mounted with `hidepid`.
    pub is_partial: bool,
    /// When the machine started, as a Unix time in seconds. Read only if some process matches.
    pub boot_time: Option<u64>,
}

/// Scans the /proc at `root` for all of `wanted`. Does not read the command lines of the processes in `avoided`.
///
/// # Errors
/// See [`ScanError`].
pub fn scan(
    root: &Path,
    wanted: &[&Criteria],
    avoided: &[i32],
    progress: &Progress,
    buffers: &mut Buffers,
) -> Result<(Vec<Matches>, Survey), ScanError> {
    let path = || root.to_path_buf();
    match inspect_all(root, wanted, avoided, progress, buffers) {
        Err(cause) => Err(ScanError::List { path: path(), cause }),
        Ok((found, survey)) if survey.processes.is_empty() && found.iter().all(|one| one.unknown == 0) => {
            // In a real /proc, the exporter sees at least itself.
            let is_procfs = root.join("self").symlink_metadata().is_ok();
            if is_procfs {
                Ok((found, survey))
            } else {
                Err(ScanError::Empty { path: path() })
            }
        }
        Ok(complete) => Ok(complete),
    }
}

/// Compares all processes with all criteria. Fails if /proc can't be opened or listed, or if descriptors or memory run out.
fn inspect_all(
    root: &Path,
    wanted: &[&Criteria],
    avoided: &[i32],
    progress: &Progress,
    buffers: &mut Buffers,
) -> Result<(Vec<Matches>, Survey), Errno> {
    let root = ProcRoot::open(root)?;
    let own_command = OwnCommand::find(&root, buffers)?;
    let ids = root.processes()?;
    let mut found = vec![Matches::default(); wanted.len()];
    buffers.limits.expire();
    let mut survey = Survey {
        processes: Vec::with_capacity(ids.len()),
        is_partial: !ids.contains(&1),
        boot_time: None,
    };
    for id in ids {
        progress.enter(id);
        if own_command.is_exporter(id) {
            continue;
        }
        let is_avoided = avoided.contains(&id);
        match inspect(&root, id, is_avoided, &own_command, wanted, &mut found, buffers) {
            Ok(()) => survey.processes.push(id),
            Err(error) if has_ended(error) => {}
            // Without descriptors or memory, a matching process could be missed.
            Err(error) if shortage::from_errno(error).is_some() => return Err(error),
            Err(_) => {
                survey.is_partial = true;
                found.iter_mut().for_each(|one| one.unknown += 1);
            }
        }
    }
    progress.leave();
    if found.iter().any(|one| !one.processes.is_empty()) {
        survey.boot_time = root.boot_time();
    }
    Ok((found, survey))
}

/// Compares one process with all criteria.
fn inspect(
    root: &ProcRoot,
    id: i32,
    is_avoided: bool,
    own_command: &OwnCommand,
    wanted: &[&Criteria],
    found: &mut [Matches],
    buffers: &mut Buffers,
) -> Result<(), Errno> {
    let Buffers {
        path,
        stat,
        name,
        command_line,
        limits,
        ..
    } = buffers;
    path.set_process(id);
    let read = match is_avoided {
        true => None,
        false => read_command_line(root, path, command_line)?,
    };
    let mut numbers = None;
    let (name_length, line) = match read {
        Some(length @ 1..) => (None, Some(length)),
        _ => {
            let (read, its_name) = StatFacts::read(root, id, path, stat)?;
            let line = match read.has_command_line {
                false => Some(0),
                true if is_avoided => None,
                true => read_command_line(root, path, command_line)?,
            };
            numbers = Some(read);
            name[..its_name.len()].copy_from_slice(its_name);
            (Some(its_name.len()), line)
        }
    };
    let command_line = line.map(|length| &command_line[..length]);

    let mut facts = ReadFacts::new(root, path, name, name_length);
    let mut has_details = false;
    for (criteria, found) in wanted.iter().zip(found) {
        let result = criteria.matches(command_line, &mut facts);
        let excluded = match result {
            MatchResult::No => MatchResult::No,
            _ => criteria.excludes(command_line, &mut facts),
        };
        if let Some(error) = facts.name_error() {
            return Err(error);
        }
        if result == MatchResult::No {
            continue;
        }
        if own_command.contains(id, command_line) {
            found.own_command += 1;
            continue;
        }
        match (excluded, result) {
            (MatchResult::Yes, _) => {
                found.excluded += 1;
                continue;
            }
            (MatchResult::No, MatchResult::Yes) => {}
            _ => {
                found.unknown += 1;
                continue;
            }
        }
        let read = match &mut numbers {
            Some(read) => read,
            None => numbers.insert(StatFacts::read(root, id, facts.path(), stat)?.0),
        };
        let is_kernel_thread = !read.has_command_line && !read.is_zombie;
        // It has only a name. The file of its command line is empty, except in a directory that only looks like /proc.
        if is_kernel_thread && criteria.matches(Some(b""), &mut facts) == MatchResult::No {
            continue;
        }
        if read.is_zombie {
            found.zombies += 1;
            continue;
        }
        if !has_details {
            read_details(root, facts.path(), limits, &mut read.process)?;
            has_details = true;
        }
        found.processes.push(read.process);
    }
    Ok(())
}

/// What `stat` contains about a process.
struct StatFacts {
    process: Process,
    is_zombie: bool,
    /// Whether the process can have a command line.
    has_command_line: bool,
}

impl StatFacts {
    /// Reads the values and the name.
    fn read<'a>(
        root: &ProcRoot,
        id: i32,
        path: &mut ProcessPath,
        buffer: &'a mut [u8],
    ) -> Result<(Self, &'a [u8]), Errno> {
        let length = root.read(path.file("stat"), buffer)?;
        let stat = Stat::parse(&buffer[..length]).ok_or(Errno::INVAL)?;
        let mut process = Process {
            identity: (id, stat.start_ticks),
            cpu_ticks: stat.cpu_ticks(),
            threads: stat.threads,
            resident_pages: stat.resident_pages,
            open_fds: None,
            max_fds: None,
        };
        if stat.lives_in_other_threads() {
            process.resident_pages = enter_live_thread(root, id, path)?;
        }
        let is_zombie = stat.is_ended() && !stat.lives_in_other_threads();
        let numbers = Self {
            process,
            is_zombie,
            has_command_line: !is_zombie && !stat.is_kernel_thread,
        };
        Ok((numbers, stat.name))
    }
}

/// Sets `path` to a thread that still runs in a process whose first thread has ended. The first thread's directory no longer
/// shows a command line or descriptors. Returns the resident pages found there.
fn enter_live_thread(root: &ProcRoot, id: i32, path: &mut ProcessPath) -> Result<u64, Errno> {
    let threads = root.tasks(path.file("task"))?;
    for thread in threads.into_iter().filter(|thread| *thread != id) {
        path.set_thread(id, thread);
        let mut text = [0; MAX_FILE_BYTES];
        let Ok(length) = root.read(path.file("stat"), &mut text) else {
            continue;
        };
        if let Some(stat) = Stat::parse(&text[..length]).filter(|stat| !stat.is_ended()) {
            return Ok(stat.resident_pages);
        }
    }
    Err(Errno::SRCH)
}

/// Adds the values that are read only of matching processes.
fn read_details(
    root: &ProcRoot,
    path: &mut ProcessPath,
    limits: &mut KnownLimits,
    process: &mut Process,
) -> Result<(), Errno> {
    process.open_fds = readable(root.count_descriptors(path.file("fd")))?;
    process.max_fds = limits.get(process.identity, || {
        let mut text = [0; MAX_FILE_BYTES];
        let length = readable(root.read(path.file("limits"), &mut text))?;
        Ok(length.and_then(|length| max_open_files(&text[..length])))
    })?;
    Ok(())
}
