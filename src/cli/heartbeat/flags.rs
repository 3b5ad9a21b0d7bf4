//! The flags of `heartbeat`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use super::beat::{Beat, ExitStatus, RunId};
use crate::config::duration;

/// How to reach the check.
#[derive(Debug, clap::Args)]
pub struct ExporterFlags {
    /// URL of the exporter: http://HOST:PORT, https://..., or unix:/PATH
    #[arg(
        long,
        value_name = "URL",
        default_value = "http://localhost:10100",
        help_heading = "Exporter"
    )]
    pub url: String,

    /// File that contains the token of the check
    #[arg(
        long,
        value_name = "PATH",
        required_unless_present = "token_env",
        conflicts_with = "token_env",
        help_heading = "Exporter"
    )]
    pub token_file: Option<PathBuf>,

    /// Environment variable that contains the token. The job does not get this variable
    #[arg(long, value_name = "VARIABLE", help_heading = "Exporter")]
    pub token_env: Option<String>,

    /// How long to retry the heartbeat for the end of the job, such as 30s or 10m; 0 sends it once
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = parse_duration, help_heading = "Connection")]
    pub retry_for: Duration,

    /// Trusted CA certificates (PEM) instead of those of the system
    #[arg(long, value_name = "PATH", help_heading = "Connection")]
    pub ca_file: Option<PathBuf>,

    /// Client certificate with its chain (PEM)
    #[arg(long, value_name = "PATH", requires = "key_file", help_heading = "Connection")]
    pub cert_file: Option<PathBuf>,

    /// Private key of the client certificate (PEM)
    #[arg(
        long,
        value_name = "PATH",
        requires = "cert_file",
        help_heading = "Connection"
    )]
    pub key_file: Option<PathBuf>,

    /// Accept any certificate
    #[arg(long, help_heading = "Connection")]
    pub insecure: bool,
}

/// The flags of `heartbeat run`.
#[derive(Debug, clap::Args)]
pub struct RunFlags {
    #[command(flatten)]
    pub exporter: ExporterFlags,

    /// Id of this run, so that runs may overlap; auto for a random id
    #[arg(long, value_name = "ID", default_value = "auto")]
    pub rid: RunId,

    /// What to do with the output of the job
    #[arg(long, value_name = "WHAT", default_value = "none", value_enum)]
    pub output: OutputMode,

    /// Job to run with its arguments, without a shell
    #[arg(required = true, last = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

/// What to do with the output of the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum OutputMode {
    /// The job uses the standard output and standard error of this command
    None,
    /// Pass it through, and send its last 10,000 bytes to the exporter as message
    Tail,
}

/// The flags of `heartbeat send`.
#[derive(Debug, clap::Args)]
pub struct SendFlags {
    #[command(flatten)]
    pub exporter: ExporterFlags,

    #[command(flatten)]
    pub what: WhatFlags,

    /// Id of the run, if runs may overlap
    #[arg(long, value_name = "ID")]
    pub rid: Option<RunId>,

    /// Message for people; - reads it from standard input
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub message: String,
}

/// What to report.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
pub struct WhatFlags {
    /// Report that the job started
    #[arg(long)]
    pub start: bool,

    /// Report that the job failed
    #[arg(long)]
    pub fail: bool,

    /// Report that the job ended with this status: 0 to 255, or the name of a signal such as TERM
    #[arg(long, value_name = "STATUS")]
    pub exit_status: Option<ExitStatus>,
}

impl WhatFlags {
    /// The beat to send.
    pub fn beat(&self) -> Beat {
        match (self.start, self.fail, self.exit_status) {
            (true, ..) => Beat::Start,
            (_, true, _) => Beat::Fail,
            (.., Some(status)) => Beat::Ended(status),
            _ => Beat::Success,
        }
    }
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    duration::parse(text).map_err(|error| error.to_string())
}
