//! The flags of `maintenance`.

use std::time::Duration;

use crate::cli::control_flags::{OutputFlags, whole_seconds};

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
