//! Compares the requirements in the metadata of installed packages.

use std::collections::btree_map::Entry;
use std::rc::Rc;

use super::judge::judge_version;
use super::{Comparer, Requirements};
use crate::check::dependencies::{Dependency, State};
use crate::check::python::installed::Package;
use crate::check::python::marker::applies;
use crate::check::python::name::Name;
use crate::check::python::requirement::{Requirement, shown_name};
use crate::check::python::wanted::Versions;
use crate::model::Reason;

/// How many requirements are followed at most. An environment of 500 packages has about 5000.
const MAX_STEPS: usize = 1_000_000;

impl Comparer<'_> {
    /// Follows the requirements of an installed package. `is_checked` is whether they matter: if not `transitive`, only those of
    /// extras that a file names do.
    pub(super) fn follow(&mut self, name: &Name, extras: &[Name], is_checked: bool) {
        let mut queue = vec![(name.clone(), extras.to_vec(), is_checked)];
        while let Some((name, extras, is_checked)) = queue.pop() {
            let is_checked_already = self.reached.entry((name.clone(), extras.clone()));
            match is_checked_already {
                Entry::Occupied(was_checked) if *was_checked.get() || !is_checked => continue,
                Entry::Occupied(mut was_checked) => *was_checked.get_mut() = true,
                Entry::Vacant(entry) => {
                    entry.insert(is_checked);
                }
            }
            // Only those of extras were asked for, unless all are.
            let reports = is_checked && !extras.is_empty() && !self.options.transitive;
            let requirements = self.requirements(&name);
            self.steps += requirements.len();
            if (self.is_cancelled)() {
                return;
            }
            if self.steps > MAX_STEPS {
                let text = "following the requirements takes too many steps".to_owned();
                self.fail(&name, Reason::Limit, text);
                return;
            }
            for requirement in requirements.iter() {
                let requirement = match requirement {
                    Ok(requirement) => requirement,
                    Err(error) => {
                        if reports {
                            self.fail_requirement(&name, error);
                        }
                        continue;
                    }
                };
                let marker = requirement.marker.as_ref();
                let plain = applies(marker, self.environment, &[]);
                let needed = match (plain, applies(marker, self.environment, &extras)) {
                    (Ok(true), _) | (_, Ok(true)) => true,
                    (Ok(false), Ok(false)) => false,
                    (Err(error), _) | (_, Err(error)) => {
                        if reports {
                            self.fail_requirement(&name, &error.to_string());
                        }
                        false
                    }
                };
                if !needed {
                    continue;
                }
                let is_checked = is_checked && (self.options.transitive || plain == Ok(false));
                if is_checked {
                    self.check_required(requirement, &name);
                }
                queue.push((requirement.name.clone(), requirement.extras.clone(), is_checked));
            }
        }
    }

    /// `pip check`'s question for one package.
    pub(super) fn check_requirements_of(&mut self, name: &Name) {
        if let Some(Package::Broken(reason, text)) = self.packages.get(name) {
            self.fail(name, *reason, text.clone());
        }
        for requirement in self.requirements(name).iter() {
            match requirement {
                Err(error) => self.fail_requirement(name, error),
                Ok(requirement) => match applies(requirement.marker.as_ref(), self.environment, &[]) {
                    Ok(true) => self.check_required(requirement, name),
                    Ok(false) => {}
                    Err(error) => self.fail_requirement(name, &error.to_string()),
                },
            }
        }
    }

    /// Checks a requirement in the metadata of the package `by`. As in pip, the URL of such a requirement is not compared.
    fn check_required(&mut self, requirement: &Requirement, by: &Name) {
        let versions = Versions::Matching(requirement.specifiers.clone());
        let (packages, commands) = (self.packages, self.commands);
        let name = &requirement.name;
        let package = packages.get(name);
        let is_satisfied = self.record(name.to_string(), || {
            let (state, installed) = judge_version(package, &versions)?;
            let demanded = match versions.to_string() {
                demanded if demanded.is_empty() => "any version".to_owned(),
                demanded => demanded,
            };
            let unreadable = matches!(state, State::Unreadable(_));
            Some(Dependency {
                name: name.to_string(),
                state,
                wanted: match &installed {
                    Some(text) if unreadable => format!("{text} (required by {by})"),
                    _ => format!("{demanded} (required by {by})"),
                },
                installed: installed.filter(|_| !unreadable),
                fix: commands.install_versions(name, &requirement.extras, &versions, false),
            })
        });
        if !is_satisfied {
            self.singles.insert(name.to_string());
        }
    }

    fn fail_requirement(&mut self, name: &Name, error: &str) {
        self.fail(
            name,
            Reason::Protocol,
            format!("its requirements can't be read: {error}"),
        );
    }

    fn fail(&mut self, name: &Name, reason: Reason, text: String) {
        let name = name.to_string();
        self.record(name.clone(), || {
            Some(Dependency {
                name,
                state: State::Unreadable(reason),
                wanted: text,
                installed: None,
                fix: None,
            })
        });
    }

    fn requirements(&mut self, name: &Name) -> Requirements {
        let Some(Package::Installed(package)) = self.packages.get(name) else {
            return Rc::default();
        };
        let parse = || {
            let texts = package.requires.iter();
            texts
                .map(|text| {
                    Requirement::parse(text).map_err(|error| format!("{}: {error}", shown_name(text)))
                })
                .collect()
        };
        self.parsed.entry(name.clone()).or_insert_with(parse).clone()
    }
}
