//! The command line: the server's flags and the commands.

mod check;
mod check_config;
mod configuration;
mod connection_flags;
mod control_flags;
mod control_socket;
mod discover;
mod embedded;
mod exit;
mod exporter_http;
mod generated;
mod heal;
mod heartbeat;
mod maintenance;
mod notify_test;
mod own_checks;
mod paths;
mod polkit_rule;
mod process_flags;
mod progress;
mod report;
mod rounds;
mod runtime;
mod select;
mod serve;
mod server_client;
mod service;
mod show;
mod status;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use check::CheckFlags;
use discover::DiscoverFlags;
use exit::{UNKNOWN, WRONG_USAGE, print_error};
use generated::{CompletionsFlags, ManFlags};
use heal::HealFlags;
use heartbeat::HeartbeatCommand;
use maintenance::MaintenanceFlags;
use notify_test::NotifyTestFlags;
use polkit_rule::PolkitRuleFlags;
use report::ReportFlags;
use serve::ServeFlags;
use service::ServiceCommand;
use status::StatusFlags;

use crate::supervise::{SuperviseFlags, supervise};

/// The end of the help.
const EXAMPLES: &str = "\
Examples:
  upkeep_exporter
          Monitor the services of this machine; the status page is http://localhost:10100/
  upkeep_exporter discover --write upkeep.yml
          Write a configuration file for the services of this machine
  upkeep_exporter --config.file=upkeep.yml
          Monitor the services in a configuration file
  upkeep_exporter check --config.file=upkeep.yml
          Run every check once and print a table; the exit code is the worst status
  upkeep_exporter status --watch
          Print the status of a running exporter every 5 seconds

See docs/COMMAND-LINE.md for commands and exit codes, and docs/CONFIGURATION.md for the configuration file.";

/// The end of the help of `check` and `status`.
const EXIT_CODES: &str =
    "Exit codes: 0 all up, 1 degraded, 2 down, 3 unknown, 64 wrong usage or invalid configuration.";

/// The end of the help of `polkit-rule`.
const POLKIT_HELP: &str = "\
Write the output to /etc/polkit-1/rules.d/60-upkeep_exporter.rules; `deploy/install.sh --heal` does this.
See docs/INSTALL.md for what the rule allows.";

/// Runs health checks of services in the background and exports the results as Prometheus metrics.
///
/// Without a command, it runs the server. Without --config.file, it monitors the services that it discovers on this machine.
#[derive(Debug, Parser)]
#[command(
    name = "upkeep_exporter",
    version,
    args_conflicts_with_subcommands = true,
    max_term_width = 100,
    after_help = EXAMPLES
)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    serve: ServeFlags,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run every check once and print the results; the exit code is the worst status
    #[command(after_help = EXIT_CODES)]
    Check(CheckFlags),
    /// Print the status of the services from a running exporter
    #[command(after_help = EXIT_CODES)]
    Status(StatusFlags),
    /// List, start, stop and restart the systemd units and containers of services
    Service {
        #[command(subcommand)]
        command: ServiceCommand,
    },
    /// Check configuration files and print all errors
    CheckConfig {
        /// Web configuration file to check as well
        #[arg(long = "web.config.file", value_name = "PATH")]
        web_config_file: Option<PathBuf>,

        /// Configuration file of process-exporter to check as well
        #[arg(long = "process.config", value_name = "PATH")]
        process_config: Option<PathBuf>,

        /// Configuration files and directories to check, each on its own
        #[arg(required_unless_present_any = ["web_config_file", "process_config"], value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Find the services of this machine and print a configuration file for them
    Discover(DiscoverFlags),
    /// Start, list, end and extend maintenance windows of a running exporter
    Maintenance(MaintenanceFlags),
    /// Report, pause and resume the healing of a running exporter
    Heal(HealFlags),
    /// Print uptime, outages, response times and error budgets over a range of time
    Report(ReportFlags),
    /// Send a test alert to an Alertmanager, and report which receivers get it
    NotifyTest(NotifyTestFlags),
    /// Report jobs to the heartbeat checks of a running exporter
    Heartbeat {
        #[command(subcommand)]
        command: HeartbeatCommand,
    },
    /// Print a polkit rule that allows the exporter to heal the configured units
    #[command(after_help = POLKIT_HELP)]
    PolkitRule(PolkitRuleFlags),
    /// Print a shell completion script
    Completions(CompletionsFlags),
    /// Print a manual page (roff)
    Man(ManFlags),
    /// Run a command for the exporter
    #[command(hide = true)]
    Supervise(SuperviseFlags),
}

/// Runs the command line `arguments`, which begin with the name of the program, and returns the exit code.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // If the message can't be written, the exit code must suffice.
            let _ = error.print();
            return if error.use_stderr() {
                WRONG_USAGE.into()
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    // The codes 1 and 2 of `check` and `status` are results, so errors have another code.
    let (result, failure) = match arguments.command {
        Some(Command::Check(flags)) => (check::check(flags), UNKNOWN.into()),
        Some(Command::Status(flags)) => (status::status(&flags), UNKNOWN.into()),
        Some(Command::Discover(flags)) => (discover::discover_services(&flags), ExitCode::FAILURE),
        Some(Command::Maintenance(flags)) => (maintenance::maintenance(flags), ExitCode::FAILURE),
        Some(Command::Heal(flags)) => (heal::heal(flags), ExitCode::FAILURE),
        Some(Command::Report(flags)) => (report::report(&flags), ExitCode::FAILURE),
        Some(Command::NotifyTest(flags)) => (notify_test::notify_test(&flags), ExitCode::FAILURE),
        Some(Command::Heartbeat { command }) => (heartbeat::heartbeat(command), heartbeat::FAILURE.into()),
        Some(Command::PolkitRule(flags)) => (polkit_rule::polkit_rule(&flags), ExitCode::FAILURE),
        Some(Command::Service { command }) => (service::service(command), UNKNOWN.into()),
        Some(Command::Completions(flags)) => {
            let result = generated::completions(&flags, Arguments::command());
            (result, ExitCode::FAILURE)
        }
        Some(Command::Man(flags)) => (generated::man(&flags, Arguments::command()), ExitCode::FAILURE),
        // Its result belongs to the exporter that started it.
        Some(Command::Supervise(flags)) => (supervise(&flags).map_err(Into::into), ExitCode::FAILURE),
        Some(Command::CheckConfig {
            web_config_file,
            process_config,
            files,
        }) => {
            let result =
                check_config::validate_all(&files, process_config.as_deref(), web_config_file.as_deref());
            (result, ExitCode::FAILURE)
        }
        None if arguments.serve.config_check => {
            let flags = arguments.serve;
            let result = check_config::validate(
                &flags.config_files,
                &flags.process,
                flags.web_config_file.as_deref(),
            );
            (result, ExitCode::FAILURE)
        }
        None => (serve::serve(arguments.serve), ExitCode::FAILURE),
    };
    result.unwrap_or_else(|error| {
        print_error(&format_args!("upkeep_exporter: {error:#}"));
        failure
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_of_the_command_line_is_valid() {
        Arguments::command().debug_assert();
    }
}
