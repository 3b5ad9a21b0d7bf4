//! What the examination of a file found, with places that an editor can jump to.

use std::fmt;
use std::sync::Arc;

/// The most errors that are printed; the rest is counted.
pub const MAX_SHOWN: usize = 100;

/// Something found in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// Whether the file can't be used, or only deserves a remark.
    pub is_error: bool,
    /// The file's name, as it was given.
    pub file: Arc<str>,
    /// The line, from 1; 0 where it is about the file as a whole.
    pub line: u32,
    /// The column in characters, from 1; 0 where it is about the file as a whole.
    pub column: u32,
    /// The path, such as `services[3].checks[1].timeout`; may be empty.
    pub path: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl fmt::Display for Located {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        if !self.is_error {
            f.write_str(": remark")?;
        }
        if !self.path.is_empty() {
            write!(f, ": {}", self.path)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Why a configuration can't be used: everything that is wrong with it, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The errors, at least one, by position.
    pub errors: Vec<Located>,
    /// Whether the examination ended early because there were so many.
    pub is_cut: bool,
}

impl fmt::Display for ConfigError {
    /// One line an error, at most [`MAX_SHOWN`], and a count.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for error in self.errors.iter().take(MAX_SHOWN) {
            writeln!(f, "{error}")?;
        }
        let count = self.errors.len();
        if count > MAX_SHOWN {
            let more = count - MAX_SHOWN;
            writeln!(f, "... and {more} more")?;
        }
        let at_least = if self.is_cut { "at least " } else { "" };
        let noun = if count == 1 { "error" } else { "errors" };
        match self.errors.first() {
            Some(first) => write!(f, "{at_least}{count} {noun} in {}", first.file),
            None => write!(f, "{at_least}{count} {noun}"),
        }
    }
}

impl std::error::Error for ConfigError {}
