//! Compares installed packages with pnpm's lock file. The lock is a graph, so the comparison follows it from each project, and finds
//! each package where Node.js finds it.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::Comparer;
use super::requirements::describe;
use crate::check::dependencies::ReadError;
use crate::check::node::installed::{Installed, NODE_MODULES, Unreadable};
use crate::check::node::package_json::{Requirement, RequirementKind};
use crate::check::node::pnpm_lock::{PnpmLock, PnpmPackage, PnpmRequirements};
use crate::check::node::range::{is_same_version, parse_version};
use crate::check::node::specifier::{Specifier, is_commit};
use crate::model::Reason;

/// A package of the lock, where it was found.
struct Step<'a> {
    requirements: &'a PnpmRequirements,
    directory: PathBuf,
    /// Whether differences are reported; otherwise the packages only become known.
    is_reported: bool,
}

/// A list of requirements.
struct List<'a> {
    entries: &'a BTreeMap<String, String>,
    is_optional: bool,
    is_reported: bool,
}

#[derive(Default)]
struct Walk<'a> {
    waiting: VecDeque<Step<'a>>,
    visited: HashSet<(&'a str, PathBuf, bool)>,
    missing: HashSet<&'a str>,
}

impl Comparer<'_> {
    pub(super) fn compare_pnpm(&mut self, lock: &PnpmLock) -> Result<(), ReadError> {
        let project = self.project;
        let mut walk = Walk::default();
        for member in &project.members {
            let own = lock.importers.get(&project.importer(member));
            for requirement in member.manifest.project_requirements(false) {
                if !has_requirement(lock, own, requirement) {
                    self.is_lock_current = false;
                }
            }
            let Some(own) = own else {
                continue;
            };
            let has_development = !self.settings.production;
            let lists = [
                (&own.production, false, true),
                (&own.optional, true, true),
                (&own.development, false, has_development),
            ];
            for (entries, is_optional, is_reported) in lists {
                let list = List {
                    entries,
                    is_optional,
                    is_reported,
                };
                self.compare_list(lock, &member.directory, &list, &mut walk)?;
            }
        }
        while let Some(step) = walk.waiting.pop_front() {
            let lists = [
                (&step.requirements.production, false),
                (&step.requirements.optional, true),
            ];
            for (entries, is_optional) in lists {
                let list = List {
                    entries,
                    is_optional,
                    is_reported: step.is_reported,
                };
                self.compare_list(lock, &step.directory, &list, &mut walk)?;
            }
        }
        self.compare_sources(lock)
    }

    fn compare_list<'a>(
        &mut self,
        lock: &'a PnpmLock,
        from: &Path,
        list: &List<'a>,
        walk: &mut Walk<'a>,
    ) -> Result<(), ReadError> {
        for (name, reference) in list.entries {
            let found = self.tree.resolve(from, name)?;
            if let Some(found) = &found {
                self.results.know(&found.directory);
            }
            if let Some(target) = reference.strip_prefix("link:") {
                if list.is_reported {
                    self.compare_link(from, name, target, found.as_deref())?;
                }
                continue;
            }
            let Some((key, package)) = lock.find(name, reference) else {
                let message = format!("{} does not have {name} {reference}", self.project.lock_name);
                let error = Unreadable {
                    reason: Reason::Protocol,
                    message,
                };
                let lock_name = self.project.lock_name.clone();
                self.results
                    .unreadable(self.project.root().join(&lock_name), &lock_name, &error);
                continue;
            };
            match found {
                None if list.is_optional || !list.is_reported => {}
                None => {
                    if walk.missing.insert(key) {
                        let wanted = self.wanted_by_pnpm(name, reference, package);
                        self.results
                            .missing(from.join(NODE_MODULES).join(name), name, wanted);
                    }
                }
                Some(found) => {
                    if list.is_reported {
                        self.compare_package(name, reference, package, &found);
                    }
                    let visit = (key, found.directory.clone(), list.is_reported);
                    if walk.visited.insert(visit) {
                        walk.waiting.push_back(Step {
                            requirements: &package.requirements,
                            directory: found.directory.clone(),
                            is_reported: list.is_reported,
                        });
                    }
                }
            }
        }
        Ok(())
    }

    fn compare_package(&mut self, name: &str, reference: &str, package: &PnpmPackage, found: &Rc<Installed>) {
        if let Err(error) = &found.manifest {
            self.results.unreadable(found.directory.clone(), name, error);
            return;
        }
        let has_name = match (&package.name, found.name()) {
            (Some(wanted), Some(found)) => wanted == found,
            _ => true,
        };
        let has_version = match (&package.version, found.version()) {
            (Some(wanted), Some(found)) => is_same_version(wanted, found),
            (Some(_), None) => false,
            (None, _) => true,
        };
        if has_name && has_version {
            self.results.satisfied(&found.directory);
        } else {
            let wanted = self.wanted_by_pnpm(name, reference, package);
            let installed = describe(name, found, None);
            self.results
                .mismatched(&found.directory, name.to_owned(), wanted, installed);
        }
    }

    fn wanted_by_pnpm(&self, name: &str, reference: &str, package: &PnpmPackage) -> String {
        let lock = &self.project.lock_name;
        match (&package.name, &package.version) {
            (Some(other), Some(version)) if other != name => format!("{other}@{version} ({lock})"),
            (_, Some(version)) => format!("{version} ({lock})"),
            (_, None) => format!("{reference} ({lock})"),
        }
    }

    /// Compares a link to a directory of the project.
    pub(super) fn compare_link(
        &mut self,
        from: &Path,
        name: &str,
        target: &str,
        found: Option<&Installed>,
    ) -> Result<(), ReadError> {
        let wanted = format!("a link to {target} ({})", self.project.lock_name);
        let Some(found) = found else {
            self.results
                .missing(from.join(NODE_MODULES).join(name), name, wanted);
            return Ok(());
        };
        let is_there = match self.tree.files.resolve(&from.join(target)) {
            Ok(target) => target == found.directory,
            Err(error) if error.ends_run() => return Err(error),
            Err(_) => false,
        };
        if is_there {
            self.results.satisfied(&found.directory);
        } else {
            let installed = describe(name, found, None);
            self.results
                .mismatched(&found.directory, name.to_owned(), wanted, installed);
        }
        Ok(())
    }

    /// Compares packages that are not from the registry with what pnpm recorded when it installed: the same version can come from
    /// another commit or file.
    fn compare_sources(&mut self, lock: &PnpmLock) -> Result<(), ReadError> {
        let is_special = |reference: &&String| {
            !reference.starts_with("link:") && reference.contains(':')
                || reference.rsplit(['/', '#']).next().is_some_and(is_commit)
        };
        let mut lists = lock
            .importers
            .values()
            .flat_map(|own| [&own.production, &own.optional, &own.development]);
        if !lists.any(|list| list.values().any(|reference| is_special(&reference))) {
            return Ok(());
        }
        let path = self.project.lock_root.join(NODE_MODULES).join(".pnpm/lock.yaml");
        let record = match self.tree.files.read_text(&path) {
            Ok(text) => PnpmLock::parse(&text).unwrap_or_default(),
            Err(error) if error.ends_run() => return Err(error),
            Err(_) => return Ok(()),
        };
        for member in &self.project.members {
            let path = self.project.importer(member);
            let (Some(wanted), Some(recorded)) = (lock.importers.get(&path), record.importers.get(&path))
            else {
                continue;
            };
            let mut lists = vec![
                (&wanted.production, &recorded.production),
                (&wanted.optional, &recorded.optional),
            ];
            if !self.settings.production {
                lists.push((&wanted.development, &recorded.development));
            }
            for (wanted, recorded) in lists {
                for (name, reference) in wanted.iter().filter(|(_, reference)| is_special(reference)) {
                    let Some(installed) = recorded.get(name).filter(|installed| *installed != reference)
                    else {
                        continue;
                    };
                    if let Some(found) = self.tree.resolve(&member.directory, name)? {
                        let wanted = format!("{reference} ({})", self.project.lock_name);
                        self.results
                            .mismatched(&found.directory, name.clone(), wanted, installed.clone());
                    }
                }
            }
        }
        Ok(())
    }
}

/// Whether the lock has a package for a requirement of a project.
fn has_requirement(lock: &PnpmLock, own: Option<&PnpmRequirements>, requirement: &Requirement) -> bool {
    if matches!(
        requirement.kind,
        RequirementKind::Peer | RequirementKind::OptionalPeer
    ) {
        return true;
    }
    let name = &requirement.name;
    let reference = own.and_then(|own| {
        let lists = [&own.production, &own.optional, &own.development];
        lists.into_iter().find_map(|list| list.get(name))
    });
    let Some(reference) = reference else {
        return requirement.kind.is_optional();
    };
    let version = lock
        .find(name, reference)
        .and_then(|(_, package)| package.version.as_deref());
    let specifier = Specifier::parse(&requirement.specifier);
    version.is_none_or(|version| parse_version(version).is_none() || specifier.accepts(Some(version)))
}
