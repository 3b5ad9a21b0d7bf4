//! `upkeep_exporter service`: lists the units and containers of services, and starts, stops and restarts them in the order of
//! their dependencies. It acts itself, not through a running exporter.

mod journal;
mod list;
mod selection;
mod step;
mod texts;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

use super::configuration::ConfigurationFlags;
use super::exit::{UNKNOWN, WRONG_USAGE, exit_code, print_error, print_line};
use super::progress::Progress;
use super::rounds::RoundResources;
use super::runtime;
use crate::actuator::{Action, Actuator};
use crate::config::{Config, duration};
use crate::manage::{Plan, StepResult, execute};
use crate::model::Status;
use selection::SelectionFlags;
use step::{StepOutcome, StepRunner};

/// The end of the help of `service start`, `stop` and `restart`.
const ACT_EXIT_CODES: &str = "Exit codes: 0 done and up, 1 degraded, 2 failed or down, 3 unknown or interrupted, 64 wrong usage or \
     invalid configuration.";

/// The default of `--timeout`. The default `start_grace` of systemd checks is the same.
const DEFAULT_TIMEOUT: &str = "45s";
/// The maximum of `--timeout`.
const MAX_TIMEOUT: Duration = Duration::from_secs(3_600);

/// The commands of `service`.
#[derive(Debug, clap::Subcommand)]
pub enum ServiceCommand {
    /// List the units and containers of services with their states
    List(ListFlags),
    /// Start services, each after those that it depends on, and wait until they are up
    #[command(after_help = ACT_EXIT_CODES)]
    Start(ActFlags),
    /// Stop services, each before those that it depends on
    #[command(after_help = ACT_EXIT_CODES)]
    Stop(ActFlags),
    /// Restart services, each after those that it depends on, and wait until they are up
    #[command(after_help = ACT_EXIT_CODES)]
    Restart(ActFlags),
}

/// The flags of `service list`.
#[derive(Debug, clap::Args)]
pub struct ListFlags {
    /// Services to list, by key or name; default: all
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,

    #[command(flatten)]
    configuration: ConfigurationFlags,
}

/// The flags of `service start`, `stop` and `restart`.
#[derive(Debug, clap::Args)]
pub struct ActFlags {
    #[command(flatten)]
    selection: SelectionFlags,

    /// Print the plan and exit
    #[arg(long)]
    dry_run: bool,

    /// How long each service may take: seconds, or a duration such as 2m
    #[arg(long, value_name = "DURATION", default_value = DEFAULT_TIMEOUT, value_parser = parse_timeout)]
    timeout: Duration,

    #[command(flatten)]
    configuration: ConfigurationFlags,
}

fn parse_timeout(text: &str) -> Result<Duration, String> {
    let wrong =
        || format!("\"{text}\" is not a valid timeout: write seconds, such as 45, or a duration up to 1h");
    let timeout = match text.parse() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).map_err(|_| wrong())?,
        Err(_) => duration::parse(text).map_err(|_| wrong())?,
    };
    (Duration::ZERO < timeout && timeout <= MAX_TIMEOUT)
        .then_some(timeout)
        .ok_or_else(wrong)
}

/// Runs a command of `service`.
pub fn service(command: ServiceCommand) -> anyhow::Result<ExitCode> {
    let (action, flags) = match command {
        ServiceCommand::List(flags) => return list(&flags),
        ServiceCommand::Start(flags) => (Action::Start, flags),
        ServiceCommand::Stop(flags) => (Action::Stop, flags),
        ServiceCommand::Restart(flags) => (Action::Restart, flags),
    };
    let Some(config) = flags.configuration.load() else {
        return Ok(WRONG_USAGE.into());
    };
    let selected = match flags.selection.select(&config) {
        Ok(selected) => selected,
        Err(message) => {
            print_error(&message);
            return Ok(WRONG_USAGE.into());
        }
    };
    let plan = Plan::new(&config.services, &selected, action);
    if flags.dry_run {
        texts::plan_lines(&plan)
            .iter()
            .try_for_each(|line| print_line(line))?;
        return Ok(ExitCode::SUCCESS);
    }
    if !plan.has_targets() {
        print_error(&format_args!(
            "nothing to {action}: the selected services have no systemd or docker checks"
        ));
        return Ok(WRONG_USAGE.into());
    }
    runtime::raise_open_files();
    let runtime = runtime::start("service", None)?;
    let result = runtime.block_on(act(plan, flags));
    // A thread that hangs in the kernel must not delay the end.
    runtime.shutdown_background();
    result
}

fn list(flags: &ListFlags) -> anyhow::Result<ExitCode> {
    let Some(mut config) = flags.configuration.load() else {
        return Ok(WRONG_USAGE.into());
    };
    if let Err(message) = super::select::retain_selected(&mut config, &flags.services) {
        print_error(&message);
        return Ok(WRONG_USAGE.into());
    }
    let runtime = runtime::start("service", None)?;
    let result = runtime.block_on(list_services(&config));
    runtime.shutdown_background();
    result
}

async fn list_services(config: &Config) -> anyhow::Result<ExitCode> {
    let (lines, is_complete) = list::lines(config, &Actuator::default()).await;
    lines.iter().try_for_each(|line| print_line(line))?;
    Ok(if is_complete { 0 } else { UNKNOWN }.into())
}

/// Executes the plan, prints each result, and returns the exit code of the worst one.
async fn act(plan: Plan, flags: ActFlags) -> anyhow::Result<ExitCode> {
    let mut interrupt = signal(SignalKind::interrupt()).context("listening to SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("listening to SIGTERM")?;
    let plan = Arc::new(plan);
    let progress = Arc::new(Progress::new("services", plan.steps.len()));
    let runner = Arc::new(StepRunner {
        plan: Arc::clone(&plan),
        actuator: Actuator::default(),
        resources: RoundResources::new(flags.configuration.procfs),
        timeout: flags.timeout,
        progress: Arc::clone(&progress),
    });
    let run = |position: usize| {
        let runner = Arc::clone(&runner);
        async move { runner.run(position).await }
    };
    let mut output = Ok(());
    let ended = |position: usize, result: &StepResult<StepOutcome>| {
        let service = &plan.steps[position].service;
        progress.record_end(service.key.as_str());
        for line in texts::result_lines(&plan, position, result) {
            let printed = progress.suspend(|| print_line(&line));
            output = std::mem::replace(&mut output, Ok(())).and(printed);
        }
    };
    let executing = execute(&plan, run, StepOutcome::is_success, ended);
    let results = tokio::select! {
        biased;
        _ = interrupt.recv() => None,
        _ = terminate.recv() => None,
        results = progress.wait_for(executing) => Some(results),
    };
    progress.clear();
    output?;
    let Some(results) = results else {
        print_error(&"interrupted; jobs of systemd and requests to engines that were started may continue");
        return Ok(UNKNOWN.into());
    };
    print_line(&texts::summary(plan.action, &results))?;
    let statuses = results.iter().map(|result| match result {
        StepResult::Done(outcome) => outcome.status(),
        StepResult::Skipped(_) => Status::Down,
    });
    Ok(exit_code(Status::worst(statuses)).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_seconds_or_a_duration() {
        assert_eq!(parse_timeout("45"), Ok(Duration::from_secs(45)));
        assert_eq!(parse_timeout("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_timeout("2m"), Ok(Duration::from_secs(120)));
        for wrong in ["", "0", "-1", "2h", "NaN", "soon"] {
            assert!(
                parse_timeout(wrong).unwrap_err().contains("such as 45"),
                "{wrong}"
            );
        }
    }
}
