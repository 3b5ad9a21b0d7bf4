//! Compares installed packages with npm's lock file, which says what belongs at each place, as `npm ci` would install it.

use std::path::Path;

use super::Comparer;
use super::requirements::{commit_of, describe};
use crate::check::dependencies::ReadError;
use crate::check::node::installed::{Installed, NODE_MODULES};
use crate::check::node::package_lock::{LockedPackage, PackageLock, name_of};
use crate::check::node::range::is_same_version;
use crate::check::node::specifier::Specifier;

impl Comparer<'_> {
    pub(super) fn compare_locations(&mut self, lock: &PackageLock) -> Result<(), ReadError> {
        self.is_lock_current = self.has_all_requirements(lock);
        let record = self.read_record()?;
        for (location, package) in &lock.packages {
            // Directories of the project are compared where links lead to them.
            let Some(name) = name_of(location) else {
                continue;
            };
            if !self.is_own_location(location) {
                continue;
            }
            let place = self.project.lock_root.join(location);
            let found = self.tree.at(&place)?;
            if let Some(found) = &found {
                self.results.know(&found.directory);
            }
            let is_production = self.settings.production;
            if is_production && package.is_dev {
                continue;
            }
            let is_optional = package.is_optional || is_production && package.is_dev_optional;
            let wanted = self.wanted(package);
            match found {
                None if is_optional => {}
                None => {
                    let shown = self.shown(&place);
                    self.results.missing(place, &shown, wanted);
                }
                Some(found) => {
                    let shown = self.shown(&place);
                    if let Err(error) = &found.manifest {
                        self.results.unreadable(found.directory.clone(), &shown, error);
                        continue;
                    }
                    let recorded = record.get(&place);
                    if self.is_as_locked(name, package, &found, recorded) {
                        self.results.satisfied(&found.directory);
                    } else {
                        let installed = describe(name, &found, recorded);
                        self.results
                            .mismatched(&found.directory, shown, wanted, installed);
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether a package at this location is for the project: not if it is for another project of the same workspace.
    fn is_own_location(&self, location: &str) -> bool {
        let prefix = Path::new(&self.project.lock_prefix);
        let is_shared = location.starts_with("node_modules/");
        is_shared || prefix.as_os_str().is_empty() || Path::new(location).starts_with(prefix)
    }

    fn wanted(&self, package: &LockedPackage) -> String {
        let resolved = package.resolved.as_deref().unwrap_or_default();
        let mut text = match (&package.name, &package.version) {
            _ if package.is_link => format!("a link to {resolved}"),
            (Some(name), Some(version)) => format!("{name}@{version}"),
            (None, Some(version)) => version.clone(),
            (Some(name), None) => name.clone(),
            (None, None) if resolved.is_empty() => "a package".to_owned(),
            (None, None) => resolved.to_owned(),
        };
        if let Some(commit) = commit_of(resolved).filter(|commit| !text.contains(commit)) {
            text.push_str(&format!(" of commit {commit}"));
        }
        format!("{text} ({})", self.project.lock_name)
    }

    fn is_as_locked(
        &mut self,
        name: &str,
        package: &LockedPackage,
        found: &Installed,
        recorded: Option<&LockedPackage>,
    ) -> bool {
        if package.is_link {
            let resolved = package.resolved.as_deref().unwrap_or_default();
            let target = self.project.lock_root.join(resolved);
            return self
                .tree
                .files
                .resolve(&target)
                .is_ok_and(|target| target == found.directory);
        }
        if let Some(version) = &package.version {
            let is_same = |other| is_same_version(version, other);
            if !found.version().is_some_and(is_same) {
                return false;
            }
        }
        // A package from a repository may have any name.
        let is_from_registry = package
            .resolved
            .as_deref()
            .is_none_or(|url| commit_of(url).is_none());
        let wanted_name = package.name.as_deref().unwrap_or(name);
        if is_from_registry && found.name().is_some_and(|name| name != wanted_name) {
            return false;
        }
        // The same version can come from another commit or file. npm records what it installed.
        let commit =
            |package: &LockedPackage| package.resolved.as_deref().and_then(commit_of).map(str::to_owned);
        let differs =
            |one: Option<String>, other: Option<String>| one.is_some() && other.is_some() && one != other;
        recorded.is_none_or(|recorded| {
            let hashes = package.integrity.as_deref().zip(recorded.integrity.as_deref());
            !differs(commit(package), commit(recorded))
                && hashes.is_none_or(|(one, other)| !are_other_hashes(one, other))
        })
    }

    /// Whether the lock has a package for each requirement of the project and its workspaces.
    fn has_all_requirements(&self, lock: &PackageLock) -> bool {
        let overrides = &self.project.members[0].manifest.overrides;
        self.project.members.iter().all(|member| {
            member.manifest.project_requirements(false).all(|requirement| {
                let specifier = Specifier::parse(&requirement.specifier);
                let locked = find_location(lock, &self.project.lock_path(member), &requirement.name);
                let is_overridden = overrides.iter().any(|(name, _)| *name == requirement.name);
                match locked {
                    None => requirement.kind.is_optional(),
                    Some(locked) => {
                        locked.version.is_none()
                            || is_overridden
                            || specifier.accepts(locked.version.as_deref())
                    }
                }
            })
        })
    }
}

/// Whether hashes show that the files differ. Those of different algorithms do not: npm records a stronger one than old locks have.
fn are_other_hashes(one: &str, other: &str) -> bool {
    let is_other_algorithm = |one: &str, other: &str| match (one.split_once('-'), other.split_once('-')) {
        (Some((one, _)), Some((other, _))) => one != other,
        _ => true,
    };
    let pairs = one
        .split_whitespace()
        .flat_map(|one| other.split_whitespace().map(move |other| (one, other)));
    let mut is_comparable = false;
    for (one, other) in pairs {
        if one == other {
            return false;
        }
        is_comparable |= !is_other_algorithm(one, other);
    }
    is_comparable
}

/// The package that code in a directory of the project gets, according to the lock.
fn find_location<'a>(lock: &'a PackageLock, path: &str, name: &str) -> Option<&'a LockedPackage> {
    Path::new(path).ancestors().find_map(|above| {
        let location = above.join(NODE_MODULES).join(name);
        let package = lock.packages.get(location.to_str()?)?;
        match &package.resolved {
            // The version is that of the directory.
            Some(directory) if package.is_link => lock.packages.get(directory).or(Some(package)),
            _ => Some(package),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_of_one_algorithm_are_compared() {
        for (one, other, expected) in [
            ("sha512-a", "sha512-a", false),
            ("sha512-a", "sha512-b", true),
            ("sha1-a", "sha512-b", false),
            ("sha1-a sha512-b", "sha512-b", false),
            ("sha1-a sha512-b", "sha512-c", true),
            ("", "sha512-c", false),
        ] {
            assert_eq!(are_other_hashes(one, other), expected, "{one} {other}");
        }
    }
}
