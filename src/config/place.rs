//! Where in a configuration something stands, and what is wrong there.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use crate::model::visible;

/// The longest message, in bytes.
const MAX_MESSAGE: usize = 2048;

/// One step of a path into a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Into a mapping.
    Key(Rc<str>),
    /// Into a list, counted from zero.
    Index(usize),
}

/// A path into a configuration; displayed as `services[3].checks[1].timeout`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Path(pub Vec<Step>);

impl Path {
    /// Whether `self` is `other` or lies within it.
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                // A key that is no word may be a text in a wrong place, even a secret.
                Step::Key(key) if !super::yaml::is_plain_key(key) => {
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

/// Something to tell the author of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether the configuration can't be used, or only deserves a remark.
    pub is_error: bool,
    /// Where.
    pub path: Path,
    /// Whether it is about the key at the end of the path, not about its value.
    pub at_key: bool,
    /// What is wrong and what would be right.
    pub message: String,
}

/// Says that what was asked for could not be made; why was reported at its [`Place`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid;

/// A place in a configuration under examination. Everything found is collected, so that all of it is told at once.
#[derive(Clone, Debug)]
pub struct Place<'a> {
    path: Path,
    findings: &'a RefCell<Vec<Finding>>,
}

impl<'a> Place<'a> {
    /// The root of a document, which collects into `findings`.
    pub fn root(findings: &'a RefCell<Vec<Finding>>) -> Self {
        Self {
            path: Path::default(),
            findings,
        }
    }

    /// The value of `key` in the mapping here.
    pub fn field(&self, key: &str) -> Self {
        self.step(Step::Key(key.into()))
    }

    /// The element at `index` of the list here.
    pub fn index(&self, index: usize) -> Self {
        self.step(Step::Index(index))
    }

    /// The value that `steps` lead to from here.
    pub fn at(&self, steps: &[Step]) -> Self {
        let mut path = self.path.clone();
        path.0.extend_from_slice(steps);
        Self {
            path,
            findings: self.findings,
        }
    }

    /// Another place of the same configuration.
    pub fn elsewhere(&self, path: Path) -> Self {
        Self {
            path,
            findings: self.findings,
        }
    }

    fn step(&self, step: Step) -> Self {
        let mut path = self.path.clone();
        path.0.push(step);
        Self {
            path,
            findings: self.findings,
        }
    }

    /// Where this is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The same place, for an examination that collects into `findings`.
    pub fn collecting<'b>(&self, findings: &'b RefCell<Vec<Finding>>) -> Place<'b> {
        Place {
            path: self.path.clone(),
            findings,
        }
    }

    /// Takes over what an examination of its own found.
    pub fn forward(&self, finding: Finding) {
        self.findings.borrow_mut().push(finding);
    }

    /// How many findings there are, of the whole configuration.
    pub fn found(&self) -> usize {
        self.findings.borrow().len()
    }

    /// Reports an error here. The message says what is wrong and what would be right.
    pub fn error(&self, message: impl fmt::Display) -> Invalid {
        self.report(true, false, message);
        Invalid
    }

    /// Reports an error about the key here: it is unknown, or should not be there.
    pub fn error_at_key(&self, message: impl fmt::Display) -> Invalid {
        self.report(true, true, message);
        Invalid
    }

    /// Reports a remark here.
    pub fn remark(&self, message: impl fmt::Display) {
        self.report(false, false, message);
    }

    /// Reports a remark about the key here.
    pub fn remark_at_key(&self, message: impl fmt::Display) {
        self.report(false, true, message);
    }

    fn report(&self, is_error: bool, at_key: bool, message: impl fmt::Display) {
        let finding = Finding {
            is_error,
            path: self.path.clone(),
            at_key,
            // Some quote what was written, which may be anything.
            message: visible(&message.to_string(), MAX_MESSAGE),
        };
        self.findings.borrow_mut().push(finding);
    }
}

/// All of them, or the last error, after every one was looked at.
pub(super) fn all<T>(results: impl Iterator<Item = Result<T, Invalid>>) -> Result<Vec<T>, Invalid> {
    let mut valid = Ok(Vec::new());
    for result in results {
        match (&mut valid, result) {
            (Ok(values), Ok(value)) => values.push(value),
            (_, Err(Invalid)) => valid = Err(Invalid),
            (Err(Invalid), Ok(_)) => {}
        }
    }
    valid
}
