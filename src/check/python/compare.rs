//! Compares what is installed with what is required. Pure: everything was read before.

mod judge;
mod metadata;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use self::judge::{demand, judge};
use super::environment::Environment;
use super::fix::Commands;
use super::installed::{Installed, Package, Packages};
use super::name::Name;
use super::required::{FileRequirements, Required};
use super::requirement::Requirement;
use super::wanted::{Versions, Wanted};
use crate::check::dependencies::{Comparison, Dependency, State};
use crate::config::python::Format;
use crate::model::Reason;

/// Packages that tools put into environments. They are never extra.
const TOOLS: &[&str] = &["pip", "setuptools", "wheel", "uv", "distribute"];

/// What to look for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Whether the requirements of all installed packages must hold.
    pub transitive: bool,
    /// Whether packages are reported that nothing requires.
    pub extra: bool,
}

/// Compares. The result is not complete if `is_cancelled` becomes true.
pub fn compare(
    required: &Required,
    packages: &Packages,
    environment: &Environment,
    commands: &Commands,
    options: Options,
    is_cancelled: &dyn Fn() -> bool,
) -> Comparison {
    let mut comparer = Comparer {
        packages,
        environment,
        commands,
        options,
        is_cancelled,
        results: BTreeMap::new(),
        reached: BTreeMap::new(),
        steps: 0,
        failing_files: BTreeSet::new(),
        singles: BTreeSet::new(),
        parsed: BTreeMap::new(),
    };
    for (index, file) in required.files.iter().enumerate() {
        comparer.check_python(file, index);
        for wanted in &file.wanted {
            if is_cancelled() {
                break;
            }
            if let Some(name) = comparer.check(wanted) {
                comparer.failing_files.insert(index);
                if file.format == Format::Pyproject {
                    comparer.singles.insert(name);
                }
            }
        }
    }
    for file in required.files.iter().filter(|file| !file.is_complete) {
        for wanted in &file.wanted {
            if let Some(name) = comparer.installed_name(wanted) {
                comparer.follow(&name, &wanted.extras, true);
            }
        }
    }
    if options.transitive {
        for name in packages.keys() {
            if is_cancelled() {
                break;
            }
            comparer.check_requirements_of(name);
        }
    }
    comparer.check_constraints(&required.constraints);
    comparer.finish(required)
}

/// The requirements of one package.
type Requirements = Rc<[Result<Requirement, String>]>;

struct Comparer<'a> {
    packages: &'a Packages,
    environment: &'a Environment,
    commands: &'a Commands,
    options: Options,
    /// Whether the run was cancelled, so that nobody waits for the result.
    is_cancelled: &'a dyn Fn() -> bool,
    /// By the name that is shown: `None` if it is satisfied.
    results: BTreeMap<String, Option<Dependency>>,
    /// What the requirements lead to, each with the extras that were followed, and whether those were checked.
    reached: BTreeMap<(Name, Vec<Name>), bool>,
    /// How many requirements were followed.
    steps: usize,
    failing_files: BTreeSet<usize>,
    /// The names of failures that no command for a whole file mends.
    singles: BTreeSet<String>,
    /// The parsed requirements of packages.
    parsed: BTreeMap<Name, Requirements>,
}

impl Comparer<'_> {
    /// The version of the interpreter.
    fn check_python(&mut self, file: &FileRequirements, index: usize) {
        let Some(specifiers) = &file.requires_python else {
            return;
        };
        let wanted = format!(
            "{} ({})",
            Versions::Matching(specifiers.clone()),
            file.path.display()
        );
        let installed = Some(self.environment.shown_version().to_owned());
        let state = match self.environment.meets(specifiers) {
            Some(true) => None,
            Some(false) => Some((State::Mismatched, wanted)),
            None => {
                let text = format!("{wanted}, but the files of this environment give only the minor version");
                Some((State::Unreadable(Reason::Protocol), text))
            }
        };
        if state.is_some() {
            self.failing_files.insert(index);
        }
        self.record("python".to_owned(), || {
            state.map(|(state, wanted)| Dependency {
                name: "python".to_owned(),
                state,
                wanted,
                installed,
                fix: None,
            })
        });
    }

    /// Keeps the first failure of a name.
    fn record(&mut self, name: String, result: impl FnOnce() -> Option<Dependency>) -> bool {
        let slot = self.results.entry(name).or_default();
        match slot {
            Some(_) => false,
            None => {
                *slot = result();
                slot.is_none()
            }
        }
    }

    /// The name of the package that a requirement refers to, if it is installed.
    fn installed_name(&self, wanted: &Wanted) -> Option<Name> {
        if let Some(name) = &wanted.name {
            return Some(name.clone());
        }
        let source = wanted.source.as_ref()?;
        let is_it = |package: &Installed| {
            let is_direct = package
                .direct_url
                .as_ref()
                .is_some_and(|url| source.is_address_of(url));
            is_direct || package.develop.as_deref().is_some_and(|at| source.contains(at))
        };
        self.packages.iter().find_map(|(name, package)| match package {
            Package::Installed(package) if is_it(package) => Some(name.clone()),
            _ => None,
        })
    }

    /// Checks one requirement of a file. Returns the name that is shown if it is not satisfied.
    fn check(&mut self, wanted: &Wanted) -> Option<String> {
        let name = self.installed_name(wanted);
        let shown = match (&name, &wanted.source) {
            (Some(name), _) => name.to_string(),
            (None, Some(source)) => source.to_string(),
            (None, None) => wanted.origin.to_string(),
        };
        let (packages, commands) = (self.packages, self.commands);
        let place = wanted.origin.to_string();
        let is_satisfied = self.record(shown.clone(), || {
            judge(
                name.as_ref().and_then(|name| packages.get(name)),
                &wanted.versions,
                wanted,
            )
            .map(|(state, installed)| {
                let demanded = demand(&wanted.versions, wanted);
                let wanted_text = match (&state, demanded.is_empty()) {
                    (State::Unreadable(_), _) => {
                        format!("{} ({place})", installed.clone().unwrap_or_default())
                    }
                    (_, true) => format!("any version ({place})"),
                    (_, false) => format!("{demanded} ({place})"),
                };
                Dependency {
                    name: shown.clone(),
                    state,
                    wanted: wanted_text,
                    installed: installed.filter(|_| !matches!(state, State::Unreadable(_))),
                    fix: commands.install(name.as_ref(), wanted),
                }
            })
        });
        (!is_satisfied).then_some(shown)
    }

    /// Constraints count for packages that are required, directly or not.
    fn check_constraints(&mut self, constraints: &[Wanted]) {
        let names: BTreeSet<Name> = self.reached.keys().map(|(name, _)| name.clone()).collect();
        for constraint in constraints {
            let is_required = constraint.name.as_ref().is_some_and(|name| names.contains(name));
            // What is not installed is missing for another reason.
            let is_installed = |name| self.packages.contains_key(name);
            if is_required && constraint.name.as_ref().is_some_and(is_installed) {
                let failed = self.check(constraint);
                self.singles.extend(failed);
            }
        }
    }

    fn extra_packages(&self, required: &Required) -> Vec<Dependency> {
        if !self.options.extra {
            return Vec::new();
        }
        let mut expected: BTreeSet<&Name> = self.reached.keys().map(|(name, _)| name).collect();
        let named: Vec<Name> = required
            .files
            .iter()
            .flat_map(|file| &file.wanted)
            .filter_map(|wanted| self.installed_name(wanted))
            .collect();
        expected.extend(&named);
        // Packages of the system have other users.
        let is_own = |package: &Package| !matches!(package, Package::Installed(it) if it.is_of_system);
        let is_extra = |name: &Name| !expected.contains(name) && !TOOLS.contains(&name.as_str());
        let extra = self
            .packages
            .iter()
            .filter(|(name, package)| is_extra(name) && is_own(package));
        extra
            .map(|(name, package)| Dependency {
                name: name.to_string(),
                state: State::Extra,
                wanted: String::new(),
                installed: match package {
                    Package::Installed(package) => Some(package.version.to_string()),
                    Package::Broken(..) => None,
                },
                fix: Some(self.commands.uninstall(name)),
            })
            .collect()
    }

    fn finish(self, required: &Required) -> Comparison {
        let extra = self.extra_packages(required);
        let satisfied = self.results.values().filter(|result| result.is_none()).count();
        let mut dependencies: Vec<Dependency> = self.results.values().flatten().cloned().collect();
        for unreadable in &required.unreadable {
            dependencies.push(Dependency {
                name: unreadable.place.clone(),
                state: State::Unreadable(unreadable.reason),
                wanted: unreadable.text.clone(),
                installed: None,
                fix: None,
            });
        }
        let unknown = |kind: &str, name: &Name| Dependency {
            name: name.to_string(),
            state: State::Unreadable(Reason::Missing),
            wanted: format!("no file has the {kind} {name}: correct it in the check's {kind}s"),
            installed: None,
            fix: None,
        };
        dependencies.extend(required.unknown_extras.iter().map(|name| unknown("extra", name)));
        dependencies.extend(required.unknown_groups.iter().map(|name| unknown("group", name)));
        let failing = required.files.iter().enumerate();
        let failing: Vec<&FileRequirements> = failing
            .filter(|(index, _)| self.failing_files.contains(index))
            .map(|(_, file)| file)
            .collect();
        let singles = dependencies
            .iter()
            .filter(|dependency| self.singles.contains(&dependency.name));
        let fix = self.commands.mend(&failing, &singles.collect::<Vec<_>>(), &extra);
        dependencies.extend(extra);
        Comparison {
            satisfied,
            dependencies,
            looks_for_extra: self.options.extra,
            fix,
        }
    }
}

#[cfg(test)]
mod tests;
