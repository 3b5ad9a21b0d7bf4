//! `upkeep_exporter check`: runs every check once and judges the results.

mod debug;

use std::process::ExitCode;

use super::configuration::ConfigurationFlags;
use super::exit::{WRONG_USAGE, print_error};
use super::progress::Progress;
use super::rounds::{RoundResources, Rounds};
use super::runtime;
use super::select::retain_selected;
use super::show::{RoundError, ShowFlags, StatusReport, repeat};
use crate::store::StateDirError;
use debug::format_run;

/// The flags of `check`.
#[derive(Debug, clap::Args)]
pub struct CheckFlags {
    /// Services to check, by key or name; default: all
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,

    #[command(flatten)]
    configuration: ConfigurationFlags,

    /// Print the steps of every run with their times, its phases and its metrics to standard error
    #[arg(long, help_heading = "Output")]
    debug: bool,

    #[command(flatten)]
    show: ShowFlags,
}

/// Runs the checks, once or in rounds.
pub fn check(flags: CheckFlags) -> anyhow::Result<ExitCode> {
    let Some(mut config) = flags.configuration.load() else {
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
    runtime::raise_open_files();
    let runtime = runtime::start("checks", None)?;
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
