//! The flags of `maintenance`.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::duration;

/// The flags of `maintenance`.
#[derive(Debug, clap::Args)]
pub struct MaintenanceFlags {
    #[command(subcommand)]
    pub action: Action,
}

/// The commands of `maintenance`.
#[derive(Debug, clap::Subcommand)]
pub enum Action {
    /// Start a maintenance window now
    Start {
        /// Services by key
        #[arg(value_name = "SERVICE")]
        services: Vec<String>,

        /// Group to put in maintenance. Can be repeated
        #[arg(long = "group", value_name = "GROUP")]
        groups: Vec<String>,

        /// All services
        #[arg(long, conflicts_with_all = ["services", "groups"])]
        all: bool,

        /// Length of the window, such as 30m or 2h
        #[arg(long = "for", value_name = "DURATION", value_parser = whole_seconds)]
        length: Duration,

        /// Reason, for people
        #[arg(long, value_name = "TEXT")]
        reason: String,

        #[command(flatten)]
        output: OutputFlags,
    },
    /// List the active windows, and the next ones of the configuration
    List {
        #[command(flatten)]
        output: OutputFlags,
    },
    /// End a window now
    End {
        /// Id of the window, or key of a service
        #[arg(value_name = "ID|SERVICE")]
        window: String,

        #[command(flatten)]
        output: OutputFlags,
    },
    /// Make a window longer
    Extend {
        /// Id of the window, or key of a service
        #[arg(value_name = "ID|SERVICE")]
        window: String,

        /// Time to add, such as 30m
        #[arg(long = "by", value_name = "DURATION", value_parser = whole_seconds)]
        by: Duration,

        #[command(flatten)]
        output: OutputFlags,
    },
}

/// The flags of all of them.
#[derive(Debug, clap::Args)]
pub struct OutputFlags {
    /// Control socket of the exporter; default: the first of the server's default paths that exists
    #[arg(long = "control.socket", value_name = "PATH")]
    pub control_socket: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

fn whole_seconds(text: &str) -> Result<Duration, String> {
    let length = duration::parse(text).map_err(|error| error.to_string())?;
    match length.subsec_nanos() {
        0 if !length.is_zero() => Ok(length),
        _ => Err("write whole seconds, such as 30m".to_owned()),
    }
}
