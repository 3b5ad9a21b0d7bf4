//! The body of a request.

use std::path::PathBuf;

use crate::config::regular_file::{self, FileError, ReadError};
use crate::config::secret::Secret;
use crate::model::UsedSecrets;

/// The longest body in a file, in bytes.
const MAX_BODY_BYTES: u64 = 1 << 20;
/// The first part of a body that is hidden if the target returns it, in bytes. Logins and tokens are shorter.
const MAX_HIDDEN_BYTES: usize = 64 << 10;

/// The source of the request's body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodySource {
    /// Written in the configuration; may contain secrets.
    Inline(Secret),
    /// The content of a file, read at every run.
    File(PathBuf),
}

/// The body can't be read.
#[derive(Debug, thiserror::Error)]
#[error("reading {}: {cause}", path.display())]
pub struct BodyError {
    /// The file.
    pub path: PathBuf,
    /// The reason.
    #[source]
    pub cause: FileError,
}

impl ReadError for BodyError {
    fn is_unreadable(&self) -> bool {
        self.cause.is_unreadable()
    }
}

impl BodySource {
    /// Reads the current body.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn read(&self) -> Result<Vec<u8>, BodyError> {
        match self {
            Self::Inline(text) => Ok(text.expose().as_bytes().to_vec()),
            Self::File(path) => {
                let body = regular_file::read(path, MAX_BODY_BYTES).map_err(|cause| BodyError {
                    path: path.clone(),
                    cause,
                })?;
                let beginning = &body[..body.len().min(MAX_HIDDEN_BYTES)];
                UsedSecrets::record(&String::from_utf8_lossy(beginning).into());
                Ok(body)
            }
        }
    }
}
