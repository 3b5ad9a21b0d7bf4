//! Reads the files that say what is required, with those that they include.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::direct_url::Source;
use super::environment::Environment;
use super::installed::resolve;
use super::marker::applies;
use super::name::Name;
use super::project_files::{link_source, project_name, read_project};
use super::required::{FileRequirements, Required, Unreadable};
use super::requirements_txt::{Item, Line, Link, decode, parse as parse_requirements};
use super::wanted::{Fault, Known, Origin, Parsed, Selection, Versions, Wanted};
use super::{poetry_lock, pylock, pyproject, uv_lock};
use crate::check::dependencies::{Files, ReadError};
use crate::config::python::{Format, PythonSettings};
use crate::model::Reason;

/// How deep requirement files may include each other. Projects have two or three levels.
const MAX_DEPTH: usize = 20;
/// How many files one requirement file may include in all, each as often as it is included.
const MAX_INCLUDED: usize = 500;
/// How many requirements a run compares. Each one takes memory.
const MAX_WANTED: usize = 100_000;

/// Reads all files.
///
/// # Errors
/// If a limit of the run is used up, or the exporter lacks a resource. Other errors become part of the result.
pub fn load(
    settings: &PythonSettings,
    environment: &Environment,
    files: &mut Files,
) -> Result<Required, ReadError> {
    let selection = Selection::new(&settings.extras, &settings.groups);
    let mut loader = Loader {
        environment,
        selection: &selection,
        files,
        required: Required::default(),
        included: 0,
        wanted: 0,
    };
    let mut known = Known::default();
    for path in &settings.requirements {
        let format = Format::of(path);
        match loader.load_file(path, format) {
            Ok(parsed) => {
                known.extras.extend(parsed.known.extras);
                known.groups.extend(parsed.known.groups);
                for fault in parsed.faults {
                    loader.fault(fault);
                }
                loader.required.files.push(FileRequirements {
                    path: path.clone(),
                    format,
                    wanted: parsed.wanted,
                    requires_python: parsed.requires_python,
                    is_complete: parsed.is_complete,
                });
            }
            Err(Failure::Run(error)) => return Err(error),
            Err(Failure::File(unreadable)) => loader.required.unreadable.push(unreadable),
        }
    }
    let (mut required, files) = (loader.required, loader.files);
    let wanted = required.files.iter_mut().flat_map(|file| &mut file.wanted);
    let sources = wanted
        .chain(&mut required.constraints)
        .filter_map(|wanted| wanted.source.as_mut());
    for source in sources {
        source.resolve(|path| resolve(path, files))?;
    }
    // A file that can't be read could have them.
    if required.unreadable.is_empty() {
        let missing = |selected: &[Name], known: &BTreeSet<Name>| -> Vec<Name> {
            selected
                .iter()
                .filter(|name| !known.contains(name))
                .cloned()
                .collect()
        };
        required.unknown_extras = missing(&selection.extras, &known.extras);
        required.unknown_groups = missing(&selection.groups, &known.groups);
    }
    Ok(required)
}

/// Why a file has no requirements.
enum Failure {
    /// The run must end.
    Run(ReadError),
    /// Only this file can't be used.
    File(Unreadable),
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        match error.ends_run() || error.shortage().is_some() {
            true => Self::Run(error),
            false => Self::File(Unreadable {
                place: error.path.display().to_string(),
                reason: error.reason(),
                text: error.to_string(),
            }),
        }
    }
}

fn unusable(path: &Path, reason: Reason, text: String) -> Failure {
    Failure::File(Unreadable {
        place: path.display().to_string(),
        reason,
        text,
    })
}

struct Loader<'a> {
    environment: &'a Environment,
    selection: &'a Selection,
    files: &'a mut Files,
    required: Required,
    included: usize,
    wanted: usize,
}

impl Loader<'_> {
    fn load_file(&mut self, path: &Path, format: Format) -> Result<Parsed, Failure> {
        let origin = Origin::file(path);
        if format == Format::Requirements {
            let mut parsed = Parsed::default();
            self.load_requirements(path, Purpose::Requirements, &mut Vec::new(), &mut parsed)?;
            return Ok(parsed);
        }
        let text = self.files.read_text(path)?;
        let (environment, selection) = (self.environment, self.selection);
        let parsed = match format {
            Format::Pyproject => pyproject::parse(&text, &origin, environment, selection),
            Format::Pylock => pylock::parse(&text, &origin, environment, selection),
            Format::UvLock => uv_lock::parse(&text, &origin, environment, selection),
            Format::PoetryLock | Format::Requirements => {
                let project = read_project(&path.with_file_name("pyproject.toml"), self.files)?;
                poetry_lock::parse(&text, project.as_ref(), &origin, environment, selection)
            }
        };
        let parsed = parsed.map_err(|text| unusable(path, Reason::Protocol, text))?;
        self.count(path, parsed.wanted.len())?;
        Ok(parsed)
    }

    /// Reads a requirement file and those that it includes. `stack` has the files that include it, without symbolic links.
    fn load_requirements(
        &mut self,
        path: &Path,
        purpose: Purpose,
        stack: &mut Vec<PathBuf>,
        parsed: &mut Parsed,
    ) -> Result<(), Failure> {
        let resolved = self.files.resolve(path)?;
        if stack.contains(&resolved) {
            let by = stack
                .last()
                .map(|file| file.display().to_string())
                .unwrap_or_default();
            let text = format!(
                "{by} includes {}, which includes it: remove one of the -r lines",
                path.display()
            );
            return Err(unusable(path, Reason::Protocol, text));
        }
        self.included += 1;
        if stack.len() >= MAX_DEPTH || self.included > MAX_INCLUDED {
            let text = format!(
                "the requirement files include more than {MAX_DEPTH} levels or {MAX_INCLUDED} files: merge some of them"
            );
            return Err(unusable(path, Reason::Limit, text));
        }
        let text = decode(self.files.read(path)?).map_err(|text| unusable(path, Reason::Protocol, text))?;
        let lines = parse_requirements(&text).map_err(|text| unusable(path, Reason::Limit, text))?;
        drop(text);
        self.count(path, lines.len())?;
        stack.push(resolved);
        let origin = Origin::file(path);
        for line in lines {
            self.add_line(line, path, &origin, purpose, stack, parsed)?;
        }
        stack.pop();
        Ok(())
    }

    fn count(&mut self, path: &Path, wanted: usize) -> Result<(), Failure> {
        self.wanted += wanted;
        match self.wanted > MAX_WANTED {
            true => {
                let text = format!("the files have more than {MAX_WANTED} requirements");
                Err(unusable(path, Reason::Limit, text))
            }
            false => Ok(()),
        }
    }

    fn add_line(
        &mut self,
        line: Line,
        path: &Path,
        origin: &Origin,
        purpose: Purpose,
        stack: &mut Vec<PathBuf>,
        parsed: &mut Parsed,
    ) -> Result<(), Failure> {
        let origin = origin.at(line.number);
        let directory = path.parent().unwrap_or(Path::new("/"));
        let fault = |parsed: &mut Parsed, text: String| {
            let origin = origin.clone();
            parsed.faults.push(Fault { origin, text });
        };
        let (file, purpose) = match line.item {
            Err(text) => {
                fault(parsed, text);
                return Ok(());
            }
            Ok(Item::Requirement(requirement)) => {
                let source = requirement
                    .url
                    .as_deref()
                    .map(|url| link_source(url, directory, false));
                match applies(requirement.marker.as_ref(), self.environment, &[]) {
                    Ok(true) => self.add(
                        purpose,
                        Wanted {
                            name: Some(requirement.name),
                            extras: requirement.extras,
                            versions: Versions::Matching(requirement.specifiers),
                            source,
                            origin: origin.clone(),
                        },
                        parsed,
                    ),
                    Ok(false) => {}
                    Err(error) => fault(parsed, error.to_string()),
                }
                return Ok(());
            }
            Ok(Item::Link(link)) => {
                match applies(link.marker.as_ref(), self.environment, &[]) {
                    Ok(true) => {
                        let wanted = self.link(*link, directory, origin.clone())?;
                        let is_unknown = wanted.source.as_ref().is_some_and(Source::is_unknown);
                        if wanted.name.is_none() && is_unknown {
                            let text = "it has variables of the environment, which the exporter does not expand, and no \
                                        name: write NAME @ URL";
                            fault(parsed, text.to_owned());
                            return Ok(());
                        }
                        self.add(purpose, wanted, parsed);
                    }
                    Ok(false) => {}
                    Err(error) => fault(parsed, error.to_string()),
                }
                return Ok(());
            }
            Ok(Item::Include(file)) => (file, purpose),
            Ok(Item::Constraints(file)) => (file, Purpose::Constraints),
        };
        let source = Source::from_url(&file, directory);
        let Some(included) = source.path().map(Path::to_owned) else {
            fault(
                parsed,
                format!("{source} is not on this machine: download it, or list a local copy"),
            );
            return Ok(());
        };
        match self.load_requirements(&included, purpose, stack, parsed) {
            // The rest of the including file still counts.
            Err(Failure::File(unreadable)) => {
                self.required.unreadable.push(unreadable);
                Ok(())
            }
            other => other,
        }
    }

    fn add(&mut self, purpose: Purpose, wanted: Wanted, parsed: &mut Parsed) {
        match purpose {
            Purpose::Requirements => parsed.wanted.push(wanted),
            Purpose::Constraints => self.required.constraints.push(wanted),
        }
    }

    /// A URL or path as a requirement. The name of a directory is in its files.
    fn link(&mut self, link: Link, directory: &Path, origin: Origin) -> Result<Wanted, Failure> {
        let source = link_source(&link.url, directory, link.is_editable);
        let mut name = link.name;
        if name.is_none()
            && let Some(path) = source.path()
        {
            name = project_name(path, self.files)?;
        }
        Ok(Wanted {
            name,
            extras: link.extras,
            versions: link.version.map_or_else(Versions::any, Versions::Exactly),
            source: Some(source),
            origin,
        })
    }

    fn fault(&mut self, fault: Fault) {
        self.required.unreadable.push(Unreadable {
            place: fault.origin.to_string(),
            reason: Reason::Protocol,
            text: fault.text,
        });
    }
}

/// Whether a file adds requirements, or only limits the versions of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Requirements,
    Constraints,
}
