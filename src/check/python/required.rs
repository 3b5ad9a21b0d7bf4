//! What all files of a check require.

use std::path::PathBuf;

use pep440_rs::VersionSpecifiers;

use super::name::Name;
use super::wanted::Wanted;
use crate::config::python::Format;
use crate::model::Reason;

/// What all files require.
#[derive(Clone, Debug, Default)]
pub struct Required {
    /// One entry per configured file, in their order.
    pub files: Vec<FileRequirements>,
    /// Versions for packages that are required elsewhere (`-c`).
    pub constraints: Vec<Wanted>,
    /// What could not be read.
    pub unreadable: Vec<Unreadable>,
    /// The names that are selected, but that no file has.
    pub unknown_extras: Vec<Name>,
    /// As above, for groups.
    pub unknown_groups: Vec<Name>,
}

/// What one configured file requires.
#[derive(Clone, Debug)]
pub struct FileRequirements {
    /// The file.
    pub path: PathBuf,
    /// Its format.
    pub format: Format,
    /// The packages.
    pub wanted: Vec<Wanted>,
    /// The versions of Python.
    pub requires_python: Option<VersionSpecifiers>,
    /// See [`super::wanted::Parsed::is_complete`].
    pub is_complete: bool,
}

/// A file or a part of it that can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// Where: a file, or a line of it.
    pub place: String,
    /// The reason for the label.
    pub reason: Reason,
    /// What is wrong.
    pub text: String,
}
