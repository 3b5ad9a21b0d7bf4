//! Exit codes, and lines on standard error.

use std::fmt::Display;
use std::io::Write;

/// The exit code for wrong usage (`EX_USAGE` of sysexits.h). The codes 1 to 3 are results of checks or of a configuration.
pub const WRONG_USAGE: u8 = 64;
/// The exit code of `check` and `status` if the status of the services is unknown.
pub const UNKNOWN: u8 = 3;

/// Prints a line to standard error. If that fails (closed, disk full), the exit code must suffice; `eprintln!` would panic.
pub fn print_error(line: &dyn Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
