//! The body of a request.

use std::path::PathBuf;

use crate::config::regular_file::{self, FileError};
use crate::config::secret::Secret;
use crate::model::UsedSecrets;

/// The longest body read from a file, in bytes.
const MAX_BODY_BYTES: u64 = 1 << 20;
/// How much of a body from a file is hidden where the target gives it back, in bytes: logins and tokens are shorter.
const MAX_HIDDEN_BYTES: usize = 64 << 10;

/// Where the request's body comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodySource {
    /// Written in the configuration; may hold secrets.
    Inline(Secret),
    /// The content of a file, read at every run.
    File(PathBuf),
}

/// Why the body could not be read.
#[derive(Debug, thiserror::Error)]
#[error("reading {}: {cause}", path.display())]
pub struct BodyError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub cause: FileError,
}

impl BodySource {
    /// Reads the body as it is now.
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
