//! Compares installed packages with the requirements of `package.json`: those of the project and its workspaces, and with `transitive`
//! those of every installed package, as `npm ls --all` does.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::Comparer;
use crate::check::dependencies::ReadError;
use crate::check::node::installed::{Installed, NODE_MODULES, is_package_name};
use crate::check::node::lock::{Lock, Manager};
use crate::check::node::package_json::{Requirement, RequirementKind};
use crate::check::node::package_lock::{LockedPackage, PackageLock};
use crate::check::node::specifier::{Specifier, is_commit, is_tarball};

/// The longest specifier in a command, as in node-semver (`MAX_LENGTH`). A longer command would be cut where it is shown.
const MAX_SPECIFIER_BYTES: usize = 256;

/// The requirements of one package.
struct Requirer<'a> {
    /// Its directory.
    directory: &'a Path,
    /// Its name for messages: the file of a project, or the package.
    shown: &'a str,
    /// Whether differences are reported; otherwise the packages only become known.
    is_reported: bool,
    /// Whether it is the project or a workspace.
    is_member: bool,
}

/// State of the walk.
#[derive(Default)]
struct Walk {
    waiting: VecDeque<(Rc<Installed>, bool)>,
    /// Directories whose requirements were or will be compared, and whether they are reported.
    visited: HashMap<PathBuf, bool>,
    /// What npm recorded about the packages that it installed, by place.
    recorded: HashMap<PathBuf, LockedPackage>,
    /// Specifiers that replace others, by name.
    overrides: HashMap<String, Vec<Specifier>>,
}

impl Comparer<'_> {
    pub(super) fn compare_requirements(&mut self) -> Result<(), ReadError> {
        let project = self.project;
        let mut walk = Walk {
            recorded: self.read_record()?,
            ..Walk::default()
        };
        for (name, specifier) in &project.members[0].manifest.overrides {
            // `$name` refers to the requirement of the project.
            let own = specifier.strip_prefix('$').and_then(|name| {
                let mut requirements = project.members[0].manifest.project_requirements(false);
                requirements.find(|requirement| requirement.name == name)
            });
            let specifier = own.map_or(specifier, |requirement| &requirement.specifier);
            let list = walk.overrides.entry(name.clone()).or_default();
            list.push(Specifier::parse(specifier));
        }
        let is_production = self.settings.production;
        for member in &project.members {
            self.results.know(&member.directory);
            walk.visited.insert(member.directory.clone(), true);
        }
        for member in &project.members {
            let file = member.file();
            let mut requirer = Requirer {
                directory: &member.directory,
                shown: &file,
                is_reported: true,
                is_member: true,
            };
            for requirement in member.manifest.project_requirements(is_production) {
                self.compare_requirement(&requirer, requirement, &mut walk)?;
            }
            if is_production && self.settings.extra {
                // Development packages are not required, but not extra either.
                requirer.is_reported = false;
                for requirement in &member.manifest.development {
                    self.compare_requirement(&requirer, requirement, &mut walk)?;
                }
            }
        }
        self.compare_workspace_links(&mut walk)?;
        if !self.settings.transitive && (!self.settings.extra || matches!(project.lock, Some(Ok(_)))) {
            return Ok(());
        }
        while let Some((package, is_reported)) = walk.waiting.pop_front() {
            let Ok(manifest) = &package.manifest else {
                continue;
            };
            let shown = format!(
                "required by {}@{}",
                manifest.name.as_deref().unwrap_or("?"),
                manifest.version.as_deref().unwrap_or("?")
            );
            let requirer = Requirer {
                directory: &package.directory,
                shown: &shown,
                is_reported: is_reported && self.settings.transitive,
                is_member: false,
            };
            for requirement in &manifest.requirements {
                self.compare_requirement(&requirer, requirement, &mut walk)?;
            }
        }
        Ok(())
    }

    /// npm and yarn link the workspaces into `node_modules` of the project.
    fn compare_workspace_links(&mut self, walk: &mut Walk) -> Result<(), ReadError> {
        let project = self.project;
        if project.manager == Manager::Pnpm || matches!(project.lock, Some(Ok(_))) {
            return Ok(());
        }
        for member in &project.members[1..] {
            let Some(name) = &member.manifest.name else {
                continue;
            };
            let requirement = Requirement {
                name: name.clone(),
                specifier: format!("file:{}", member.path),
                kind: RequirementKind::Production,
            };
            let requirer = Requirer {
                directory: project.root(),
                shown: "workspaces of package.json",
                is_reported: true,
                is_member: true,
            };
            self.compare_requirement(&requirer, &requirement, walk)?;
        }
        Ok(())
    }

    fn compare_requirement(
        &mut self,
        requirer: &Requirer<'_>,
        requirement: &Requirement,
        walk: &mut Walk,
    ) -> Result<(), ReadError> {
        let specifier = Specifier::parse(&requirement.specifier);
        let name = requirement.name.as_str();
        let wanted = || {
            let specifier = if requirement.specifier.is_empty() {
                "*"
            } else {
                &requirement.specifier
            };
            format!("{specifier} ({})", requirer.shown)
        };
        let Some(found) = self.tree.resolve(requirer.directory, name)? else {
            // npm ignores an optional package that it could not install. The lock file reports the rest with its version.
            let is_allowed = requirement.kind.is_optional()
                || requirement.kind == RequirementKind::Peer && !self.requires_peers(requirer);
            if requirer.is_reported && !is_allowed && !self.results.is_missing(name) {
                let place = requirer.directory.join(NODE_MODULES).join(name);
                self.results.missing(place.clone(), name, wanted());
                if requirer.is_member
                    && specifier.is_from_registry()
                    && let Some(request) = request(requirement)
                {
                    self.results.request(&place, request);
                }
            }
            return Ok(());
        };
        self.results.know(&found.directory);
        let is_reported = requirer.is_reported && self.settings.transitive;
        let was_reported = walk.visited.get(&found.directory).copied();
        if was_reported.is_none_or(|was| is_reported && !was) {
            walk.visited.insert(found.directory.clone(), is_reported);
            walk.waiting.push_back((Rc::clone(&found), is_reported));
        }
        if !requirer.is_reported {
            return Ok(());
        }
        let shown = self.shown(&found.directory);
        if let Err(error) = &found.manifest {
            self.results.unreadable(found.directory.clone(), name, error);
            return Ok(());
        }
        let recorded = walk.recorded.get(&found.directory);
        let mut is_satisfied = self.is_satisfied(requirer.directory, &specifier, &found, recorded);
        if !is_satisfied && let Some(overrides) = walk.overrides.get(name) {
            is_satisfied = overrides
                .iter()
                .any(|other| self.is_satisfied(requirer.directory, other, &found, recorded));
        }
        if is_satisfied {
            self.results.satisfied(&found.directory);
        } else {
            let nested = if found.is_link { name.to_owned() } else { shown };
            self.results.mismatched(
                &found.directory,
                nested,
                wanted(),
                describe(name, &found, recorded),
            );
            if requirer.is_member
                && specifier.is_from_registry()
                && let Some(request) = request(requirement)
            {
                self.results.request(&found.directory, request);
            }
        }
        Ok(())
    }

    /// npm installs peers since version 7. pnpm and yarn only warn about a missing one, and a lock file says what belongs there.
    fn requires_peers(&self, requirer: &Requirer<'_>) -> bool {
        self.project.manager == Manager::Npm || requirer.is_member
    }

    fn is_satisfied(
        &mut self,
        from: &Path,
        specifier: &Specifier,
        found: &Installed,
        recorded: Option<&LockedPackage>,
    ) -> bool {
        if let Some(package_name) = specifier.package_name()
            && found.name().is_some_and(|found| found != package_name)
        {
            return false;
        }
        // A link to a directory of a workspace satisfies a range if its version does.
        if !specifier.accepts(found.version()) {
            return false;
        }
        let source = recorded.and_then(|recorded| recorded.resolved.as_deref());
        match specifier {
            // pnpm copies the directory into its store.
            Specifier::Directory(path) if found.is_link && self.project.manager != Manager::Pnpm => {
                let target = from.join(path);
                self.tree
                    .files
                    .resolve(&target)
                    .is_ok_and(|target| target == found.directory)
            }
            Specifier::Git {
                commit: Some(commit), ..
            } => source.and_then(commit_of).is_none_or(|found| found == commit),
            Specifier::Remote(url) => source.is_none_or(|source| source == url),
            _ => true,
        }
    }

    /// What npm recorded in `node_modules/.package-lock.json`. Nothing if there is no such file or it can't be used: npm then reads
    /// the packages, as this check does.
    pub(super) fn read_record(&mut self) -> Result<HashMap<PathBuf, LockedPackage>, ReadError> {
        let root = self.project.lock_root.clone();
        let is_npm = matches!(self.project.lock, Some(Ok(Lock::Npm(_))) | None);
        if self.project.manager != Manager::Npm || !is_npm {
            return Ok(HashMap::new());
        }
        let text = match self
            .tree
            .files
            .read_text(&root.join(NODE_MODULES).join(".package-lock.json"))
        {
            Ok(text) => text,
            Err(error) if error.ends_run() => return Err(error),
            Err(_) => return Ok(HashMap::new()),
        };
        let record = PackageLock::parse(&text).unwrap_or_default();
        let places = record.packages.into_iter();
        Ok(places
            .map(|(location, package)| (root.join(location), package))
            .collect())
    }
}

/// The requirement as an argument of `npm install`; `None` if npm would take it for something else, such as an option or a path.
fn request(requirement: &Requirement) -> Option<String> {
    let (name, specifier) = (requirement.name.as_str(), requirement.specifier.as_str());
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"@/-_.~".contains(&byte);
    let is_name = is_package_name(name)
        && name.starts_with(|first: char| first == '@' || first.is_ascii_alphanumeric())
        && name.bytes().all(is_plain);
    match specifier {
        _ if !is_name || specifier.contains("://") || specifier.len() > MAX_SPECIFIER_BYTES => None,
        "" => Some(name.to_owned()),
        _ => Some(format!("{name}@{specifier}")),
    }
}

/// The commit at the end of a repository's URL. yarn writes the hash of a package file in the same way.
pub fn commit_of(url: &str) -> Option<&str> {
    let (before, commit) = url.rsplit_once('#')?;
    (is_commit(commit) && !is_tarball(before)).then_some(commit)
}

/// What is installed, for messages.
pub fn describe(name: &str, found: &Installed, recorded: Option<&LockedPackage>) -> String {
    let mut text = match (found.name(), found.version()) {
        (Some(other), Some(version)) if other != name => format!("{other}@{version}"),
        (_, Some(version)) => version.to_owned(),
        (_, None) => "a package without a version".to_owned(),
    };
    if found.is_link {
        text.push_str(&format!(" at {}", found.directory.display()));
    }
    let commit = recorded.and_then(|recorded| commit_of(recorded.resolved.as_deref()?));
    if let Some(commit) = commit {
        text.push_str(&format!(" of commit {commit}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_and_ranges_are_requested() {
        let request = |name: &str, specifier: &str| {
            request(&Requirement {
                name: name.to_owned(),
                specifier: specifier.to_owned(),
                kind: RequirementKind::Production,
            })
        };
        assert_eq!(request("a", ""), Some("a".to_owned()));
        assert_eq!(request("@s/b.js", "^1 || 2"), Some("@s/b.js@^1 || 2".to_owned()));
        for name in [
            "-g",
            "--script-shell=/tmp/x",
            "../x",
            "/x",
            "x/y",
            ".",
            "a b",
            "$(a)",
            "",
        ] {
            assert_eq!(request(name, ""), None, "{name}");
        }
        assert_eq!(request("a", &"1 ".repeat(200)), None);
    }
}
