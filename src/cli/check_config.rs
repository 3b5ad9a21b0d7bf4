//! Checking configuration files without serving.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;

use super::tell;
use crate::config::{self, ConfigError, Loaded};
use crate::reload;

/// Checks each of `files` and prints the findings, or what the file makes. The exit code is 1 where one is bad.
pub fn files(files: &[PathBuf]) -> anyhow::Result<ExitCode> {
    let mut all_are_good = true;
    for file in files {
        // A bad file does not hide the findings of the next one.
        all_are_good &= print(&file.display().to_string(), config::load(file))?;
    }
    Ok(exit_code(all_are_good))
}

/// Checks `file`, or the embedded default without one.
pub fn one(file: Option<&Path>) -> anyhow::Result<ExitCode> {
    let is_good = match file {
        Some(file) => print(&file.display().to_string(), config::load(file)),
        None => print("embedded default", config::embedded_default()),
    };
    is_good.map(exit_code)
}

fn exit_code(is_good: bool) -> ExitCode {
    if is_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Prints what came of loading `name` and returns whether it is good.
fn print(name: &str, loaded: Result<Loaded, ConfigError>) -> anyhow::Result<bool> {
    match loaded {
        Ok(loaded) => {
            for remark in &loaded.remarks {
                tell(remark);
            }
            let summary = reload::summary(&loaded.config);
            writeln!(std::io::stdout(), "{name}: {summary}").context("writing to standard output")?;
            Ok(true)
        }
        Err(findings) => {
            tell(&findings);
            Ok(false)
        }
    }
}
