//! The formats of the saved state: `state.json` is a complete copy, and `state.log` has the services that changed since then.
//!
//! Both are JSON with checksums. The log names the checksum of its copy, so a log that belongs to another copy is recognized. Versions of
//! the exporter without a log read the copy, and ignore its checksum and the log.

mod copy;
mod entry;
mod log;
#[cfg(test)]
mod tests;

pub use copy::{decode_copy, encode_copy};
pub use log::{encode_header, encode_record, replay};

/// The version of the format. A copy of version 3 may have a checksum.
const VERSION: u32 = 3;

/// The oldest supported version of a copy. Version 1 has no evidence.
const OLDEST_VERSION: u32 = 1;

/// The digits of a checksum, which is hexadecimal.
const DIGITS: usize = 16;

/// The content of a file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// It is not valid JSON, or has other fields.
    #[error("it is incomplete or not a state file: {0}")]
    Incomplete(#[from] serde_json::Error),
    /// It has another format.
    #[error("it is not a state file of upkeep_exporter")]
    Format,
    /// It has an unsupported version.
    #[error("it has version {0} of the format; supported: {OLDEST_VERSION} to {VERSION}")]
    Version(u32),
    /// It has an unknown status or reason.
    #[error("it has the unknown value \"{0}\"")]
    Value(String),
    /// Its checksum is wrong.
    #[error("it is damaged: its checksum is wrong")]
    Checksum,
}
