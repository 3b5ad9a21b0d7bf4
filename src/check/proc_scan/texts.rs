//! The name and the command line of a process, read into reused buffers.

use rustix::io::Errno;

use super::files::{ProcRoot, ProcessPath, readable};
use super::limits::KnownLimits;
use super::parse::{Stat, join_arguments};
use crate::net::shortage;

/// How many bytes of a command line are read: the maximum length of one argument (Linux's `MAX_ARG_STRLEN`). The argument
/// that identifies a Java service can follow a long class path.
const MAX_COMMAND_LINE_BYTES: usize = 128 * 1024;

/// How many bytes of any other file are read; they are shorter.
pub const MAX_FILE_BYTES: usize = 4 * 1024;

/// How many bytes of a file of unknown length are read, such as the list of control groups.
const MAX_TEXT_BYTES: usize = 64 * 1024;

/// Buffers that are reused from scan to scan.
#[derive(Debug)]
pub struct Buffers {
    /// The path of the process that is read.
    pub path: ProcessPath,
    /// For stat files.
    pub stat: Vec<u8>,
    /// For names.
    pub name: Vec<u8>,
    /// For command lines.
    pub command_line: Vec<u8>,
    /// For longer files.
    pub text: Vec<u8>,
    /// The limits of matching processes.
    pub limits: KnownLimits,
}

impl Default for Buffers {
    fn default() -> Self {
        Self {
            path: ProcessPath::default(),
            stat: vec![0; MAX_FILE_BYTES],
            name: vec![0; MAX_FILE_BYTES],
            command_line: vec![0; MAX_COMMAND_LINE_BYTES],
            text: vec![0; MAX_TEXT_BYTES],
            limits: KnownLimits::default(),
        }
    }
}

/// Reads the name of a process. Returns its length.
pub fn read_name(root: &ProcRoot, path: &mut ProcessPath, buffer: &mut [u8]) -> Result<usize, Errno> {
    match root.read(path.file("comm"), buffer) {
        // The kernel appends one line feed to the name. The name may itself end in one.
        Ok(length @ 1..) => return Ok(length - 1),
        Err(error) if shortage::from_errno(error).is_some() => return Err(error),
        _ => {}
    }
    let mut text = [0; MAX_FILE_BYTES];
    let length = root.read(path.file("stat"), &mut text)?;
    let name = Stat::parse(&text[..length]).ok_or(Errno::INVAL)?.name;
    buffer[..name.len()].copy_from_slice(name);
    Ok(name.len())
}

/// Reads the command line and joins its arguments with spaces. Returns its length; `None` if it may not be read.
pub fn read_command_line(
    root: &ProcRoot,
    path: &mut ProcessPath,
    buffer: &mut [u8],
) -> Result<Option<usize>, Errno> {
    let length = readable(root.read(path.file("cmdline"), buffer))?;
    Ok(length.map(|length| join_arguments(&mut buffer[..length])))
}
