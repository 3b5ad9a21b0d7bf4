//! The flags of `heal`.

use std::time::Duration;

use crate::cli::control_flags::{OutputFlags, whole_seconds};

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
