//! The flags of `heal`.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::duration;

/// The flags of `heal`.
#[derive(Debug, clap::Args)]
pub struct HealFlags {
    #[command(subcommand)]
    pub action: Action,
}

/// The commands of `heal`.
#[derive(Debug, clap::Subcommand)]
pub enum Action {
    /// Print the state of all healed services, or of one service with its last decisions
    Status {
        /// Service by key
        #[arg(value_name = "SERVICE")]
        service: Option<String>,

        #[command(flatten)]
        output: OutputFlags,
    },
    /// Pause healing of a service or of all services. An action in progress continues
    Pause {
        /// Service by key; default: all services
        #[arg(value_name = "SERVICE")]
        service: Option<String>,

        /// Length of the pause, such as 30m or 2h; default: until you resume
        #[arg(long = "for", value_name = "DURATION", value_parser = whole_seconds)]
        length: Option<Duration>,

        /// Reason, for people
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        reason: String,

        #[command(flatten)]
        output: OutputFlags,
    },
    /// Resume healing of a service or of all services, also if healing gave up
    Resume {
        /// Service by key; default: all services
        #[arg(value_name = "SERVICE")]
        service: Option<String>,

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
