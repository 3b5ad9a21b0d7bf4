//! Locations in a configuration. A [`Place`] is the location of one value while it is resolved: it collects the errors and
//! warnings found there, and compiles the patterns written there.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use super::allowed_directories::AllowedDirectories;
use super::expression::Expression;
use super::json_path::JsonPath;
use super::pattern::Pattern;
use super::pattern_cache::PatternCache;
use super::regular_file::ReadError;
use crate::model::visible;

/// The maximum number of findings of one file. Loading stops there.
pub const MAX_FINDINGS: usize = 10_000;

/// The longest message, in bytes.
const MAX_MESSAGE: usize = 2048;

/// The longest part of a regular expression that an error quotes, in bytes.
const MAX_QUOTED_PATTERN: usize = 256;

/// One step of a path into a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Into a mapping.
    Key(Rc<str>),
    /// Into a list, counted from zero.
    Index(usize),
}

/// Whether a message may quote a key: it looks like a key, so it is not a misplaced secret.
pub fn is_plain_key(key: &str) -> bool {
    !key.is_empty()
        && key.len() <= 64
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'<'))
}

/// A path into a configuration, displayed as `services[3].checks[1].timeout`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Path(pub Vec<Step>);

impl Path {
    /// Whether `self` is `other` or a path below it.
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                // A key that is not a plain word may be a misplaced value, even a secret.
                Step::Key(key) if !is_plain_key(key) => {
                    f.write_str(if position == 0 { "?" } else { ".?" })?
                }
                Step::Key(key) if position == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// An error or a warning about a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether this is an error, so that the configuration can't be used; otherwise a warning.
    pub is_error: bool,
    /// The path of the value.
    pub path: Path,
    /// Whether the finding is about the last key of the path, not about its value.
    pub at_key: bool,
    /// What is wrong and what to write instead.
    pub message: String,
}

/// The value is invalid. The error was reported at its [`Place`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid;

/// The location of a value while it is resolved. Errors do not end the resolution: they are collected, so that one run
/// reports all of them.
#[derive(Clone, Debug)]
pub struct Place<'a> {
    path: Path,
    findings: &'a RefCell<Vec<Finding>>,
    /// Shared by all places of one configuration.
    patterns: Rc<PatternCache>,
    /// The directories of the programs that exec checks may run.
    exec_directories: Rc<AllowedDirectories>,
}

impl<'a> Place<'a> {
    /// The root of a document. Its findings, and those of all places below it, are added to `findings`.
    pub fn root(findings: &'a RefCell<Vec<Finding>>) -> Self {
        Self {
            path: Path::default(),
            findings,
            patterns: Rc::default(),
            exec_directories: Rc::default(),
        }
    }

    /// The value of `key` in this mapping.
    pub fn field(&self, key: &str) -> Self {
        self.descend(&[Step::Key(key.into())])
    }

    /// The element `index` of this list.
    pub fn index(&self, index: usize) -> Self {
        self.descend(&[Step::Index(index)])
    }

    /// The value that `steps` lead to from here.
    pub fn descend(&self, steps: &[Step]) -> Self {
        let mut path = self.path.clone();
        path.0.extend_from_slice(steps);
        self.at_path(path)
    }

    /// The place at `path` of the same configuration.
    pub fn at_path(&self, path: Path) -> Self {
        Self {
            path,
            findings: self.findings,
            patterns: self.patterns.clone(),
            exec_directories: self.exec_directories.clone(),
        }
    }

    /// The same place, in a configuration that allows exec checks the programs in these directories.
    #[must_use]
    pub fn with_exec_directories(self, directories: AllowedDirectories) -> Self {
        Self {
            exec_directories: directories.into(),
            ..self
        }
    }

    /// The directories of the programs that exec checks may run.
    pub fn exec_directories(&self) -> &AllowedDirectories {
        &self.exec_directories
    }

    /// The path from the root.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The same place, but findings are added to `findings`.
    pub fn with_findings<'b>(&self, findings: &'b RefCell<Vec<Finding>>) -> Place<'b> {
        Place {
            path: self.path.clone(),
            findings,
            patterns: self.patterns.clone(),
            exec_directories: self.exec_directories.clone(),
        }
    }

    /// Adds a finding that was collected elsewhere.
    pub fn push(&self, finding: Finding) {
        self.findings.borrow_mut().push(finding);
    }

    /// The number of findings in the whole configuration so far.
    pub fn finding_count(&self) -> usize {
        self.findings.borrow().len()
    }

    /// Reports an error about this value. The message says what is wrong and what to write instead.
    pub fn error(&self, message: impl fmt::Display) -> Invalid {
        self.report(true, false, message);
        Invalid
    }

    /// Reports an error about this key: it is unknown or not allowed.
    pub fn error_at_key(&self, message: impl fmt::Display) -> Invalid {
        self.report(true, true, message);
        Invalid
    }

    /// Reports a warning about this value.
    pub fn warn(&self, message: impl fmt::Display) {
        self.report(false, false, message);
    }

    /// Reports a warning about this key.
    pub fn warn_at_key(&self, message: impl fmt::Display) {
        self.report(false, true, message);
    }

    /// Reports that reading the file that is named here failed. If the file can't be read now, this is a warning: files are read
    /// again at every run, and one missing file must not prevent all other checks. Everything else is an error.
    ///
    /// # Errors
    /// When the file has an invalid content or type.
    pub fn validate_reading<T, E: ReadError>(&self, result: Result<T, E>) -> Result<(), Invalid> {
        match result {
            Ok(_) => Ok(()),
            Err(error) if error.is_unreadable() => {
                self.warn(format_args!("{error}; every run fails until it can be read"));
                Ok(())
            }
            Err(error) => Err(self.error(error)),
        }
    }

    fn report(&self, is_error: bool, at_key: bool, message: impl fmt::Display) {
        self.push(Finding {
            is_error,
            path: self.path.clone(),
            at_key,
            // Some messages quote the written value, which may hold anything.
            message: visible(&message.to_string(), MAX_MESSAGE),
        });
    }

    /// Compiles the regular expression written here.
    ///
    /// # Errors
    /// Reported here.
    pub fn compile_pattern(&self, source: &str) -> Result<Pattern, Invalid> {
        self.patterns.pattern(source).map_err(|error| {
            let quoted = visible(source, MAX_QUOTED_PATTERN);
            self.error(format_args!("\"{quoted}\" is not a regular expression: {error}"))
        })
    }

    /// Compiles a pattern that finds any of `texts`, ignoring case.
    ///
    /// # Errors
    /// Reported here.
    pub fn compile_any_of(&self, texts: &[String]) -> Result<Pattern, Invalid> {
        self.patterns.pattern(&Pattern::any_of(texts)).map_err(|error| {
            self.error(format_args!(
                "the list is too large ({error}): write fewer or shorter strings"
            ))
        })
    }

    /// Compiles the CEL expression written here.
    ///
    /// # Errors
    /// Reported here.
    pub fn compile_expression(&self, source: &str) -> Result<Expression, Invalid> {
        self.patterns
            .expression(source)
            .map_err(|error| self.error(format_args!("not a CEL expression: {error}")))
    }

    /// Parses the JSON path written here.
    ///
    /// # Errors
    /// Reported here.
    pub fn parse_json_path(&self, source: &str) -> Result<JsonPath, Invalid> {
        self.patterns.json_path(source).map_err(|error| {
            self.error(format_args!(
                "not a JSON path to one value: {error}; write a path such as $.metrics.latency_p95_ms"
            ))
        })
    }
}

/// Collects the results, or returns `Invalid` if any of them is. It consumes all of them first, so that each one reports its
/// errors.
pub(super) fn all<T>(results: impl Iterator<Item = Result<T, Invalid>>) -> Result<Vec<T>, Invalid> {
    let results: Vec<_> = results.collect();
    results.into_iter().collect()
}
