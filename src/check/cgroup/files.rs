//! Reads the files of a control group. Symbolic links are not followed, so a path can't lead out of its hierarchy.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, fstat, openat};
use rustix::io::Errno;

use super::path::GroupPath;

/// The maximum size of a file. `memory.stat` has about 2 KB, and `io.stat` about 100 bytes per block device.
const MAX_FILE_BYTES: usize = 32 * 1024;

/// The open directory of a group.
#[derive(Debug)]
pub struct Directory(OwnedFd);

impl Directory {
    /// Opens the directory of a group in the hierarchy with this root, one component after the other.
    ///
    /// # Errors
    /// Why it can't be opened: `ENOENT` if there is no such group.
    pub fn open(root: impl AsFd, path: &GroupPath) -> Result<Self, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut directory: Option<OwnedFd> = None;
        for name in path.components() {
            let parent = directory.as_ref().map_or(root.as_fd(), AsFd::as_fd);
            let child = openat(parent, name.as_c_str(), flags, Mode::empty())?;
            directory = Some(child);
        }
        directory.map(Self).ok_or(Errno::NOENT)
    }

    /// The number that identifies this group while it exists. A group of the same name that is created later has another one.
    pub fn id(&self) -> Option<u64> {
        fstat(&self.0).ok().map(|stat| stat.st_ino)
    }

    /// The content of a file in `buffer`. `None` if it can't be read, if it is longer than the buffer, or not UTF-8.
    pub fn read<'b>(&self, name: &CStr, buffer: &'b mut Buffer) -> Option<&'b str> {
        read(self.0.as_fd(), name, &mut buffer.0)
    }
}

/// The memory for the content of one file after the other.
#[derive(Debug)]
pub struct Buffer(Vec<u8>);

impl Default for Buffer {
    fn default() -> Self {
        Self(vec![0; MAX_FILE_BYTES])
    }
}

fn read<'b>(directory: BorrowedFd<'_>, name: &CStr, buffer: &'b mut [u8]) -> Option<&'b str> {
    // NONBLOCK, so that a pipe in the place of the file can't hang.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = openat(directory, name, flags, Mode::empty()).ok()?;
    // The kernel writes such a file at once, so one call returns all of it.
    let length = rustix::io::read(&file, &mut *buffer).ok()?;
    let content = buffer.get(..length).filter(|_| length < buffer.len())?;
    std::str::from_utf8(content).ok()
}
