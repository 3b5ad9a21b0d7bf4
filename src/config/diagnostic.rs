//! Errors and warnings about a file, with positions that an editor can jump to.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// The maximum number of errors that are printed. The others are only counted.
pub const MAX_SHOWN: usize = 100;

/// An error or a warning about a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether this is an error, so that the file can't be used; otherwise a warning.
    pub is_error: bool,
    /// The file's name, as given by the user.
    pub file: Arc<str>,
    /// The line, from 1; 0 for the file as a whole.
    pub line: u32,
    /// The column in characters, from 1; 0 for the file as a whole.
    pub column: u32,
    /// The path, such as `services[3].checks[1].timeout`; may be empty.
    pub path: String,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        if !self.is_error {
            f.write_str(": warning")?;
        }
        if !self.path.is_empty() {
            write!(f, ": {}", self.path)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// All errors of a configuration, in the order of its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The errors, at least one, by file and position.
    pub errors: Vec<Diagnostic>,
    /// Whether loading stopped early because there were too many findings.
    pub is_cut: bool,
}

impl fmt::Display for ConfigError {
    /// One line per error, at most [`MAX_SHOWN`], and a count.
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
        let files: BTreeSet<&str> = self.errors.iter().map(|error| &*error.file).collect();
        match (files.len(), files.first()) {
            (1, Some(file)) => write!(f, "{at_least}{count} {noun} in {file}"),
            (files, _) => write!(f, "{at_least}{count} {noun} in {files} files"),
        }
    }
}

impl std::error::Error for ConfigError {}
