//! The flags of `status`.

use crate::cli::connection_flags::ConnectionFlags;
use crate::cli::show::ShowFlags;

/// The flags of `status`.
#[derive(Debug, clap::Args)]
pub struct StatusFlags {
    /// Services to show, by key or name; default: all
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,

    /// URL of the exporter: http://HOST:PORT, https://..., or unix:/PATH
    #[arg(
        long,
        value_name = "URL",
        default_value = "http://localhost:10100",
        help_heading = "Connection"
    )]
    pub url: String,

    #[command(flatten)]
    pub connection: ConnectionFlags,

    #[command(flatten)]
    pub show: ShowFlags,
}
