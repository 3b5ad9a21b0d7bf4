//! The flags of `status`.

use std::path::PathBuf;
use std::time::Duration;

use crate::cli::show::ShowFlags;
use crate::config::duration;

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
        help_heading = "Exporter"
    )]
    pub url: String,

    /// User name for basic authentication
    #[arg(long, value_name = "NAME", help_heading = "Exporter")]
    pub user: Option<String>,

    /// File that contains the password
    #[arg(
        long,
        value_name = "PATH",
        requires = "user",
        conflicts_with = "password_env",
        help_heading = "Exporter"
    )]
    pub password_file: Option<PathBuf>,

    /// Environment variable that contains the password
    #[arg(long, value_name = "VARIABLE", requires = "user", help_heading = "Exporter")]
    pub password_env: Option<String>,

    /// Trusted CA certificates (PEM) instead of those of the system
    #[arg(long, value_name = "PATH", help_heading = "Exporter")]
    pub ca_file: Option<PathBuf>,

    /// Accept any certificate
    #[arg(long, help_heading = "Exporter")]
    pub insecure: bool,

    /// Timeout of the request, such as 500ms or 10s
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = parse_timeout, help_heading = "Exporter")]
    pub timeout: Duration,

    #[command(flatten)]
    pub show: ShowFlags,
}

fn parse_timeout(text: &str) -> Result<Duration, String> {
    match duration::parse(text).map_err(|error| error.to_string())? {
        Duration::ZERO => Err("the timeout must be longer than zero, such as 10s".to_owned()),
        timeout => Ok(timeout),
    }
}
