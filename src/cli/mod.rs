//! The command line: flags as exporters have them, and the commands beside serving.

mod activation;
mod check;
mod check_config;
mod chosen;
mod generated;
mod listen;
mod own_check;
mod serve;
mod show;
mod status;

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, Subcommand};

use crate::{log, web};
use check::CheckFlags;
use generated::{CompletionsFlags, ManFlags};
use listen::ListenAddress;
use status::StatusFlags;

/// The exit code for wrong usage (EX_USAGE of sysexits.h); 1 to 3 say how checks or a configuration are.
const WRONG_USAGE: u8 = 64;
/// The exit code of `check` and `status` where nothing is known of the services.
const UNKNOWN: u8 = 3;

/// What follows the flags in the help.
const EXAMPLES: &str = "\
Examples:
  upkeep_exporter
          Watch this machine, and serve it on http://localhost:10100/
  upkeep_exporter --config.file=upkeep.yml
          Watch what the file says
  upkeep_exporter check --config.file=upkeep.yml
          Run every check once, print a table; the exit code tells the worst status
  upkeep_exporter status --watch
          Follow what a running exporter sees

Commands and exit codes are explained in docs/COMMAND-LINE.md, the file in docs/CONFIGURATION.md.";

/// What follows the flags of `check` and `status`.
const EXIT_CODES: &str =
    "Exit codes: 0 all up, 1 degraded, 2 down, 3 unknown, 64 wrong usage or a bad configuration.";

/// Runs health checks of services in the background and serves the results as Prometheus metrics.
///
/// Without a command it serves. Started without --config.file it watches this machine with an embedded configuration.
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
    /// Run every check once and print the verdict; the exit code tells the worst status
    #[command(after_help = EXIT_CODES)]
    Check(CheckFlags),
    /// Print what a running exporter says of its services
    #[command(after_help = EXIT_CODES)]
    Status(StatusFlags),
    /// Check configuration files: print every error with its place, or what a file makes
    CheckConfig {
        /// A web configuration file to check too
        #[arg(long = "web.config.file", value_name = "PATH")]
        web_config_file: Option<PathBuf>,

        /// The files to check
        #[arg(required_unless_present = "web_config_file", value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Print the script that makes a shell complete this command line
    Completions(CompletionsFlags),
    /// Print the manual page (roff) of the program, or of one of its commands
    Man(ManFlags),
}

/// The flags of serving.
#[derive(Debug, clap::Args)]
struct ServeFlags {
    /// The configuration file; without it, the embedded default
    #[arg(help_heading = "Configuration", long = "config.file", value_name = "PATH")]
    config_file: Option<PathBuf>,

    /// Check the configuration, print what is wrong with it or what it makes, and exit with 1 or 0
    #[arg(help_heading = "Configuration", long = "config.check")]
    config_check: bool,

    /// Where to serve: HOST:PORT, :PORT for every address, or unix:/PATH; may be given more than once
    #[arg(
        help_heading = "Web",
        long = "web.listen-address",
        value_name = "ADDRESS",
        default_value = ":10100"
    )]
    listen_addresses: Vec<ListenAddress>,

    /// Serve on the sockets that systemd hands over, instead of listening
    #[arg(
        help_heading = "Web",
        long = "web.systemd-socket",
        conflicts_with = "listen_addresses"
    )]
    systemd_socket: bool,

    /// A file that says who is served, and whether over TLS: docs/WEB.md
    #[arg(help_heading = "Web", long = "web.config.file", value_name = "PATH")]
    web_config_file: Option<PathBuf>,

    /// The path of the metrics
    #[arg(help_heading = "Web", long = "web.telemetry-path", value_name = "PATH", default_value = "/metrics", value_parser = telemetry_path)]
    telemetry_path: String,

    /// What is taken off the scraper's deadline of a probe, in seconds, for the answer's way back
    #[arg(
        help_heading = "Web",
        long = "probe.timeout-offset",
        alias = "timeout-offset",
        value_name = "SECONDS",
        default_value = "0.5",
        value_parser = seconds
    )]
    probe_timeout_offset: Duration,

    /// Allow POST /-/reload
    #[arg(help_heading = "Web", long = "web.enable-lifecycle")]
    enable_lifecycle: bool,

    /// Answer only requests for these hosts, against pages that give their own name this machine's address: docs/WEB.md
    #[arg(
        help_heading = "Web",
        long = "web.allowed-hosts",
        value_name = "HOST[:PORT]",
        value_delimiter = ','
    )]
    allowed_hosts: Vec<web::AllowedHost>,

    /// Where statuses and since-times are kept over a restart; without it, systemd's $STATE_DIRECTORY, or else in memory only
    #[arg(help_heading = "State", long = "state.dir", value_name = "PATH")]
    state_dir: Option<PathBuf>,

    /// Keep the document of /api/status in this file, replaced at least each 10 s
    #[arg(help_heading = "State", long = "status.file", value_name = "PATH")]
    status_file: Option<PathBuf>,

    /// Where the proc file system of the watched machine is mounted
    #[arg(
        help_heading = "Configuration",
        long = "path.procfs",
        value_name = "PATH",
        default_value = "/proc"
    )]
    procfs: PathBuf,

    /// The least severe log lines to write
    #[arg(
        help_heading = "Logging",
        long = "log.level",
        value_name = "LEVEL",
        value_enum,
        default_value = "info"
    )]
    log_level: log::Level,

    /// How log lines look
    #[arg(
        help_heading = "Logging",
        long = "log.format",
        value_name = "FORMAT",
        value_enum,
        default_value = "logfmt"
    )]
    log_format: log::Format,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: Option<f64> = text.parse().ok();
    let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    duration.ok_or_else(|| "write a number of seconds, such as 0.5".to_owned())
}

fn telemetry_path(text: &str) -> Result<String, String> {
    match text {
        path if web::is_reserved_path(path) => Err(format!(
            "{path} is taken by something else; take a path such as /metrics"
        )),
        path if path.starts_with('/')
            && path
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && !b"?#".contains(&byte)) =>
        {
            Ok(path.to_owned())
        }
        _ => Err("a path begins with / and has no spaces, ? or #".to_owned()),
    }
}

/// Runs the command line `arguments`, the program's name first, and returns the exit code.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Nothing can be done where even the message can't be written.
            let _ = error.print();
            return if error.use_stderr() {
                WRONG_USAGE.into()
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    let result = match arguments.command {
        Some(Command::Check(flags)) => return verdict(check::check(flags)),
        Some(Command::Status(flags)) => return verdict(status::status(&flags)),
        Some(Command::Completions(flags)) => generated::completions(&flags),
        Some(Command::Man(flags)) => generated::man(&flags),
        Some(Command::CheckConfig {
            web_config_file,
            files,
        }) => check_config::validate_all(&files, web_config_file.as_deref()),
        None if arguments.serve.config_check => check_config::validate(
            arguments.serve.config_file.as_deref(),
            arguments.serve.web_config_file.as_deref(),
        ),
        None => serve::serve(arguments.serve),
    };
    result.unwrap_or_else(|error| {
        tell(&format_args!("upkeep_exporter: {error:#}"));
        ExitCode::FAILURE
    })
}

/// The exit code of a command whose 1 and 2 are verdicts: what keeps it from one is told, and is none.
fn verdict(result: anyhow::Result<ExitCode>) -> ExitCode {
    result.unwrap_or_else(|error| {
        tell(&format_args!("upkeep_exporter: {error:#}"));
        UNKNOWN.into()
    })
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("starting the runtime")
}

/// Writes a line to standard error. Where that fails (it is closed, its disk is full) the exit code has to do; the macro
/// for it would panic.
fn tell(line: &dyn std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_telemetry_path_is_checked() {
        assert_eq!(telemetry_path("/metrics").unwrap(), "/metrics");
        for wrong in [
            "",
            "metrics",
            "/",
            "/-/x",
            "/a b",
            "/a?b",
            "/ä",
            "/probe",
            "/api/status",
            "/api/status/x",
            "/assets/x",
        ] {
            assert!(telemetry_path(wrong).is_err(), "{wrong}");
        }
    }
}
