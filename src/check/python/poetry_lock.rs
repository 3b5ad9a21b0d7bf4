//! `poetry.lock`: the packages that `poetry install` installs for a project.
//!
//! Since format 2.1 (Poetry 2), each package has its groups and a marker. Older locks need `pyproject.toml` for that: it has the
//! packages that the project requires, and the lock has the graph below them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::str::FromStr;

use pep440_rs::Version;
use serde::Deserialize;

use super::direct_url::Source;
use super::environment::Environment;
use super::marker::{Marker, Scope};
use super::name::Name;
use super::poetry_project::{PoetryDependency, Root};
use super::pyproject::Pyproject;
use super::toml_file;
use super::wanted::{Fault, Known, Origin, Parsed, Selection, Versions, Wanted};

/// How many packages are followed at most, counted as often as something requires them.
const MAX_STEPS: usize = 1_000_000;
/// The group of the packages that the project itself requires.
const MAIN: &str = "main";

#[derive(Debug, Deserialize)]
struct Lock {
    #[serde(default, rename = "package")]
    packages: Vec<Package>,
    #[serde(default)]
    extras: BTreeMap<Name, Vec<Name>>,
    metadata: LockMetadata,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct LockMetadata {
    #[serde(default)]
    lock_version: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: Name,
    version: String,
    #[serde(default)]
    optional: bool,
    #[serde(default)]
    groups: Option<Vec<Name>>,
    #[serde(default)]
    markers: Option<Markers>,
    #[serde(default)]
    dependencies: BTreeMap<String, PoetryDependency>,
    #[serde(default)]
    extras: BTreeMap<Name, Vec<String>>,
    #[serde(default)]
    source: Option<LockSource>,
    #[serde(default)]
    develop: bool,
}

/// The marker of a package: one for all groups, or one per group.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Markers {
    All(String),
    PerGroup(BTreeMap<Name, String>),
}

#[derive(Debug, Deserialize)]
struct LockSource {
    r#type: String,
    url: String,
    #[serde(default)]
    resolved_reference: Option<String>,
    #[serde(default)]
    subdirectory: Option<String>,
}

/// The packages of the lock that belong in the environment. `project` is the `pyproject.toml` next to it.
///
/// # Errors
/// If the lock can't be used as a whole.
pub fn parse(
    text: &str,
    project: Option<&Pyproject>,
    origin: &Origin,
    environment: &Environment,
    selection: &Selection,
) -> Result<Parsed, String> {
    let lock: Lock = toml_file::parse(text)?;
    let format = lock.metadata.lock_version.as_deref().unwrap_or("1.0");
    if !matches!(format.split('.').next(), Some("1" | "2")) {
        return Err(format!(
            "its format has version {format}, but only versions 1 and 2 are supported"
        ));
    }
    let mut parsed = Parsed {
        is_complete: true,
        ..Parsed::default()
    };
    let has_groups = lock.packages.iter().all(|package| package.groups.is_some());
    let installed = match (has_groups, project) {
        (true, _) => lock.by_group(environment, selection, origin, &mut parsed.faults),
        (false, Some(project)) => lock.by_graph(
            &project.poetry_roots(environment, selection),
            environment,
            selection,
        )?,
        (false, None) => {
            return Err(format!(
                "its format {format} has no groups, so pyproject.toml must be next to it: add that file, or run poetry \
                 lock with Poetry 2"
            ));
        }
    };
    let directory = Path::new(&*origin.file).parent().unwrap_or(Path::new("/"));
    for index in installed {
        match lock.packages[index].wanted(origin, directory) {
            Ok(wanted) => parsed.wanted.push(wanted),
            Err(text) => parsed.faults.push(Fault {
                origin: origin.clone(),
                text,
            }),
        }
    }
    let groups = lock.packages.iter().filter_map(|package| package.groups.as_ref());
    parsed.known = Known {
        extras: lock.extras.keys().cloned().collect(),
        groups: match has_groups {
            true => groups.flatten().cloned().collect(),
            // Which groups exist is in pyproject.toml.
            false => selection.groups.iter().cloned().collect(),
        },
    };
    Ok(parsed)
}

impl Lock {
    /// Selects packages by their groups and markers.
    fn by_group(
        &self,
        environment: &Environment,
        selection: &Selection,
        origin: &Origin,
        faults: &mut Vec<Fault>,
    ) -> BTreeSet<usize> {
        let main = Name::normalize(MAIN);
        let selected = |group: &Name| *group == main || selection.groups.contains(group);
        let scope = Scope::Sets {
            extras: &selection.extras,
            groups: &[],
        };
        let mut found = BTreeSet::new();
        for (index, package) in self.packages.iter().enumerate() {
            let groups = package.groups.iter().flatten();
            for group in groups.filter(|group| selected(group)) {
                let marker = match &package.markers {
                    None => None,
                    Some(Markers::All(marker)) => Some(marker),
                    Some(Markers::PerGroup(markers)) => markers.get(group),
                };
                let holds = marker.map_or(Ok(true), |marker| {
                    Marker::parse(marker).and_then(|marker| {
                        marker
                            .evaluate(environment, scope)
                            .map_err(|error| error.to_string())
                    })
                });
                match holds {
                    Ok(true) if !package.optional || self.is_selected(package, selection) => {
                        found.insert(index);
                    }
                    Ok(_) => {}
                    Err(error) => faults.push(Fault {
                        origin: origin.clone(),
                        text: format!("{}: {error}", package.name),
                    }),
                }
            }
        }
        found
    }

    /// Whether a selected extra brings an optional package: directly, or below one that it names.
    fn is_selected(&self, package: &Package, selection: &Selection) -> bool {
        // The marker decides, unless the extra is only named in [extras].
        let named = |extra: &Name| {
            self.extras
                .get(extra)
                .is_some_and(|list| list.contains(&package.name))
        };
        selection.extras.iter().any(named)
            || (!selection.extras.is_empty()
                && !self.extras.values().any(|list| list.contains(&package.name)))
    }

    /// Selects packages by following the graph from what the project requires.
    fn by_graph(
        &self,
        roots: &[Root],
        environment: &Environment,
        selection: &Selection,
    ) -> Result<BTreeSet<usize>, String> {
        let mut by_name: BTreeMap<&Name, Vec<usize>> = BTreeMap::new();
        for (index, package) in self.packages.iter().enumerate() {
            by_name.entry(&package.name).or_default().push(index);
        }
        let mut seen: BTreeSet<(Name, Vec<Name>)> = BTreeSet::new();
        let mut found = BTreeSet::new();
        let mut steps = 0;
        let mut queue: Vec<Root> = roots.to_vec();
        for name in selection
            .extras
            .iter()
            .filter_map(|extra| self.extras.get(extra))
            .flatten()
        {
            queue.push(Root {
                name: name.clone(),
                extras: Vec::new(),
            });
        }
        while let Some(root) = queue.pop() {
            if !seen.insert((root.name.clone(), root.extras.clone())) {
                continue;
            }
            for index in by_name.get(&root.name).into_iter().flatten() {
                found.insert(*index);
                let package = &self.packages[*index];
                steps += 1 + package.dependencies.len();
                if steps > MAX_STEPS {
                    return Err("following its dependencies takes too many steps".to_owned());
                }
                let extra_names: BTreeSet<Name> = root
                    .extras
                    .iter()
                    .filter_map(|extra| package.extras.get(extra))
                    .flatten()
                    // `name (>=1)`
                    .filter_map(|text| {
                        Name::parse(text.split([' ', '[', '(', '>', '=']).next().unwrap_or_default())
                    })
                    .collect();
                for (name, dependency) in &package.dependencies {
                    let needed = dependency.roots(name, environment);
                    let optional = || {
                        let name = Name::normalize(name);
                        extra_names.contains(&name).then(|| Root {
                            name,
                            extras: Vec::new(),
                        })
                    };
                    queue.extend(needed.or_else(optional));
                }
            }
        }
        Ok(found)
    }
}

impl Package {
    fn wanted(&self, origin: &Origin, directory: &Path) -> Result<Wanted, String> {
        let version = Version::from_str(&self.version);
        let version = version.map_err(|_| format!("{}: its version does not follow PEP 440", self.name))?;
        let source = match &self.source {
            None => None,
            Some(source) => match source.r#type.as_str() {
                "git" => {
                    let commit = source.resolved_reference.as_deref();
                    let commit =
                        commit.ok_or_else(|| format!("{}: its git source has no commit", self.name))?;
                    Some(Source::from_commit(
                        &source.url,
                        commit,
                        source.subdirectory.as_deref(),
                    ))
                }
                "url" => Some(Source::from_url(&source.url, directory)),
                "file" => Some(Source::from_path(&directory.join(&source.url), false)),
                "directory" => Some(Source::from_path(&directory.join(&source.url), self.develop)),
                // Another index.
                _ => None,
            },
        };
        Ok(Wanted {
            name: Some(self.name.clone()),
            extras: Vec::new(),
            versions: Versions::Exactly(version),
            source,
            origin: origin.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::python::pyproject;

    const NEW: &str = r#"
[[package]]
name = "a"
version = "1.0"
optional = false
python-versions = ">=3.8"
groups = ["main", "dev"]
markers = {dev = "sys_platform == 'win32'"}
files = [{file = "a-1.0.tar.gz", hash = "sha256:00"}]

[package.dependencies]
b = {version = ">=1", optional = true, markers = "extra == 'x'"}

[[package]]
name = "b"
version = "2"
optional = false
groups = ["dev"]
[package.source]
type = "git"
url = "https://code.test/b.git"
reference = "main"
resolved_reference = "abc"

[[package]]
name = "c"
version = "3"
optional = true
groups = ["main"]
markers = "extra == 'db'"

[[package]]
name = "d"
version = "4"
optional = true
groups = ["main"]
markers = "extra == 'db' or extra == 'web'"

[[package]]
name = "w"
version = "1"
optional = false
groups = ["main"]
markers = "sys_platform == 'win32'"

[extras]
db = ["c"]
web = ["e"]

[metadata]
lock-version = "2.1"
python-versions = ">=3.8"
content-hash = "00"
"#;

    const OLD_PROJECT: &str = r#"
[tool.poetry]
name = "app"
[tool.poetry.dependencies]
python = "^3.8"
a = {version = "^1.0", extras = ["x"]}
w = {version = "1", markers = "sys_platform == 'win32'"}
c = {version = "3", optional = true}
[tool.poetry.group.dev.dependencies]
d = [{version = "4", python = "<3.9"}, {version = "4", python = ">=3.9"}]
"#;

    fn parse_with(
        text: &str,
        project: Option<&str>,
        extras: &[&str],
        groups: &[&str],
    ) -> Result<Parsed, String> {
        let list = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let selection = Selection::new(&list(extras), &list(groups));
        let origin = Origin::file(Path::new("/srv/app/poetry.lock"));
        let project = project.map(|text| pyproject::read(text).unwrap());
        let environment = Environment::for_tests("3.11.2");
        parse(text, project.as_ref(), &origin, &environment, &selection)
    }

    fn names(parsed: &Parsed) -> String {
        let wanted = parsed.wanted.iter();
        wanted
            .map(|wanted| wanted.name.as_ref().unwrap().as_str())
            .collect()
    }

    #[test]
    fn groups_and_markers_select_the_packages() {
        let selected =
            |extras: &[&str], groups: &[&str]| names(&parse_with(NEW, None, extras, groups).unwrap());
        assert_eq!(selected(&[], &[]), "a");
        assert_eq!(selected(&[], &["dev"]), "ab");
        assert_eq!(selected(&["db"], &[]), "acd");
        assert_eq!(selected(&["web"], &[]), "ad");
        let parsed = parse_with(NEW, None, &[], &["dev"]).unwrap();
        assert_eq!(
            parsed.wanted[1].source.as_ref().unwrap().to_string(),
            "https://code.test/b@abc"
        );
    }

    #[test]
    fn an_old_lock_is_followed_from_the_project() {
        let old: String = NEW
            .lines()
            .filter(|line| !line.starts_with("groups = ") && !line.starts_with("markers = "))
            .map(|line| format!("{line}\n"))
            .collect::<String>()
            .replace(
                "files = [",
                "[package.extras]\nx = [\"b (>=1)\"]\n[package.x]\nfiles = [",
            )
            .replace("2.1", "2.0");
        let selected = |extras: &[&str], groups: &[&str]| {
            names(&parse_with(&old, Some(OLD_PROJECT), extras, groups).unwrap())
        };
        assert_eq!(selected(&[], &[]), "ab");
        assert_eq!(selected(&["db"], &["dev"]), "abcd");
        let error = parse_with(&old, None, &[], &[]).unwrap_err();
        assert!(error.contains("pyproject.toml must be next to it"), "{error}");
    }

    #[test]
    fn broken_locks_are_errors() {
        assert!(parse_with(&NEW.replace("2.1", "3.0"), None, &[], &[]).is_err());
        assert!(
            parse_with("[[package]]\nname = 1\n", None, &[], &[])
                .unwrap_err()
                .starts_with("line 2")
        );
        let parsed = parse_with(&NEW.replace("'win32'", "win32"), None, &[], &[]).unwrap();
        assert_eq!(parsed.faults.len(), 1, "{:?}", parsed.faults);
    }
}
