//! The format of `uv.lock`.

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;

use pep440_rs::Version;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::check::python::direct_url::Source;
use crate::check::python::name::Name;
use crate::check::python::toml_file;
use crate::check::python::wanted::{Known, Origin, Selection, Versions, Wanted};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Lock {
    pub version: u32,
    #[serde(default)]
    pub requires_python: Option<String>,
    #[serde(default)]
    pub manifest: Manifest,
    #[serde(default, rename = "package")]
    pub packages: Vec<Package>,
}

/// A part of a lock that starts at a package.
#[derive(Deserialize)]
struct Part {
    #[serde(rename = "package")]
    packages: Vec<Package>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Manifest {
    pub dependency_groups: BTreeMap<Name, Vec<Dependency>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Package {
    pub name: Name,
    #[serde(default)]
    pub version: Option<String>,
    pub source: LockSource,
    #[serde(default)]
    pub dependencies: Vec<Dependency>,
    #[serde(default)]
    pub optional_dependencies: BTreeMap<Name, Vec<Dependency>>,
    #[serde(default)]
    pub dev_dependencies: BTreeMap<Name, Vec<Dependency>>,
    #[serde(default)]
    pub metadata: Metadata,
}

/// What the project file says. Extras and groups without packages are only here.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Metadata {
    pub provides_extras: Vec<Name>,
    pub requires_dev: BTreeMap<Name, IgnoredAny>,
}

/// Exactly one of these is set.
#[derive(Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub struct LockSource {
    pub git: Option<String>,
    pub url: Option<String>,
    pub path: Option<String>,
    pub directory: Option<String>,
    pub editable: Option<String>,
    pub r#virtual: Option<String>,
    pub registry: Option<String>,
    pub subdirectory: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct Dependency {
    pub name: Name,
    /// Only if the lock has several packages of this name.
    #[serde(default)]
    pub version: Option<String>,
    #[serde(default)]
    pub source: Option<LockSource>,
    #[serde(default)]
    pub extra: Vec<Name>,
    #[serde(default)]
    pub marker: Option<String>,
}

impl Lock {
    /// Parses a lock.
    ///
    /// # Errors
    /// The line and what is wrong there.
    pub fn parse(text: &str) -> Result<Self, String> {
        match Self::parse_parts(text) {
            Some(lock) => Ok(lock),
            // It is faulty, or not in the form that uv writes. The error has the line.
            None => toml_file::parse(text),
        }
    }

    /// Parses the packages one after the other. The tree of a whole lock takes many times the memory of its text.
    fn parse_parts(text: &str) -> Option<Self> {
        let starts = package_starts(text)?;
        let head = starts.first().copied().unwrap_or(text.len());
        let mut lock: Self = toml_file::parse(&text[..head]).ok()?;
        for (index, start) in starts.iter().enumerate() {
            let end = starts.get(index + 1).copied().unwrap_or(text.len());
            let part: Part = toml_file::parse(&text[*start..end]).ok()?;
            lock.packages.extend(part.packages);
        }
        Some(lock)
    }

    /// The project, or all members of a workspace that has no project at its root.
    pub fn roots(&self) -> Vec<usize> {
        let local = |package: &Package| {
            let source = &package.source;
            source.editable.clone().or_else(|| source.r#virtual.clone())
        };
        let packages = || self.packages.iter().enumerate();
        let root = packages().find(|(_, package)| local(package).as_deref() == Some("."));
        match root {
            Some((index, _)) => vec![index],
            None => packages()
                .filter(|(_, package)| local(package).is_some())
                .map(|(index, _)| index)
                .collect(),
        }
    }

    pub fn known(&self, roots: &[usize]) -> Known {
        let mut known = Known::default();
        for root in roots {
            let package = &self.packages[*root];
            known.extras.extend(package.optional_dependencies.keys().cloned());
            known.groups.extend(package.dev_dependencies.keys().cloned());
            known
                .extras
                .extend(package.metadata.provides_extras.iter().cloned());
            known.groups.extend(package.metadata.requires_dev.keys().cloned());
        }
        known
            .groups
            .extend(self.manifest.dependency_groups.keys().cloned());
        known
    }

    /// The names by which markers refer to extras and groups that exclude each other: `extra-3-app-cpu`, `group-3-app-dev`, with the
    /// length of the package's name.
    pub fn conflict_names(&self, roots: &[usize], selection: &Selection) -> Vec<Name> {
        let mut names = Vec::new();
        for root in roots {
            let package = self.packages[*root].name.as_str();
            let mut add = |kind: &str, list: &[Name]| {
                names.extend(
                    list.iter()
                        .map(|name| Name::normalize(&format!("{kind}-{}-{package}-{name}", package.len()))),
                );
            };
            add("extra", &selection.extras);
            add("group", &selection.groups);
        }
        names
    }
}

impl Dependency {
    pub fn refers_to(&self, package: &Package) -> bool {
        self.version
            .as_ref()
            .is_none_or(|version| package.version.as_ref() == Some(version))
            && self
                .source
                .as_ref()
                .is_none_or(|source| *source == package.source)
    }
}

impl Package {
    /// The package as a requirement; `None` if it is not installed, as a virtual project.
    pub fn wanted(&self, origin: &Origin, directory: &Path) -> Result<Option<Wanted>, String> {
        let source = &self.source;
        if source.r#virtual.is_some() {
            return Ok(None);
        }
        let local = |path: &String| Source::from_path(&directory.join(path), false);
        let subdirectory = source.subdirectory.as_deref();
        let required = match source {
            LockSource { git: Some(git), .. } => {
                let (url, commit) = git
                    .split_once('#')
                    .ok_or_else(|| format!("{}: its git source has no commit", self.name))?;
                let query = url.split_once('?').map_or("", |(_, query)| query);
                let in_query = query
                    .split('&')
                    .find_map(|part| part.strip_prefix("subdirectory="));
                Some(Source::from_commit(url, commit, subdirectory.or(in_query)))
            }
            LockSource { url: Some(url), .. } => Some(match subdirectory {
                None => Source::from_url(url, directory),
                Some(below) => Source::from_url(&format!("{url}#subdirectory={below}"), directory),
            }),
            LockSource { path: Some(path), .. } => Some(local(path)),
            LockSource {
                directory: Some(path),
                ..
            } => Some(local(path)),
            // `uv sync --no-editable` installs it as a copy, with the same lock.
            LockSource {
                editable: Some(path), ..
            } => Some(Source::from_project(&directory.join(path))),
            _ => None,
        };
        let versions = match &self.version {
            None => Versions::any(),
            Some(text) => {
                let version = Version::from_str(text);
                let version =
                    version.map_err(|_| format!("{}: its version does not follow PEP 440", self.name))?;
                Versions::Exactly(version)
            }
        };
        Ok(Some(Wanted {
            name: Some(self.name.clone()),
            extras: Vec::new(),
            versions,
            source: required,
            origin: origin.clone(),
        }))
    }
}

/// Where the packages start. `None` if another table follows them.
fn package_starts(text: &str) -> Option<Vec<usize>> {
    let (mut starts, mut at) = (Vec::new(), 0);
    for line in text.split_inclusive('\n') {
        if line.trim_end() == "[[package]]" {
            starts.push(at);
        } else if line.starts_with('[')
            && !starts.is_empty()
            && !line.trim_start_matches('[').starts_with("package.")
        {
            return None;
        }
        at += line.len();
    }
    Some(starts)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKAGE: &str = "[[package]]\nname = \"a\"\nversion = \"1\"\nsource = { registry = \"x\" }\n";

    #[test]
    fn a_lock_is_the_sum_of_its_parts() {
        let with_tables =
            format!("{PACKAGE}[package.metadata]\nprovides-extras = [\"x\"]\n[[package.other]]\nb = 1\n");
        let whole = |text: &str| format!("{:?}", toml_file::parse::<Lock>(text));
        for (text, packages) in [
            ("version = 1\n".to_owned(), Some(0)),
            (format!("version = 1\n{PACKAGE}\n{with_tables}{PACKAGE}"), Some(3)),
            (
                format!("version = 1\n{PACKAGE}{PACKAGE}").replace('\n', "\r\n"),
                Some(2),
            ),
            // Not in the form that uv writes.
            (
                format!("version = 1\n{PACKAGE}[manifest]\ndependency-groups = {{}}\n"),
                None,
            ),
            (
                format!("version = 1\n{PACKAGE}note = \"\"\"\n{PACKAGE}\"\"\"\n"),
                None,
            ),
            (format!("version = 1\n{PACKAGE}[["), None),
        ] {
            let parts = Lock::parse_parts(&text);
            assert_eq!(parts.as_ref().map(|lock| lock.packages.len()), packages, "{text}");
            if let Some(lock) = parts {
                assert_eq!(format!("{:?}", Ok::<_, String>(lock)), whole(&text), "{text}");
            }
            assert_eq!(format!("{:?}", Lock::parse(&text)), whole(&text), "{text}");
        }
    }
}
