//! Why a file or directory could not be read.

use std::io;
use std::path::{Path, PathBuf};

use crate::config::regular_file::FileError;
use crate::model::{Problem, Reason};
use crate::net::shortage;

/// A file or directory could not be read.
#[derive(Debug, thiserror::Error)]
#[error("reading {}: {cause}", path.display())]
pub struct ReadError {
    /// The file or directory.
    pub path: PathBuf,
    cause: Cause,
}

#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error("{0}")]
    File(#[from] FileError),
    #[error("this run already read {0} files: split the requirements over several checks")]
    Files(usize),
    #[error("this run already read {0} bytes: split the requirements over several checks")]
    Bytes(u64),
    #[error("the run was cancelled")]
    Cancelled,
}

impl ReadError {
    /// The system, or the kind of file, prevents the reading.
    pub fn from_file(path: &Path, cause: impl Into<FileError>) -> Self {
        Self::new(path, Cause::File(cause.into()))
    }

    pub(super) fn too_many_files(path: &Path, limit: usize) -> Self {
        Self::new(path, Cause::Files(limit))
    }

    pub(super) fn too_many_bytes(path: &Path, limit: u64) -> Self {
        Self::new(path, Cause::Bytes(limit))
    }

    pub(super) fn cancelled(path: &Path) -> Self {
        Self::new(path, Cause::Cancelled)
    }

    fn new(path: &Path, cause: Cause) -> Self {
        let path = path.to_owned();
        Self { path, cause }
    }

    /// Whether the file or directory does not exist.
    pub fn is_absent(&self) -> bool {
        self.io().is_some_and(|error| {
            matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            )
        })
    }

    /// Whether the whole comparison must end: the limits of the run are used up, or the run was cancelled.
    pub const fn ends_run(&self) -> bool {
        matches!(self.cause, Cause::Files(_) | Cause::Bytes(_) | Cause::Cancelled)
    }

    /// The reason for the label `reason`.
    pub fn reason(&self) -> Reason {
        match &self.cause {
            Cause::File(FileError::Io(error)) => match error.kind() {
                io::ErrorKind::PermissionDenied => Reason::Permission,
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Reason::Missing,
                // A loop of symbolic links is `FilesystemLoop`, which is not stable yet.
                _ => Reason::Unreachable,
            },
            Cause::File(FileError::TooLong(_)) | Cause::Files(_) | Cause::Bytes(_) => Reason::Limit,
            Cause::File(FileError::NotRegular | FileError::NotText) => Reason::Protocol,
            Cause::Cancelled => Reason::Timeout,
        }
    }

    /// The shortage of the exporter that caused it, as a problem.
    pub fn shortage(&self) -> Option<Problem> {
        let shortage = shortage::from_error(self.io()?)?;
        Some(shortage::problem_or(Some(shortage), Reason::Internal, self))
    }

    /// The problem of a run that ends with this error.
    pub fn problem(&self) -> Problem {
        self.shortage()
            .unwrap_or_else(|| Problem::new(self.reason(), self))
    }

    const fn io(&self) -> Option<&io::Error> {
        match &self.cause {
            Cause::File(FileError::Io(error)) => Some(error),
            _ => None,
        }
    }
}
