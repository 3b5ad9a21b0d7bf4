//! The files of a project in a directory.

use std::path::Path;

use super::direct_url::Source;
use super::name::Name;
use super::pyproject;
use crate::check::dependencies::{Files, ReadError};

/// The project file next to a lock, if it can be read.
///
/// # Errors
/// If a limit of the run is used up.
pub fn read_project(path: &Path, files: &mut Files) -> Result<Option<pyproject::Pyproject>, ReadError> {
    match files.read_text(path) {
        Ok(text) => Ok(pyproject::read(&text).ok()),
        Err(error) if error.ends_run() => Err(error),
        Err(_) => Ok(None),
    }
}

/// The name that `pyproject.toml` or `setup.cfg` give. That of `setup.py` is known only to Python.
///
/// # Errors
/// If a limit of the run is used up.
pub fn project_name(directory: &Path, files: &mut Files) -> Result<Option<Name>, ReadError> {
    let project = read_project(&directory.join("pyproject.toml"), files)?;
    if let Some(name) = project.and_then(|project| project.name()) {
        return Ok(Some(name));
    }
    match files.read_text(&directory.join("setup.cfg")) {
        Ok(text) => Ok(name_in_setup_cfg(&text)),
        Err(error) if error.ends_run() => Err(error),
        Err(_) => Ok(None),
    }
}

/// The source of a URL. It is unknown if the URL has variables, whose values only the shell of pip knows.
pub fn link_source(url: &str, directory: &Path, is_editable: bool) -> Source {
    let source = Source::from_url(url, directory);
    let source = if is_editable {
        source.into_editable()
    } else {
        source
    };
    match source.has_variables() {
        true => source.into_unknown(),
        false => source,
    }
}

/// The name in the section `[metadata]`.
fn name_in_setup_cfg(text: &str) -> Option<Name> {
    let mut is_metadata = false;
    for line in text.lines() {
        if line.starts_with('[') {
            is_metadata = line.trim_end() == "[metadata]";
        } else if is_metadata
            && let Some((key, value)) = line.split_once(['=', ':'])
            && key.trim() == "name"
        {
            return Name::parse(value.trim());
        }
    }
    None
}
