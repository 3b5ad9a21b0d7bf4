//! Loads the configuration of a command that uses checks.

use std::path::PathBuf;

use super::exit::print_error;
use crate::config::{self, Config};

/// The flags of commands that run checks.
#[derive(Debug, clap::Args)]
pub struct ConfigurationFlags {
    /// Configuration file, or a directory of files (*.yml, *.yaml). Can be repeated; default: the embedded configuration
    #[arg(long = "config.file", value_name = "PATH", help_heading = "Configuration")]
    pub config_files: Vec<PathBuf>,

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
        load(&self.config_files)
    }
}

/// Loads files and directories, or the embedded configuration if there are none, and prints warnings. If any file is invalid, prints all
/// errors and returns `None`.
pub fn load(files: &[PathBuf]) -> Option<Config> {
    let loaded = match files {
        [] => config::embedded_default(),
        files => config::load_all(files),
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
