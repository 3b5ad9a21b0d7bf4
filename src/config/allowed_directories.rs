//! The directories of the programs that exec checks of a configuration may run.

use std::path::PathBuf;

/// The directories that a configuration allows.
#[derive(Clone, Debug, Default)]
pub struct AllowedDirectories {
    /// The directories, with their subdirectories.
    pub directories: Vec<PathBuf>,
    /// Whether the file that lists them may be missing, because it has errors.
    pub is_incomplete: bool,
}
