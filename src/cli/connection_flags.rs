//! The flags of commands that send requests to a server: who logs in, whom to trust, and how long to wait.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::duration;
use crate::config::secret::{Secret, SecretError, SecretSource};
use crate::config::tls::{PemSource, TlsSettings};

/// The flags of a connection to a server.
#[derive(Clone, Debug, clap::Args)]
pub struct ConnectionFlags {
    /// User name for basic authentication
    #[arg(long, value_name = "NAME", help_heading = "Connection")]
    pub user: Option<String>,

    /// File that contains the password
    #[arg(
        long,
        value_name = "PATH",
        requires = "user",
        conflicts_with = "password_env",
        help_heading = "Connection"
    )]
    pub password_file: Option<PathBuf>,

    /// Environment variable that contains the password
    #[arg(long, value_name = "VARIABLE", requires = "user", help_heading = "Connection")]
    pub password_env: Option<String>,

    /// Trusted CA certificates (PEM) instead of those of the system
    #[arg(long, value_name = "PATH", help_heading = "Connection")]
    pub ca_file: Option<PathBuf>,

    /// Accept any certificate
    #[arg(long, help_heading = "Connection")]
    pub insecure: bool,

    /// Timeout of a request, such as 500ms or 10s
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = parse_timeout, help_heading = "Connection")]
    pub timeout: Duration,
}

impl ConnectionFlags {
    /// The TLS settings for a server with HTTPS.
    pub fn tls(&self) -> TlsSettings {
        TlsSettings {
            ca: self.ca_file.clone().map(PemSource::File),
            insecure_skip_verify: self.insecure,
            ..TlsSettings::default()
        }
    }

    /// Reads the password. Empty without a flag for it.
    ///
    /// # Errors
    /// When the file or the variable can't be read.
    pub fn read_password(&self) -> Result<Secret, SecretError> {
        let source = match (&self.password_file, &self.password_env) {
            (Some(path), _) => SecretSource::File(path.clone()),
            (None, Some(name)) => SecretSource::Env(name.clone()),
            (None, None) => return Ok(Secret::new("")),
        };
        source.read_line()
    }
}

fn parse_timeout(text: &str) -> Result<Duration, String> {
    match duration::parse(text).map_err(|error| error.to_string())? {
        Duration::ZERO => Err("the timeout must be longer than zero, such as 10s".to_owned()),
        timeout => Ok(timeout),
    }
}
