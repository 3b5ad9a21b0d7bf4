//! The command `check-config`: validates configuration files without serving.

use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;

use super::exit::print_error;
use super::process_flags::ProcessFlags;
use crate::config::{self, ConfigError, Loaded, process_names_file};
use crate::reload;
use crate::web::WebConfig;

/// Validates each of `files`, which may be directories, a file of process-exporter, and the web configuration. Prints their errors and
/// warnings, or a summary of a valid file. The
/// exit code is 1 if any of them is invalid.
pub fn validate_all(
    files: &[PathBuf],
    process_config: Option<&Path>,
    web_config: Option<&Path>,
) -> anyhow::Result<ExitCode> {
    let mut are_valid = validate_web(web_config)? & validate_processes(process_config)?;
    for file in files {
        // After an invalid file, the next one is validated as well.
        are_valid &= print(&file.display().to_string(), config::load(file))?;
    }
    Ok(exit_code(are_valid))
}

/// Validates `files` together, or the embedded default, the file of process-exporter, and the web configuration.
pub fn validate(
    files: &[PathBuf],
    process: &ProcessFlags,
    web_config: Option<&Path>,
) -> anyhow::Result<ExitCode> {
    let is_web_valid = validate_web(web_config)?;
    let with_processes = |mut loaded: Loaded| {
        process
            .add_to(&mut loaded.config, &mut loaded.warnings)
            .map(|()| loaded)
    };
    let is_valid = match files {
        [] => print(
            "embedded default",
            config::embedded_default().and_then(with_processes),
        ),
        files => {
            let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
            print(
                &names.join(", "),
                config::load_all(files).and_then(with_processes),
            )
        }
    };
    is_valid.map(|is_valid| exit_code(is_valid && is_web_valid))
}

/// Validates a file of process-exporter, and returns whether it is valid.
fn validate_processes(file: Option<&Path>) -> anyhow::Result<bool> {
    let Some(file) = file else { return Ok(true) };
    match process_names_file::load(file) {
        Ok((rules, warnings)) => {
            warnings.iter().for_each(|warning| print_error(warning));
            let (name, count) = (file.display(), rules.len());
            let noun = if count == 1 { "rule" } else { "rules" };
            writeln!(std::io::stdout(), "{name}: {count} {noun} for process groups")
                .context("writing to standard output")?;
            Ok(true)
        }
        Err(findings) => {
            print_error(&findings);
            Ok(false)
        }
    }
}

/// Validates a web configuration, and returns whether it is valid.
fn validate_web(file: Option<&Path>) -> anyhow::Result<bool> {
    let Some(file) = file else { return Ok(true) };
    match WebConfig::open(file.to_owned()) {
        Ok(config) => {
            let (name, summary) = (file.display(), config.summary());
            writeln!(std::io::stdout(), "{name}: {summary}").context("writing to standard output")?;
            Ok(true)
        }
        Err(findings) => {
            print_error(&findings);
            Ok(false)
        }
    }
}

fn exit_code(is_valid: bool) -> ExitCode {
    if is_valid {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Prints the result of loading `name`, and returns whether it is valid.
fn print(name: &str, loaded: Result<Loaded, ConfigError>) -> anyhow::Result<bool> {
    match loaded {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                print_error(warning);
            }
            let mut text = format!("{name}: {}\n", reload::summary(&loaded.config, loaded.files));
            for key in &loaded.config.derived_keys {
                let _ = writeln!(
                    text,
                    "{name}: {key}: the key is made of the name; write it to be able to change the name"
                );
            }
            for disabled in &loaded.config.disabled {
                let _ = writeln!(text, "{name}: {disabled}: not checked (enabled: false)");
            }
            for service in &loaded.config.services {
                for check in &service.checks {
                    if let Some(hint) = check.kind.secret_hint() {
                        let _ = writeln!(text, "{name}: {}/{}: {hint}", service.key, check.name);
                    }
                }
            }
            std::io::stdout()
                .write_all(text.as_bytes())
                .context("writing to standard output")?;
            Ok(true)
        }
        Err(findings) => {
            print_error(&findings);
            Ok(false)
        }
    }
}
