//! Secrets: their sources, and a type that can't be printed by accident.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::place::{Invalid, Place};
use super::regular_file::{self, FileError, ReadError};
use crate::model::UsedSecrets;

/// The longest secret read from a file, in bytes.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

/// The source of a secret. Files and variables are read at every run, so that a rotated secret needs no reload.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// Written in the configuration.
    Inline(Secret),
    /// The content of a file, without trailing line breaks.
    File(PathBuf),
    /// The value of an environment variable.
    Env(String),
}

/// A secret value. It has no `Display` and no `Serialize`, and its `Debug` hides it. Exposing it in a run of a check records that
/// the run uses it, so that the secret is removed from everything that leaves the run.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

/// Bytes that may be a secret, with the rules of [`Secret`].
#[derive(Clone, PartialEq, Eq)]
pub struct SecretBytes(Arc<[u8]>);

impl SecretBytes {
    /// Wraps a secret.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into().into())
    }

    /// The secret itself. Only send it to the server.
    pub fn expose(&self) -> &[u8] {
        UsedSecrets::record(&String::from_utf8_lossy(&self.0).into());
        &self.0
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBytes(hidden)")
    }
}

/// A secret can't be read. Contains the source, never the secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file could not be read.
    #[error("reading the secret file {}: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The reason.
        #[source]
        cause: FileError,
    },
    /// The secret contains line breaks or other control characters, which would break the header it is put into.
    #[error("{what} contains a control character, such as a line break: write it on one line")]
    NotOneLine {
        /// A description of the source.
        what: String,
    },
    /// The variable is not set, or not UTF-8.
    #[error("the environment variable {name} is not set (or not UTF-8)")]
    Env {
        /// The name of the variable.
        name: String,
    },
}

impl ReadError for SecretError {
    fn is_unreadable(&self) -> bool {
        matches!(self, Self::File { cause, .. } if cause.is_unreadable())
    }
}

impl Secret {
    /// Wraps a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into().into())
    }

    /// The secret itself. Only send it to the server.
    pub fn expose(&self) -> &str {
        UsedSecrets::record(&self.0);
        &self.0
    }

    /// The text of a value that is not secret (a `Host` header) or is never sent (a private key). It is not removed from the
    /// texts of the target.
    pub fn unhidden(&self) -> &str {
        &self.0
    }

    /// Whether it contains no control characters.
    fn is_one_line(&self) -> bool {
        !self.0.bytes().any(|byte| byte.is_ascii_control())
    }
}

impl SecretSource {
    /// Resolves the keys `name`, `name_file` and `name_env` of the mapping at `place`, of which at most one may be given. The
    /// secret must be one line; see [`SecretSource::read_line`]. A file that can't be read now is a warning.
    ///
    /// # Errors
    /// Reported at the key.
    pub fn from_keys(
        place: &Place<'_>,
        name: &str,
        inline: Option<String>,
        file: Option<PathBuf>,
        env: Option<String>,
    ) -> Result<Option<Self>, Invalid> {
        let (key, source) = match (inline, file, env) {
            (None, None, None) => return Ok(None),
            (Some(text), None, None) => (name.to_owned(), Self::Inline(Secret::new(text))),
            (None, Some(path), None) => (format!("{name}_file"), Self::File(path)),
            (None, None, Some(variable)) => (format!("{name}_env"), Self::Env(variable)),
            _ => {
                return Err(place.error(format_args!(
                    "give one of {name}, {name}_file and {name}_env, not several"
                )));
            }
        };
        place.field(&key).validate_reading(source.read_line())?;
        Ok(Some(source))
    }

    /// Reads the current value of a secret that becomes part of a header. RFC 9110, section 5.5, allows no control characters
    /// except tabs there, and RFC 7617, section 2, none in user names and passwords.
    ///
    /// # Errors
    /// When the file or the variable can't be read, or contains control characters.
    pub fn read_line(&self) -> Result<Secret, SecretError> {
        let secret = self.read_name()?;
        UsedSecrets::record(&secret.0);
        Ok(secret)
    }

    /// Reads a user name like [`Self::read_line`]. A name that is written in the configuration is not secret.
    ///
    /// # Errors
    /// When the file or the variable can't be read, or contains control characters.
    pub fn read_name(&self) -> Result<Secret, SecretError> {
        let secret = self.read_unsent()?;
        if !secret.is_one_line() {
            let what = match self {
                Self::Inline(_) => "the secret".to_owned(),
                Self::File(path) => format!("the secret file {}", path.display()),
                Self::Env(name) => format!("the environment variable {name}"),
            };
            return Err(SecretError::NotOneLine { what });
        }
        if !matches!(self, Self::Inline(_)) {
            UsedSecrets::record(&secret.0);
        }
        Ok(secret)
    }

    /// Reads the current value.
    ///
    /// # Errors
    /// When the file or the variable can't be read.
    pub fn read(&self) -> Result<Secret, SecretError> {
        let secret = self.read_unsent()?;
        UsedSecrets::record(&secret.0);
        Ok(secret)
    }

    /// Reads a secret that is never sent, such as a private key, so that no target can return it.
    ///
    /// # Errors
    /// When the file or the variable can't be read.
    pub fn read_unsent(&self) -> Result<Secret, SecretError> {
        match self {
            Self::Inline(secret) => Ok(secret.clone()),
            Self::Env(name) => match std::env::var(name) {
                Ok(text) => Ok(Secret::new(text)),
                Err(_) => Err(SecretError::Env { name: name.clone() }),
            },
            Self::File(path) => match regular_file::read_text(path, MAX_SECRET_BYTES) {
                Ok(mut text) => {
                    text.truncate(text.trim_end_matches(['\r', '\n']).len());
                    Ok(Secret::new(text))
                }
                Err(cause) => Err(SecretError::File {
                    path: path.clone(),
                    cause,
                }),
            },
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

impl fmt::Debug for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inline(secret) => secret.fmt(f),
            Self::File(path) => write!(f, "<secret file {}>", path.display()),
            Self::Env(name) => write!(f, "<secret variable {name}>"),
        }
    }
}
