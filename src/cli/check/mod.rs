//! `upkeep_exporter check`: every check once, and the verdict of that one run.

mod debug;
mod judged;
mod progress;
mod round;

use std::path::PathBuf;
use std::process::ExitCode;

use super::chosen::chosen;
use super::show::{Failed, ShowFlags, repeat};
use super::{WRONG_USAGE, serve, tell};
use crate::config::{self, Config};
use round::Rounds;

/// The flags of `check`.
#[derive(Debug, clap::Args)]
pub struct CheckFlags {
    /// The services to check, by key or name; without any, all
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,

    /// The configuration file; without it, the embedded default
    #[arg(long = "config.file", value_name = "PATH", help_heading = "Configuration")]
    config_file: Option<PathBuf>,

    /// Where the proc file system of the watched machine is mounted
    #[arg(
        long = "path.procfs",
        value_name = "PATH",
        default_value = "/proc",
        help_heading = "Configuration"
    )]
    procfs: PathBuf,

    /// Print the steps of each run with their times, its phases and what it measured, to standard error
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
            loaded.warnings.iter().for_each(|warning| tell(warning));
            loaded.config
        }
        Err(findings) => {
            tell(&findings);
            return Ok(WRONG_USAGE.into());
        }
    };
    if config.services.is_empty() {
        tell(&"there is no service in this file to check; modules are for /probe");
        return Ok(WRONG_USAGE.into());
    }
    if let Err(message) = choose(&mut config, &flags.services) {
        tell(&format_args!("{message}{}", flags.show.hint(&flags.services)));
        return Ok(WRONG_USAGE.into());
    }
    serve::raise_open_files();
    let runtime = super::runtime()?;
    let result = runtime.block_on(async {
        let mut rounds = Rounds::new(config, flags.procfs, flags.debug);
        repeat(&flags.show, async || {
            rounds
                .next()
                .await
                .map_err(|error| Failed::Unknown(error.to_string()))
        })
        .await
    });
    // A thread that hangs in the kernel must not delay the end.
    runtime.shutdown_background();
    result
}

/// Leaves of the configuration's services those that are asked for.
fn choose(config: &mut Config, asked: &[String]) -> Result<(), String> {
    let named = config
        .services
        .iter()
        .map(|service| (service.key.as_str(), service.name.as_str()));
    let mut is_chosen = chosen(named, asked)?.into_iter();
    config.services.retain(|_| is_chosen.next().unwrap_or_default());
    Ok(())
}
