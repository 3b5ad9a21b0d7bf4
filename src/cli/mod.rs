//! The command line: flags as exporters have them, and the commands beside serving.

mod activation;
mod check_config;
mod listen;
mod own_check;
mod serve;

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::log;
use listen::ListenAddress;

/// The exit code for wrong usage (EX_USAGE of sysexits.h); 1 to 3 say how checks or a configuration are.
const WRONG_USAGE: u8 = 64;

/// Runs health checks of services in the background and serves the results as Prometheus metrics.
///
/// Started without --config.file it watches this machine with an embedded configuration.
#[derive(Debug, Parser)]
#[command(
    name = "upkeep_exporter",
    version,
    args_conflicts_with_subcommands = true,
    max_term_width = 100
)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    serve: ServeFlags,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check configuration files: print every error with its place, or what a file makes
    CheckConfig {
        /// A web configuration file to check too
        #[arg(long = "web.config.file", value_name = "PATH")]
        web_config_file: Option<PathBuf>,

        /// The files to check
        #[arg(required_unless_present = "web_config_file", value_name = "FILE")]
        files: Vec<PathBuf>,
    },
}

/// The flags of serving.
#[derive(Debug, clap::Args)]
struct ServeFlags {
    /// The configuration file; without it, the embedded default
    #[arg(long = "config.file", value_name = "PATH")]
    config_file: Option<PathBuf>,

    /// Check the configuration, print what is wrong with it or what it makes, and exit with 1 or 0
    #[arg(long = "config.check")]
    config_check: bool,

    /// Where to serve: HOST:PORT, :PORT for every address, or unix:/PATH; may be given more than once
    #[arg(long = "web.listen-address", value_name = "ADDRESS", default_value = ":10100")]
    listen_addresses: Vec<ListenAddress>,

    /// Serve on the sockets that systemd hands over, instead of listening
    #[arg(long = "web.systemd-socket", conflicts_with = "listen_addresses")]
    systemd_socket: bool,

    /// A file that says who is served, and whether over TLS: docs/WEB.md
    #[arg(long = "web.config.file", value_name = "PATH")]
    web_config_file: Option<PathBuf>,

    /// The path of the metrics
    #[arg(long = "web.telemetry-path", value_name = "PATH", default_value = "/metrics", value_parser = telemetry_path)]
    telemetry_path: String,

    /// What is taken off the scraper's deadline of a probe, in seconds, for the answer's way back
    #[arg(
        long = "probe.timeout-offset",
        alias = "timeout-offset",
        value_name = "SECONDS",
        default_value = "0.5",
        value_parser = seconds
    )]
    probe_timeout_offset: Duration,

    /// Allow POST /-/reload
    #[arg(long = "web.enable-lifecycle")]
    enable_lifecycle: bool,

    /// Where statuses and since-times are kept over a restart; without it, systemd's $STATE_DIRECTORY, or else in memory only
    #[arg(long = "state.dir", value_name = "PATH")]
    state_dir: Option<PathBuf>,

    /// Keep the document of /api/status in this file, replaced at least each 10 s
    #[arg(long = "status.file", value_name = "PATH")]
    status_file: Option<PathBuf>,

    /// Where the proc file system of the watched machine is mounted
    #[arg(long = "path.procfs", value_name = "PATH", default_value = "/proc")]
    procfs: PathBuf,

    /// The least severe log lines to write
    #[arg(long = "log.level", value_name = "LEVEL", value_enum, default_value = "info")]
    log_level: log::Level,

    /// How log lines look
    #[arg(
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
        "/" => Err("/ is the start page; take a path such as /metrics".to_owned()),
        path if path.starts_with("/-/") => {
            Err("paths below /-/ are taken; take a path such as /metrics".to_owned())
        }
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
        Some(Command::CheckConfig {
            web_config_file,
            files,
        }) => check_config::files(&files, web_config_file.as_deref()),
        None if arguments.serve.config_check => check_config::one(
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
        for wrong in ["", "metrics", "/", "/-/x", "/a b", "/a?b", "/ä"] {
            assert!(telemetry_path(wrong).is_err(), "{wrong}");
        }
    }
}
