//! `upkeep_exporter check`: runs every check once and judges the results.

mod debug;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use tokio::runtime::{Handle, Runtime};

use super::configuration::ConfigurationFlags;
use super::embedded::{self, discovery};
use super::exit::{WRONG_USAGE, print_error};
use super::own_checks::remove_failing_checks;
use super::progress::Progress;
use super::rounds::{RoundResources, Rounds};
use super::runtime;
use super::select::retain_selected;
use super::show::{RoundError, ShowFlags, StatusReport, repeat};
use crate::config::Config;
use crate::store::StateDirError;
use debug::format_run;

/// The flags of `check`.
#[derive(Debug, clap::Args)]
#[command(mut_arg("config_files", |flag| flag.help(
    "Configuration file, or a directory of files (*.yml, *.yaml). Can be repeated; default: the services found on this machine",
)))]
pub struct CheckFlags {
    /// Services to check, by key or name; default: all
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,

    #[command(flatten)]
    configuration: ConfigurationFlags,

    /// Without a configuration file, check only the embedded configuration
    #[arg(long = "no-discover", help_heading = "Configuration")]
    no_discover: bool,

    /// Print the steps of every run with their times, its phases and its metrics to standard error
    #[arg(long, help_heading = "Output")]
    debug: bool,

    #[command(flatten)]
    show: ShowFlags,
}

/// Runs the checks, once or in rounds.
pub fn check(flags: CheckFlags) -> anyhow::Result<ExitCode> {
    runtime::raise_open_files();
    let runtime = runtime::start("checks", None)?;
    let is_discovered = flags.configuration.config_files.is_empty() && !flags.no_discover;
    let loaded = match is_discovered {
        true => discovered(&runtime, flags.configuration.procfs.clone()),
        false => flags.configuration.load(),
    };
    let Some(mut config) = loaded else {
        return Ok(WRONG_USAGE.into());
    };
    if config.services.is_empty() {
        print_error(&"the configuration has no services to check; modules are used by /probe only");
        return Ok(WRONG_USAGE.into());
    }
    if let Err(message) = retain_selected(&mut config, &flags.services) {
        print_error(&format_args!("{message}{}", flags.show.hint(&flags.services)));
        return Ok(WRONG_USAGE.into());
    }
    let result = runtime.block_on(async {
        let mut rounds = Rounds::new(
            config,
            RoundResources::new(flags.configuration.procfs),
            flags.debug,
        );
        repeat(&flags.show, async || {
            run_round(&mut rounds, flags.debug)
                .await
                .map_err(|error| RoundError::Unknown(error.to_string()))
        })
        .await
    });
    // A thread that hangs in the kernel must not delay the end.
    runtime.shutdown_background();
    result
}

/// The services of this machine. The exporter itself is not one of them: it need not be running.
fn discovered(runtime: &Runtime, procfs: PathBuf) -> Option<Config> {
    let loading = runtime.spawn_blocking(move || {
        let discovery = discovery(procfs, Duration::MAX);
        // A source that responds late would be left out, and its services with it.
        Handle::current().block_on(discovery.complete());
        embedded::load(None, Some(&discovery))
    });
    match runtime.block_on(loading) {
        Ok(Ok(mut config)) => {
            remove_failing_checks(&mut config, false, false);
            Some(config)
        }
        Ok(Err(findings)) => {
            print_error(&findings);
            None
        }
        Err(panic) => {
            print_error(&format_args!("looking for the services of this machine: {panic}"));
            None
        }
    }
}

/// Runs every check once, with progress on a terminal. Prints the steps of the runs if `is_debug`.
async fn run_round(rounds: &mut Rounds, is_debug: bool) -> Result<StatusReport, StateDirError> {
    let mut round = rounds.start()?;
    let progress = Progress::new("checks", round.names().len());
    for name in round.names() {
        progress.record_start(name, name);
    }
    while let Some(ended) = progress.wait_for(round.next()).await {
        progress.record_end(&ended.id.to_string());
        if is_debug {
            progress.print(&format_run(
                &ended.id,
                &ended.settings,
                &ended.outcome,
                ended.debug_log.as_ref(),
            ));
        }
        rounds.record(&round, ended);
    }
    progress.clear();
    Ok(round.report())
}
