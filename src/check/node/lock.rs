//! A lock file of one of the package managers.

use super::package_lock::PackageLock;
use super::pnpm_lock::PnpmLock;
use super::yarn_lock::YarnLock;

/// A package manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manager {
    /// npm.
    Npm,
    /// pnpm.
    Pnpm,
    /// yarn 1.
    Yarn,
}

/// A parsed lock file.
#[derive(Debug)]
pub enum Lock {
    /// Of npm.
    Npm(PackageLock),
    /// Of pnpm.
    Pnpm(PnpmLock),
    /// Of yarn 1.
    Yarn(YarnLock),
}

impl Lock {
    /// Whether it has a project below its directory, at this path.
    pub fn has_project(&self, path: &str) -> bool {
        match self {
            Self::Npm(lock) => lock.packages.contains_key(path),
            Self::Pnpm(lock) => lock.importers.contains_key(path),
            // It has no paths.
            Self::Yarn(_) => false,
        }
    }
}

/// Parses a lock file.
///
/// # Errors
/// What is wrong with it.
pub fn parse_lock(text: &str, manager: Manager) -> Result<Lock, String> {
    match manager {
        Manager::Npm => PackageLock::parse(text)
            .map(Lock::Npm)
            .map_err(|error| error.to_string()),
        Manager::Pnpm => PnpmLock::parse(text)
            .map(Lock::Pnpm)
            .map_err(|error| first_line(&error.to_string()).to_owned()),
        Manager::Yarn => YarnLock::parse(text)
            .map(Lock::Yarn)
            .map_err(|error| error.to_string()),
    }
}

/// Errors of the YAML parser have several lines; the first one says what is wrong and where.
pub fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
