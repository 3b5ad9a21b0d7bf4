//! Compares installed packages with the lock file of yarn 1. The lock is a graph of patterns, so the comparison follows it from each
//! project, and finds each package where Node.js finds it.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Comparer;
use super::requirements::{commit_of, describe};
use crate::check::dependencies::ReadError;
use crate::check::node::installed::NODE_MODULES;
use crate::check::node::loose::Lenient;
use crate::check::node::package_json::RequirementKind;
use crate::check::node::range::is_same_version;
use crate::check::node::specifier::Specifier;
use crate::check::node::yarn_lock::{YarnLock, YarnPackage};

/// A package of the lock, where it was found.
struct Step<'a> {
    package: &'a YarnPackage,
    directory: PathBuf,
    is_reported: bool,
}

/// A requirement and how to treat it.
struct Edge<'a> {
    from: &'a Path,
    name: &'a str,
    specifier: &'a str,
    is_optional: bool,
    is_reported: bool,
    /// Whether the project or a workspace has it.
    is_of_member: bool,
}

#[derive(Default)]
struct Walk<'a> {
    waiting: VecDeque<Step<'a>>,
    visited: HashSet<(*const YarnPackage, PathBuf, bool)>,
    missing: HashSet<*const YarnPackage>,
    /// Where yarn got each pattern from when it installed.
    sources: HashMap<String, String>,
}

/// `node_modules/.yarn-integrity`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Integrity {
    #[serde(default)]
    lockfile_entries: Lenient<BTreeMap<String, Option<String>>>,
}

impl Comparer<'_> {
    pub(super) fn compare_yarn(&mut self, lock: &YarnLock) -> Result<(), ReadError> {
        let project = self.project;
        let mut walk = Walk {
            sources: self.read_sources()?,
            ..Walk::default()
        };
        for member in &project.members {
            let needed = member
                .manifest
                .project_requirements(true)
                .map(|requirement| (requirement, true));
            let has_development = !self.settings.production;
            let development = member.manifest.development.iter();
            for (requirement, is_reported) in
                needed.chain(development.map(|requirement| (requirement, has_development)))
            {
                // yarn 1 does not install peers.
                if matches!(
                    requirement.kind,
                    RequirementKind::Peer | RequirementKind::OptionalPeer
                ) {
                    continue;
                }
                let edge = Edge {
                    from: &member.directory,
                    name: &requirement.name,
                    specifier: &requirement.specifier,
                    is_optional: requirement.kind.is_optional(),
                    is_reported,
                    is_of_member: true,
                };
                self.compare_edge(lock, &edge, &mut walk)?;
            }
        }
        while let Some(step) = walk.waiting.pop_front() {
            for (name, specifier, is_optional) in &step.package.requirements {
                let edge = Edge {
                    from: &step.directory,
                    name,
                    specifier,
                    is_optional: *is_optional,
                    is_reported: step.is_reported,
                    is_of_member: false,
                };
                self.compare_edge(lock, &edge, &mut walk)?;
            }
        }
        self.compare_yarn_workspaces()
    }

    fn compare_edge<'a>(
        &mut self,
        lock: &'a YarnLock,
        edge: &Edge<'_>,
        walk: &mut Walk<'a>,
    ) -> Result<(), ReadError> {
        let found = self.tree.resolve(edge.from, edge.name)?;
        if let Some(found) = &found {
            self.results.know(&found.directory);
        }
        let place = || edge.from.join(NODE_MODULES).join(edge.name);
        // The lock has links without their directories.
        if let Some(target) = edge.specifier.strip_prefix("link:") {
            if edge.is_reported {
                self.compare_link(edge.from, edge.name, target, found.as_deref())?;
            }
            return Ok(());
        }
        let Some(package) = self.find_package(lock, edge) else {
            // `compare_requirements` compares it with package.json.
            self.is_lock_current &= !edge.is_of_member || self.is_workspace(edge.name);
            return Ok(());
        };
        let wanted = || {
            let version = package.version.as_deref().unwrap_or(edge.specifier);
            format!("{version} ({})", self.project.lock_name)
        };
        let Some(found) = found else {
            if edge.is_reported && !edge.is_optional && walk.missing.insert(package) {
                self.results.missing(place(), edge.name, wanted());
            }
            return Ok(());
        };
        if edge.is_reported {
            if let Err(error) = &found.manifest {
                self.results.unreadable(found.directory.clone(), edge.name, error);
            } else {
                let specifier = Specifier::parse(edge.specifier);
                let has_name = match (specifier.package_name(), found.name()) {
                    (Some(wanted), Some(found)) => wanted == found,
                    _ => true,
                };
                let is_same = |wanted: &String| {
                    found
                        .version()
                        .is_some_and(|found| is_same_version(wanted, found))
                };
                let commit = package.resolved.as_deref().and_then(commit_of);
                let installed = walk.sources.get(&format!("{}@{}", edge.name, edge.specifier));
                let installed_commit = installed.and_then(|url| commit_of(url));
                let has_commit = commit.is_none() || installed_commit.is_none() || commit == installed_commit;
                if has_name && has_commit && package.version.as_ref().is_none_or(is_same) {
                    self.results.satisfied(&found.directory);
                } else {
                    let mut wanted = wanted();
                    let mut installed = describe(edge.name, &found, None);
                    if !has_commit {
                        wanted = format!(
                            "commit {} ({})",
                            commit.unwrap_or_default(),
                            self.project.lock_name
                        );
                        installed = format!("commit {}", installed_commit.unwrap_or_default());
                    }
                    let shown = self.shown(&found.directory);
                    self.results
                        .mismatched(&found.directory, shown, wanted, installed);
                }
            }
        }
        let visit = (
            std::ptr::from_ref(package),
            found.directory.clone(),
            edge.is_reported,
        );
        if walk.visited.insert(visit) {
            walk.waiting.push_back(Step {
                package,
                directory: found.directory.clone(),
                is_reported: edge.is_reported,
            });
        }
        Ok(())
    }

    fn find_package<'a>(&self, lock: &'a YarnLock, edge: &Edge<'_>) -> Option<&'a YarnPackage> {
        lock.find(edge.name, edge.specifier).or_else(|| {
            // `resolutions` replace the requested range.
            let overrides = &self.project.members[0].manifest.overrides;
            overrides
                .iter()
                .filter(|(name, _)| name == edge.name)
                .find_map(|(name, specifier)| lock.find(name, specifier))
        })
    }

    fn is_workspace(&self, name: &str) -> bool {
        self.project.members[1..]
            .iter()
            .any(|member| member.manifest.name.as_deref() == Some(name))
    }

    /// yarn links every workspace into `node_modules` of the project.
    fn compare_yarn_workspaces(&mut self) -> Result<(), ReadError> {
        let project = self.project;
        for member in &project.members[1..] {
            if let Some(name) = &member.manifest.name {
                let found = self.tree.resolve(project.root(), name)?;
                if let Some(found) = &found {
                    self.results.know(&found.directory);
                }
                self.compare_link(project.root(), name, &member.path, found.as_deref())?;
            }
        }
        Ok(())
    }

    fn read_sources(&mut self) -> Result<HashMap<String, String>, ReadError> {
        let path = self.project.root().join(NODE_MODULES).join(".yarn-integrity");
        let text = match self.tree.files.read_text(&path) {
            Ok(text) => text,
            Err(error) if error.ends_run() => return Err(error),
            Err(_) => return Ok(HashMap::new()),
        };
        let integrity: Integrity = serde_json::from_str(&text).unwrap_or_default();
        let entries = integrity.lockfile_entries.0.into_iter();
        Ok(entries
            .filter_map(|(pattern, source)| Some((pattern, source?)))
            .collect())
    }
}
