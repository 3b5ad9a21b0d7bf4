//! Loads the configuration of a command that runs checks.

use std::path::{Path, PathBuf};

use super::exit::print_error;
use crate::config::{self, Config};

/// The flags of commands that run checks.
#[derive(Debug, clap::Args)]
pub struct ConfigurationFlags {
    /// Configuration file; default: the embedded configuration
    #[arg(long = "config.file", value_name = "PATH", help_heading = "Configuration")]
    pub config_file: Option<PathBuf>,

    /// Mount point of the proc file system
    #[arg(
        long = "path.procfs",
        value_name = "PATH",
        default_value = "/proc",
        help_heading = "Configuration"
    )]
    pub procfs: PathBuf,
}

impl ConfigurationFlags {
    /// See [`load`].
    pub fn load(&self) -> Option<Config> {
        load(self.config_file.as_deref())
    }
}

/// Loads a file, or the embedded configuration if there is none, and prints its warnings. If it is invalid, prints all errors and
/// returns `None`.
pub fn load(file: Option<&Path>) -> Option<Config> {
    let loaded = match file {
        Some(file) => config::load(file),
        None => config::embedded_default(),
    };
    match loaded {
        Ok(loaded) => {
            loaded.warnings.iter().for_each(|warning| print_error(warning));
            Some(loaded.config)
        }
        Err(findings) => {
            print_error(&findings);
            None
        }
    }
}
