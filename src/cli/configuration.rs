//! Loads the configuration of a command that runs checks.

use std::path::Path;

use super::exit::print_error;
use crate::config::{self, Config};

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
