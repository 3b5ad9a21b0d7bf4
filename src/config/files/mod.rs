//! The files of a configuration: those that the user names, and those of the directories that the user names. `resolve` combines
//! their texts to one configuration. A file with errors does not affect the others: its last valid content stays in use.

mod candidate;
mod discover;
mod document;
mod memory;
mod merge;
mod report;
mod resolve;
mod round;
mod shown;
#[cfg(test)]
mod tests;
mod watched;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

pub use discover::MAX_FILES;
use memory::Memory;
pub use report::{ConfigFile, LoadedFiles};
use resolve::resolve;
pub use watched::Versions;

use super::diagnostic::ConfigError;
use super::load::Loaded;

/// The files of a configuration. Remembers the last valid content of each.
#[derive(Debug)]
pub struct ConfigFiles {
    /// Files, and directories of files.
    paths: Vec<PathBuf>,
    memory: Mutex<Memory>,
    /// The versions of the files at the last load.
    loaded: Mutex<Option<Versions>>,
}

impl ConfigFiles {
    /// The files at `paths`: files, and directories of files. At least one.
    pub fn new(paths: Vec<PathBuf>) -> Self {
        Self {
            paths,
            memory: Mutex::default(),
            loaded: Mutex::default(),
        }
    }

    /// Reads all files and the secret files that they name, so it may block. The last valid content of files with errors stays in use.
    ///
    /// # Errors
    /// If no file can be used, now or before: all errors.
    pub fn load(&self) -> Result<LoadedFiles, ConfigError> {
        // A change during the load is found by a later call of `has_changed`.
        let versions = Versions::of(&self.paths);
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let files = discover::read(&self.paths, &memory);
        *self.loaded.lock().unwrap_or_else(PoisonError::into_inner) = Some(versions);
        resolve(&files, &mut memory)
    }

    /// The current versions of the files. May block.
    pub fn versions(&self) -> Versions {
        Versions::of(&self.paths)
    }

    /// Whether `versions` differ from those of the last load.
    pub fn differ_from_loaded(&self, versions: &Versions) -> bool {
        let loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        loaded.as_ref() != Some(versions)
    }

    /// The directories in which changes can change the configuration. May block.
    pub fn watched_directories(&self) -> BTreeSet<PathBuf> {
        watched::directories(&self.paths)
    }
}

/// Loads the files at `paths`: files, and directories of files. Reads the secret files that they name, so it may block.
///
/// # Errors
/// When any file has errors: all errors of all files.
pub fn load_all(paths: &[PathBuf]) -> Result<Loaded, ConfigError> {
    let loaded = ConfigFiles::new(paths.to_vec()).load()?;
    match loaded.errors {
        Some(errors) => Err(errors),
        None => Ok(Loaded {
            config: loaded.config,
            warnings: loaded.warnings,
            files: loaded.files.len(),
        }),
    }
}

/// Loads the file, or the directory of files, at `path`. As [`load_all`].
///
/// # Errors
/// As [`load_all`].
pub fn load(path: &Path) -> Result<Loaded, ConfigError> {
    load_all(&[path.to_owned()])
}
