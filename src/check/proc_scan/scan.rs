//! One scan of /proc for everybody who asks. Of every process the command line and the name are read; the user and the
//! executable only where somebody's criteria get that far; what it uses only where they hold.
//!
//! The name is read from `comm`, since making the 52 fields of `stat` takes the kernel several times as long. Whoever has
//! a command line has a memory of its own, so it is neither a kernel thread nor a zombie; for all others `stat` says what
//! they are.
//!
//! A process may end between any two reads; then it was not there. A command line is read anew each time, since a
//! process may change it, by exec too, which changes neither its id nor its start time.

use std::path::Path;

use rustix::io::Errno;

use super::criteria::{Criteria, Holds};
use super::facts::ReadFacts;
use super::files::{ProcRoot, ProcessPath};
use super::kin::Kin;
use super::parse::{SoftLimit, Stat, join_arguments, max_open_files};
use super::progress::Progress;
use crate::net::shortage::of_errno;

/// The most of a command line that is looked at, in bytes: the longest that one argument can be (Linux's
/// `MAX_ARG_STRLEN`), since what tells one Java service from another can stand behind a long class path.
const MAX_COMMAND_LINE_BYTES: usize = 128 * 1024;

/// The most read of any other file, in bytes; they are shorter.
const MAX_FILE_BYTES: usize = 4 * 1024;

/// What tells a process from every other since the machine started: its id, which is used again, and its start in clock
/// ticks after boot.
pub type Identity = (i32, u64);

/// A process that meets somebody's criteria. `None` is what may not be read.
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

/// What was found for one set of criteria.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The processes for which all criteria hold, in the order of their ids.
    pub processes: Vec<Process>,
    /// Processes that ended and were not reaped by their parent, for whose name all criteria would hold.
    pub zombies: usize,
    /// Processes of which it can't be told whether the criteria hold.
    pub unknown: usize,
    /// Processes for which they hold, but which are excluded.
    pub excluded: usize,
    /// Processes for which they hold, but which started the exporter or belong to its own command.
    pub kin: usize,
}

/// What one scan saw, whoever asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// The id of every process, in ascending order.
    pub processes: Vec<i32>,
    /// Whether there are processes that the exporter is not allowed to see. Every pid namespace has a process 1, for as
    /// long as it exists; where that is not shown, /proc is mounted with `hidepid`.
    pub is_partial: bool,
    /// When the machine started, as a Unix time in seconds; read only when processes were found.
    pub boot_time: Option<u64>,
}

/// Buffers that are used again from scan to scan.
#[derive(Debug)]
pub struct Buffers {
    pub(super) path: ProcessPath,
    pub(super) stat: Vec<u8>,
    name: Vec<u8>,
    pub(super) command_line: Vec<u8>,
}

impl Default for Buffers {
    fn default() -> Self {
        Self {
            path: ProcessPath::default(),
            stat: vec![0; MAX_FILE_BYTES],
            name: vec![0; MAX_FILE_BYTES],
            command_line: vec![0; MAX_COMMAND_LINE_BYTES],
        }
    }
}

/// Scans the /proc at `root` for each of `wanted`, without reading the command lines of the processes in `avoided`.
///
/// # Errors
/// When /proc can't be opened or listed, or when descriptors or memory run out meanwhile.
pub fn scan(
    root: &Path,
    wanted: &[&Criteria],
    avoided: &[i32],
    progress: &Progress,
    buffers: &mut Buffers,
) -> Result<(Vec<Found>, Survey), Errno> {
    let root = ProcRoot::open(root)?;
    let kin = Kin::find(&root, buffers)?;
    let ids = root.processes()?;
    let mut found = vec![Found::default(); wanted.len()];
    let mut survey = Survey {
        processes: Vec::with_capacity(ids.len()),
        is_partial: !ids.contains(&1),
        boot_time: None,
    };
    for id in ids {
        progress.enter(id);
        if kin.is_own(id) {
            continue;
        }
        let is_avoided = avoided.contains(&id);
        match look_at(&root, id, is_avoided, &kin, wanted, &mut found, buffers) {
            Ok(()) => survey.processes.push(id),
            Err(error) if has_ended(error) => {}
            // What could not be read for want of descriptors or memory may be what is looked for.
            Err(error) if of_errno(error).is_some() => return Err(error),
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

/// Looks at one process for everybody.
fn look_at(
    root: &ProcRoot,
    id: i32,
    is_avoided: bool,
    kin: &Kin,
    wanted: &[&Criteria],
    found: &mut [Found],
    buffers: &mut Buffers,
) -> Result<(), Errno> {
    let Buffers {
        path,
        stat,
        name,
        command_line,
    } = buffers;
    path.set_process(id);
    let mut numbers = None;
    let texts = match is_avoided {
        true => None,
        false => read_texts(root, path, name, command_line)?,
    };
    let (name, command_line) = match texts {
        Some((name_length, length)) => (&name[..name_length], Some(&command_line[..length])),
        None => {
            let (read, its_name) = Numbers::read(root, id, path, stat)?;
            let line = match read.has_command_line {
                false => Some(0),
                true if is_avoided => None,
                true => read_command_line(root, path, command_line)?,
            };
            numbers = Some(read);
            let name = &mut name[..its_name.len()];
            name.copy_from_slice(its_name);
            (&*name, line.map(|length| &command_line[..length]))
        }
    };

    let mut facts = ReadFacts::new(root, path);
    let mut has_details = false;
    for (criteria, found) in wanted.iter().zip(found) {
        let holds = criteria.hold(name, command_line, &mut facts);
        if holds == Holds::No {
            continue;
        }
        if kin.contains(id, command_line) {
            found.kin += 1;
            continue;
        }
        match (criteria.exclude(name, command_line), holds) {
            (Holds::Yes, _) => {
                found.excluded += 1;
                continue;
            }
            (Holds::No, Holds::Yes) => {}
            _ => {
                found.unknown += 1;
                continue;
            }
        }
        let read = match &mut numbers {
            Some(read) => read,
            None => numbers.insert(Numbers::read(root, id, facts.path(), stat)?.0),
        };
        if read.is_zombie {
            found.zombies += 1;
            continue;
        }
        if !has_details {
            read_details(root, facts.path(), &mut read.process)?;
            has_details = true;
        }
        found.processes.push(read.process);
    }
    Ok(())
}

/// What `stat` says of a process.
struct Numbers {
    process: Process,
    is_zombie: bool,
    /// Whether it may have one.
    has_command_line: bool,
}

impl Numbers {
    /// Reads it, and the name.
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
            cpu_ticks: stat.cpu_ticks,
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

/// The lengths of the name and of the command line; `None` where they do not tell enough: the command line is empty, or
/// one of them can't be read.
fn read_texts(
    root: &ProcRoot,
    path: &mut ProcessPath,
    name: &mut [u8],
    command_line: &mut [u8],
) -> Result<Option<(usize, usize)>, Errno> {
    let Some(length @ 1..) = read_command_line(root, path, command_line)? else {
        return Ok(None);
    };
    let name_length = match root.read(path.file("comm"), name) {
        Ok(length @ 1..) => length,
        Err(error) if of_errno(error).is_some() => return Err(error),
        _ => return Ok(None),
    };
    // The kernel appends one line break to the name, which may itself end in one.
    Ok(Some((name_length - 1, length)))
}

/// Makes `path` that of a thread which still runs in a process whose first thread has ended, because the first one's
/// directory shows neither command line nor descriptors any more. Returns the resident pages seen there.
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

/// The length of the command line as it is matched; `None` when it may not be read.
pub(super) fn read_command_line(
    root: &ProcRoot,
    path: &mut ProcessPath,
    buffer: &mut [u8],
) -> Result<Option<usize>, Errno> {
    let length = readable(root.read(path.file("cmdline"), buffer))?;
    Ok(length.map(|length| join_arguments(&mut buffer[..length])))
}

/// Adds what is only read of processes that somebody wants.
fn read_details(root: &ProcRoot, path: &mut ProcessPath, process: &mut Process) -> Result<(), Errno> {
    process.open_fds = readable(root.count_descriptors(path.file("fd")))?;
    let mut text = [0; MAX_FILE_BYTES];
    let length = readable(root.read(path.file("limits"), &mut text))?;
    process.max_fds = length.and_then(|length| max_open_files(&text[..length]));
    Ok(())
}

/// `None` for what may not be read; an error when the process has ended, or the exporter lacks what it takes to read.
fn readable<T>(result: Result<T, Errno>) -> Result<Option<T>, Errno> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if has_ended(error) || of_errno(error).is_some() => Err(error),
        Err(_) => Ok(None),
    }
}

/// Whether an error says that the process is no more: its directory is gone, or was opened before it ended.
pub(super) fn has_ended(error: Errno) -> bool {
    matches!(error, Errno::NOENT | Errno::SRCH)
}
