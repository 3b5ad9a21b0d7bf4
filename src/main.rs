//! The `upkeep_exporter` binary. All code is in the library.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    upkeep_exporter::cli::main(std::env::args_os())
}
