//! Checking configuration files without serving.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;

use super::tell;
use crate::config::{self, ConfigError, Loaded};
use crate::reload;
use crate::web::WebConfig;

/// Checks each of `files` and the web configuration, and prints the findings, or what the file makes. The exit code is 1 where one is bad.
pub fn files(files: &[PathBuf], web_config: Option<&Path>) -> anyhow::Result<ExitCode> {
    let mut all_are_good = web(web_config)?;
    for file in files {
        // A bad file does not hide the findings of the next one.
        all_are_good &= print(&file.display().to_string(), config::load(file))?;
    }
    Ok(exit_code(all_are_good))
}

/// Checks `file`, or the embedded default without one, and the web configuration.
pub fn one(file: Option<&Path>, web_config: Option<&Path>) -> anyhow::Result<ExitCode> {
    let is_web_good = web(web_config)?;
    let is_good = match file {
        Some(file) => print(&file.display().to_string(), config::load(file)),
        None => print("embedded default", config::embedded_default()),
    };
    is_good.map(|is_good| exit_code(is_good && is_web_good))
}

/// Checks a web configuration and returns whether it is good.
fn web(file: Option<&Path>) -> anyhow::Result<bool> {
    let Some(file) = file else { return Ok(true) };
    match WebConfig::open(file.to_owned()) {
        Ok(config) => {
            let (name, summary) = (file.display(), config.summary());
            writeln!(std::io::stdout(), "{name}: {summary}").context("writing to standard output")?;
            Ok(true)
        }
        Err(findings) => {
            tell(&findings);
            Ok(false)
        }
    }
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
