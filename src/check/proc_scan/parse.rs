//! Parsers of the files under /proc/PID. See proc_pid_stat(5) and proc_pid_limits(5).
//!
//! The parsers of the procfs crate are not used. They panic on truncated text and change names that are not UTF-8, while
//! names are matched as bytes here.

use procfs::process::StatFlags;

/// Identifies a process among all since boot: its id, which can be reused, and its start in clock ticks after boot.
pub type Identity = (i32, u64);

/// The used fields of /proc/PID/stat. All users may read these fields of all processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat<'a> {
    /// The name: up to 15 bytes except NUL. Names of kernel threads can be longer.
    pub name: &'a [u8],
    /// The state's letter.
    pub state: u8,
    /// Whether it is a kernel thread, which has no command line.
    pub is_kernel_thread: bool,
    /// The process that started it, or that it was handed to.
    pub parent: i32,
    /// Page faults that needed no input or output.
    pub minor_faults: u64,
    /// Page faults that needed a page from a disk.
    pub major_faults: u64,
    /// CPU time of all its threads in user mode, in clock ticks.
    pub user_ticks: u64,
    /// CPU time of all its threads in kernel mode, in clock ticks.
    pub system_ticks: u64,
    /// Its live threads. The first thread counts even if it has ended.
    pub threads: u64,
    /// When it started, in clock ticks after boot.
    pub start_ticks: u64,
    /// Virtual memory in bytes.
    pub virtual_bytes: u64,
    /// Resident memory in pages.
    pub resident_pages: u64,
}

impl<'a> Stat<'a> {
    /// Parses the content of a stat file; `None` if it is malformed.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        // The name is in parentheses. It can contain parentheses, spaces and line feeds; no later field does.
        let open = bytes.iter().position(|&byte| byte == b'(')?;
        let close = bytes.iter().rposition(|&byte| byte == b')')?;
        let name = bytes.get(open + 1..close)?;
        // Counted from zero. Field 0 is the state, field 3 of the manual page.
        let mut fields = bytes
            .get(close + 1..)?
            .split(u8::is_ascii_whitespace)
            .filter(|field| !field.is_empty());
        let &[state] = fields.next()? else { return None };
        let parent = number(fields.next()?)?;
        let flags: u32 = number(fields.nth(4)?)?;
        let minor_faults = number(fields.next()?)?;
        let major_faults = number(fields.nth(1)?)?;
        let user_ticks = number(fields.nth(1)?)?;
        let system_ticks = number(fields.next()?)?;
        let threads: i64 = number(fields.nth(4)?)?;
        let start_ticks = number(fields.nth(1)?)?;
        let virtual_bytes = number(fields.next()?)?;
        let resident: i64 = number(fields.next()?)?;
        Some(Self {
            name,
            state,
            is_kernel_thread: flags & StatFlags::PF_KTHREAD.bits() != 0,
            parent,
            minor_faults,
            major_faults,
            user_ticks,
            system_ticks,
            threads: threads.max(0).unsigned_abs(),
            start_ticks,
            virtual_bytes,
            resident_pages: resident.max(0).unsigned_abs(),
        })
    }

    /// CPU time of all its threads, in clock ticks.
    pub const fn cpu_ticks(&self) -> u64 {
        self.user_ticks.saturating_add(self.system_ticks)
    }

    /// Whether its first thread has ended.
    pub const fn is_ended(&self) -> bool {
        matches!(self.state, b'Z' | b'X' | b'x')
    }

    /// Whether only the first thread has ended. The process still runs in other threads, although its state is zombie.
    pub const fn lives_in_other_threads(&self) -> bool {
        self.is_ended() && self.threads > 1
    }
}

/// Parses the parent and the session from the content of a stat file.
pub fn parent_and_session(bytes: &[u8]) -> Option<(i32, i32)> {
    let close = bytes.iter().rposition(|&byte| byte == b')')?;
    let mut fields = bytes
        .get(close + 1..)?
        .split(u8::is_ascii_whitespace)
        .filter(|field| !field.is_empty());
    // The fields after the name are: state, parent, process group, session.
    Some((number(fields.nth(1)?)?, number(fields.nth(1)?)?))
}

/// Counts the pid namespaces in which a process has an id, from that of /proc down, in the content of a status file. `None`
/// if the kernel does not list them (before Linux 4.1).
pub fn count_pid_namespaces(bytes: &[u8]) -> Option<usize> {
    let ids = bytes
        .split(|&byte| byte == b'\n')
        .find_map(|line| line.strip_prefix(b"NSpid:"))?;
    let ids = ids.split(u8::is_ascii_whitespace);
    Some(ids.filter(|id| !id.is_empty()).count())
}

/// Parses the ids in the content of a `children` file.
pub fn ids(bytes: &[u8]) -> impl Iterator<Item = i32> + '_ {
    bytes.split(u8::is_ascii_whitespace).filter_map(process_id)
}

/// A soft resource limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SoftLimit {
    /// At most this many.
    Value(u64),
    /// No limit.
    Unlimited,
}

/// Parses the soft limit of open descriptors from the content of a limits file.
pub fn max_open_files(bytes: &[u8]) -> Option<SoftLimit> {
    let rest = bytes
        .split(|&byte| byte == b'\n')
        .find_map(|line| line.strip_prefix(b"Max open files"))?;
    match rest.trim_ascii_start().split(u8::is_ascii_whitespace).next()? {
        b"unlimited" => Some(SoftLimit::Unlimited),
        digits => number(digits).map(SoftLimit::Value),
    }
}

/// Joins the arguments of a command line with spaces and removes NULs at its end. Returns its length.
pub fn join_arguments(bytes: &mut [u8]) -> usize {
    let length = bytes
        .iter()
        .rposition(|&byte| byte != 0)
        .map_or(0, |last| last + 1);
    for byte in &mut bytes[..length] {
        if *byte == 0 {
            *byte = b' ';
        }
    }
    length
}

/// The process id of a directory entry of /proc; `None` if the entry is not a process.
pub fn process_id(name: &[u8]) -> Option<i32> {
    if name.first()? == &b'0' {
        return None;
    }
    name.iter().all(u8::is_ascii_digit).then(|| number(name))?
}

fn number<T: std::str::FromStr>(digits: &[u8]) -> Option<T> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests;
