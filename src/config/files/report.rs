//! The result of loading the files of a configuration.

use std::sync::Arc;

use crate::config::diagnostic::{ConfigError, Diagnostic};
use crate::config::settings::Config;

/// A configuration, and the state of its files.
#[derive(Clone, Debug, Default)]
pub struct LoadedFiles {
    /// The configuration: the content of the valid files, and the last valid content of the others.
    pub config: Config,
    /// The warnings, by file and position.
    pub warnings: Vec<Diagnostic>,
    /// The errors of the files that are not valid; `None` if all are.
    pub errors: Option<ConfigError>,
    /// The files and the directories that can't be read, by name.
    pub files: Vec<ConfigFile>,
}

impl From<Config> for LoadedFiles {
    /// A configuration that is not from a file.
    fn from(config: Config) -> Self {
        Self {
            config,
            ..Self::default()
        }
    }
}

/// A file of a configuration, or a directory that can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFile {
    /// The path.
    pub name: Arc<str>,
    /// Whether it had no errors at the last load.
    pub is_valid: bool,
}
