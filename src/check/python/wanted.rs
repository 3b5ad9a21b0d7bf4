//! What the files require, in one form for all formats.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::rc::Rc;

use pep440_rs::{Version, VersionSpecifiers};

use super::direct_url::Source;
use super::name::Name;

/// A place in a file, shown as `/srv/app/requirements.txt:3`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The file.
    pub file: Rc<str>,
    /// The line, counted from 1; `None` for formats whose lines are no places of requirements.
    pub line: Option<usize>,
}

impl Origin {
    /// A file as a whole.
    pub fn file(path: &Path) -> Self {
        Self {
            file: path.display().to_string().into(),
            line: None,
        }
    }

    /// A line of the same file.
    #[must_use]
    pub fn at(&self, line: usize) -> Self {
        Self {
            file: Rc::clone(&self.file),
            line: Some(line),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}", self.file),
            None => f.write_str(&self.file),
        }
    }
}

/// The versions that satisfy a requirement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Versions {
    /// Those that match. `==1.0` matches 1.0+local.
    Matching(VersionSpecifiers),
    /// Only this one: locks.
    Exactly(Version),
}

impl Versions {
    /// All versions.
    pub fn any() -> Self {
        Self::Matching(VersionSpecifiers::empty())
    }

    /// Whether a version satisfies the requirement. Pre-releases do, as for pip when they are installed.
    pub fn contains(&self, version: &Version) -> bool {
        match self {
            Self::Matching(specifiers) => specifiers.contains(version),
            Self::Exactly(exact) => exact == version,
        }
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Matching(specifiers) if specifiers.is_empty() => Ok(()),
            Self::Matching(specifiers) => {
                for (position, specifier) in specifiers.iter().enumerate() {
                    write!(f, "{}{specifier}", if position > 0 { "," } else { "" })?;
                }
                Ok(())
            }
            Self::Exactly(version) => write!(f, "=={version}"),
        }
    }
}

/// One package that a file requires. Its marker holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// The package; `None` for a directory whose files don't give its name.
    pub name: Option<Name>,
    /// Its extras.
    pub extras: Vec<Name>,
    /// Its versions.
    pub versions: Versions,
    /// Where it must be installed from.
    pub source: Option<Source>,
    /// Where it is required.
    pub origin: Origin,
}

/// Something in a file that can't be read or compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub origin: Origin,
    /// What is wrong.
    pub text: String,
}

/// What one file requires.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parsed {
    /// The packages.
    pub wanted: Vec<Wanted>,
    /// What could not be read.
    pub faults: Vec<Fault>,
    /// The versions of Python that the project supports.
    pub requires_python: Option<VersionSpecifiers>,
    /// The extras and groups that the file has.
    pub known: Known,
    /// Whether the file lists everything that belongs in the environment, so that the metadata of packages adds nothing.
    pub is_complete: bool,
}

/// Names that a file defines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Extras.
    pub extras: BTreeSet<Name>,
    /// Dependency groups.
    pub groups: BTreeSet<Name>,
}

/// The extras and groups that the configuration selects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Extras.
    pub extras: Vec<Name>,
    /// Dependency groups.
    pub groups: Vec<Name>,
}

impl Selection {
    /// Selects these names.
    pub fn new(extras: &[String], groups: &[String]) -> Self {
        let names = |list: &[String]| list.iter().map(|name| Name::normalize(name)).collect();
        Self {
            extras: names(extras),
            groups: names(groups),
        }
    }
}
