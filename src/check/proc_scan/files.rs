//! Bounded reads below one mounted /proc, relative to its directory's descriptor, into reused buffers.

use std::ffi::CStr;
use std::fmt::Write;
use std::io::BufReader;
use std::mem::MaybeUninit;
use std::path::Path;

use procfs::{FromBufReadSI, KernelStats};
use rustix::fd::OwnedFd;
use rustix::fs::{
    AtFlags, CWD, Mode, OFlags, PROC_SUPER_MAGIC, RawDir, fstatfs, openat, readlinkat, readlinkat_raw, statat,
};
use rustix::io::{Errno, read, retry_on_intr};

use super::parse::process_id;
use crate::net::shortage;

/// How many bytes of /proc/stat are read. Its interrupt counters can be long on large machines.
const MAX_KERNEL_STATS_BYTES: u64 = 4 * 1024 * 1024;

/// How many bytes of a descriptor's target are read: enough for `socket:[` and a number of 20 digits.
const MAX_LINK_BYTES: usize = 32;

/// A mounted /proc, or a directory that looks like one.
#[derive(Debug)]
pub struct ProcRoot {
    directory: OwnedFd,
    /// Whether the size of a `fd` directory is the number of its entries (since Linux 6.2).
    fd_size_is_count: bool,
}

impl ProcRoot {
    /// Opens the directory.
    pub fn open(path: &Path) -> Result<Self, Errno> {
        let directory = open_directory(CWD, path)?;
        let is_procfs = fstatfs(&directory).is_ok_and(|found| found.f_type == PROC_SUPER_MAGIC);
        // This process has at least one descriptor, which it has just opened.
        let fd_size_is_count = is_procfs
            && statat(&directory, c"self/fd", AtFlags::empty()).is_ok_and(|found| found.st_size > 0);
        Ok(Self {
            directory,
            fd_size_is_count,
        })
    }

    /// The exporter's process id in the pid namespace of this /proc. `None` if the exporter is not visible there.
    pub fn own_process(&self) -> Option<i32> {
        process_id(readlinkat(&self.directory, c"self", Vec::new()).ok()?.as_bytes())
    }

    /// The ids of all listed processes, in ascending order.
    pub fn processes(&self) -> Result<Vec<i32>, Errno> {
        // Opened for every scan, because a directory's descriptor has only one position.
        let mut ids = Vec::with_capacity(256);
        each_entry(&open_directory(&self.directory, ".")?, |name| {
            ids.extend(process_id(name.to_bytes()));
        })?;
        // procfs lists them in order. The file systems of fake /proc directories in tests do not.
        ids.sort_unstable();
        Ok(ids)
    }

    /// Reads the beginning of a file into `buffer` and returns its length. One call is enough: the kernel generates such a
    /// file when it is read, and fills the buffer.
    pub fn read(&self, path: &str, buffer: &mut [u8]) -> Result<usize, Errno> {
        let file = openat(
            &self.directory,
            path,
            OFlags::RDONLY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        retry_on_intr(|| read(&file, &mut *buffer))
    }

    /// The owner of a process's directory, which is the process's effective user.
    pub fn owner(&self, path: &str) -> Result<u32, Errno> {
        statat(&self.directory, path, AtFlags::empty()).map(|found| found.st_uid)
    }

    /// The target of a symbolic link.
    pub fn link(&self, path: &str) -> Result<Vec<u8>, Errno> {
        readlinkat(&self.directory, path, Vec::new()).map(std::ffi::CString::into_bytes)
    }

    /// The number of entries in the `fd` directory at `path`.
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

    /// Calls `visit` with the name and the target of every link in the `fd` directory at `path`. Longer targets than
    /// `MAX_LINK_BYTES` are truncated.
    pub fn each_descriptor(&self, path: &str, mut visit: impl FnMut(&CStr, &[u8])) -> Result<(), Errno> {
        let directory = open_directory(&self.directory, path)?;
        let mut target = [0; MAX_LINK_BYTES];
        each_entry(&directory, |name| {
            // A descriptor can be closed in the meantime. The entries "." and ".." are not links.
            if let Ok(length) = readlinkat_raw(&directory, name, &mut target[..]) {
                visit(name, &target[..length]);
            }
        })
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

/// Turns an error into `None` if the value may not be read. Returns an error if the process has ended, or if the exporter
/// lacks descriptors or memory.
pub fn readable<T>(result: Result<T, Errno>) -> Result<Option<T>, Errno> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if has_ended(error) || shortage::from_errno(error).is_some() => Err(error),
        Err(_) => Ok(None),
    }
}

/// Whether an error means that the process has ended: its directory is gone, or was opened before the end.
pub fn has_ended(error: Errno) -> bool {
    matches!(error, Errno::NOENT | Errno::SRCH)
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

/// The path of a process's directory, in a buffer that is reused for the paths of its files.
#[derive(Debug, Default)]
pub struct ProcessPath {
    text: String,
    directory: usize,
}

impl ProcessPath {
    /// Sets the path to the directory of process `id`.
    pub fn set_process(&mut self, id: i32) {
        self.text.clear();
        // Writing to a string can't fail.
        let _ = write!(self.text, "{id}");
        self.directory = self.text.len();
    }

    /// Sets the path to the directory of thread `thread` of process `id`.
    pub fn set_thread(&mut self, id: i32, thread: i32) {
        self.text.clear();
        let _ = write!(self.text, "{id}/task/{thread}");
        self.directory = self.text.len();
    }

    /// The directory.
    pub fn directory(&self) -> &str {
        &self.text[..self.directory]
    }

    /// The path of a file in the directory.
    pub fn file(&mut self, name: &str) -> &str {
        self.text.truncate(self.directory);
        self.text.push('/');
        self.text.push_str(name);
        &self.text
    }
}
