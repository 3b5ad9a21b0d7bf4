//! `upkeep_exporter check`: runs every check once and judges the results.

mod debug;
mod progress;
mod report;
mod round;

use std::path::PathBuf;
use std::process::ExitCode;

use super::exit::{WRONG_USAGE, print_error};
use super::runtime;
use super::select::select;
use super::show::{RoundError, ShowFlags, repeat};
use crate::config::{self, Config};
use round::Rounds;

/// The flags of `check`.
#[derive(Debug, clap::Args)]
pub struct CheckFlags {
    /// Services to check, by key or name; default: all
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,

    /// Configuration file; default: the embedded configuration
    #[arg(long = "config.file", value_name = "PATH", help_heading = "Configuration")]
    config_file: Option<PathBuf>,

    /// Mount point of the proc file system
    #[arg(
        long = "path.procfs",
        value_name = "PATH",
        default_value = "/proc",
        help_heading = "Configuration"
    )]
    procfs: PathBuf,

    /// Print the steps of every run with their times, its phases and its metrics to standard error
    #[arg(long, help_heading = "Output")]
    debug: bool,

    #[command(flatten)]
    show: ShowFlags,
}

/// Runs the checks, once or in rounds.
pub fn check(flags: CheckFlags) -> anyhow::Result<ExitCode> {
    let loaded = match &flags.config_file {
        Some(file) => config::load(file),
        None => config::embedded_default(),
    };
    let mut config = match loaded {
        Ok(loaded) => {
            loaded.warnings.iter().for_each(|warning| print_error(warning));
            loaded.config
        }
        Err(findings) => {
            print_error(&findings);
            return Ok(WRONG_USAGE.into());
        }
    };
    if config.services.is_empty() {
        print_error(&"the configuration has no services to check; modules are used by /probe only");
        return Ok(WRONG_USAGE.into());
    }
    if let Err(message) = retain_selected(&mut config, &flags.services) {
        print_error(&format_args!("{message}{}", flags.show.hint(&flags.services)));
        return Ok(WRONG_USAGE.into());
    }
    runtime::raise_open_files();
    let runtime = runtime::start("checks", None)?;
    let result = runtime.block_on(async {
        let mut rounds = Rounds::new(config, flags.procfs, flags.debug);
        repeat(&flags.show, async || {
            rounds
                .next()
                .await
                .map_err(|error| RoundError::Unknown(error.to_string()))
        })
        .await
    });
    // A thread that hangs in the kernel must not delay the end.
    runtime.shutdown_background();
    result
}

/// Removes the services that are not named in `words`.
fn retain_selected(config: &mut Config, words: &[String]) -> Result<(), String> {
    let named = config
        .services
        .iter()
        .map(|service| (service.key.as_str(), service.name.as_str()));
    let mut selected = select(named, words)?.into_iter();
    config.services.retain(|_| selected.next().unwrap_or_default());
    Ok(())
}
