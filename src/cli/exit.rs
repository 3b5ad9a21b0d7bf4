//! Exit codes, and lines on standard error.

use std::fmt::Display;
use std::io::Write;

use anyhow::Context;

use crate::model::Status;

/// The exit code for wrong usage (`EX_USAGE` of sysexits.h). The codes 1 to 3 are results of checks or of a configuration.
pub const WRONG_USAGE: u8 = 64;
/// The exit code of `check` and `status` if the status of the services is unknown.
pub const UNKNOWN: u8 = 3;

/// The exit code of commands that show statuses: 0 all up, 1 degraded, 2 down, 3 unknown.
pub const fn exit_code(worst: Status) -> u8 {
    match worst {
        Status::Up => 0,
        Status::Degraded => 1,
        Status::Down => 2,
        Status::Unknown => UNKNOWN,
    }
}

/// Prints a line to standard error. If that fails (closed, disk full), the exit code must suffice; `eprintln!` would panic.
pub fn print_error(line: &dyn Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Prints a line to standard output.
///
/// # Errors
/// When it can't be written. A closed pipe is not an error.
pub fn print_line(line: &dyn Display) -> anyhow::Result<()> {
    match writeln!(std::io::stdout(), "{line}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(error).context("writing to standard output")
        }
        _ => Ok(()),
    }
}
