//! Reads below one mounted /proc: relative to its directory's descriptor, into buffers that are used again, bounded.

use std::ffi::CStr;
use std::fmt::Write;
use std::io::BufReader;
use std::mem::MaybeUninit;
use std::path::Path;

use procfs::{FromBufReadSI, KernelStats};
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, PROC_SUPER_MAGIC, RawDir, fstatfs, openat, readlinkat, statat};
use rustix::io::{Errno, read, retry_on_intr};

use super::parse::process_id;

/// The most read of /proc/stat, in bytes; its interrupt counters can be long on large machines.
const MAX_KERNEL_STATS_BYTES: u64 = 4 * 1024 * 1024;

/// A mounted /proc, or a directory that looks like one.
#[derive(Debug)]
pub struct ProcRoot {
    directory: OwnedFd,
    /// Whether the size of a `fd` directory is the number of its entries, which Linux 6.2 brought.
    fd_size_is_count: bool,
}

impl ProcRoot {
    /// Opens the directory.
    pub fn open(path: &Path) -> Result<Self, Errno> {
        let directory = open_directory(CWD, path)?;
        let is_procfs = fstatfs(&directory).is_ok_and(|found| found.f_type == PROC_SUPER_MAGIC);
        // This process has at least one descriptor: the one just opened.
        let fd_size_is_count = is_procfs
            && statat(&directory, c"self/fd", AtFlags::empty()).is_ok_and(|found| found.st_size > 0);
        Ok(Self {
            directory,
            fd_size_is_count,
        })
    }

    /// The exporter's own process id as this /proc's pid namespace numbers it, where it is visible at all.
    pub fn own_process(&self) -> Option<i32> {
        process_id(readlinkat(&self.directory, c"self", Vec::new()).ok()?.as_bytes())
    }

    /// The ids of the processes listed, in ascending order.
    pub fn processes(&self) -> Result<Vec<i32>, Errno> {
        // Opened anew, since a directory's descriptor has one position.
        let mut ids = Vec::with_capacity(256);
        each_entry(&open_directory(&self.directory, ".")?, |name| {
            ids.extend(process_id(name.to_bytes()));
        })?;
        // As procfs lists them, but other file systems, on which tests keep what looks like one, do not.
        ids.sort_unstable();
        Ok(ids)
    }

    /// Reads a file's beginning, at most what `buffer` takes, and returns how much it was. One read suffices: the kernel
    /// makes such a file's content when it is read, and gives as much of it as there is room for.
    pub fn read(&self, path: &str, buffer: &mut [u8]) -> Result<usize, Errno> {
        let file = openat(
            &self.directory,
            path,
            OFlags::RDONLY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        retry_on_intr(|| read(&file, &mut *buffer))
    }

    /// The user that a directory of a process belongs to: the process's effective user.
    pub fn owner(&self, path: &str) -> Result<u32, Errno> {
        statat(&self.directory, path, AtFlags::empty()).map(|found| found.st_uid)
    }

    /// What a symbolic link points to.
    pub fn link(&self, path: &str) -> Result<Vec<u8>, Errno> {
        readlinkat(&self.directory, path, Vec::new()).map(std::ffi::CString::into_bytes)
    }

    /// How many entries the `fd` directory at `path` has.
    pub fn count_descriptors(&self, path: &str) -> Result<u64, Errno> {
        if self.fd_size_is_count {
            // Needs no privilege, unlike listing the directory.
            let found = statat(&self.directory, path, AtFlags::empty())?;
            return Ok(u64::try_from(found.st_size).unwrap_or(0));
        }
        let mut count = 0;
        each_entry(&open_directory(&self.directory, path)?, |name| {
            count += u64::from(name.to_bytes().first().is_some_and(|byte| *byte != b'.'));
        })?;
        Ok(count)
    }

    /// The ids in the `task` directory at `path`.
    pub fn tasks(&self, path: &str) -> Result<Vec<i32>, Errno> {
        let mut ids = Vec::new();
        each_entry(&open_directory(&self.directory, path)?, |name| {
            ids.extend(process_id(name.to_bytes()));
        })?;
        Ok(ids)
    }

    /// When the machine started, as a Unix time in seconds.
    pub fn boot_time(&self) -> Option<u64> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = std::fs::File::from(openat(&self.directory, c"stat", flags, Mode::empty()).ok()?);
        let reader = BufReader::new(std::io::Read::take(file, MAX_KERNEL_STATS_BYTES));
        let stats = KernelStats::from_buf_read(reader, procfs::current_system_info()).ok()?;
        Some(stats.btime)
    }
}

fn open_directory<F: rustix::fd::AsFd, P: rustix::path::Arg>(at: F, path: P) -> Result<OwnedFd, Errno> {
    openat(
        at,
        path,
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
}

fn each_entry(directory: &OwnedFd, mut visit: impl FnMut(&CStr)) -> Result<(), Errno> {
    let mut buffer = [MaybeUninit::uninit(); 16 * 1024];
    let mut entries = RawDir::new(directory, &mut buffer);
    while let Some(entry) = entries.next() {
        visit(entry?.file_name());
    }
    Ok(())
}

/// The path of a process's directory, in a buffer that is used again for the paths of its files.
#[derive(Debug, Default)]
pub struct ProcessPath {
    text: String,
    directory: usize,
}

impl ProcessPath {
    /// Now the directory of process `id`.
    pub fn set_process(&mut self, id: i32) {
        self.text.clear();
        // Writing to a string can't fail.
        let _ = write!(self.text, "{id}");
        self.directory = self.text.len();
    }

    /// Now the directory of thread `thread` of process `id`.
    pub fn set_thread(&mut self, id: i32, thread: i32) {
        self.text.clear();
        let _ = write!(self.text, "{id}/task/{thread}");
        self.directory = self.text.len();
    }

    /// The directory.
    pub fn directory(&self) -> &str {
        &self.text[..self.directory]
    }

    /// A file in the directory.
    pub fn file(&mut self, name: &str) -> &str {
        self.text.truncate(self.directory);
        self.text.push('/');
        self.text.push_str(name);
        &self.text
    }
}
