//! Compares installed packages with what `package.json` and the lock file require.

mod commands;
mod extra;
mod locations;
mod pnpm;
mod requirements;
mod results;
mod yarn;

use std::path::Path;

use super::installed::Tree;
use super::lock::Lock;
use super::project::{NotAProject, Project};
use crate::check::dependencies::{Comparison, Dependency, Files, ReadError, State};
use crate::config::node::NodeSettings;
use commands::Commands;
use results::Results;

/// What is compared, and what was found so far.
struct Comparer<'a> {
    settings: &'a NodeSettings,
    project: &'a Project,
    tree: Tree<'a>,
    results: Results,
    /// Whether the lock file has what `package.json` requires. If not, installing from the lock file alone fails.
    is_lock_current: bool,
}

/// Compares the project of a check.
///
/// # Errors
/// If the run must end.
pub fn compare(files: &mut Files, settings: &NodeSettings) -> Result<Comparison, ReadError> {
    let project = match Project::read(files, &settings.directory, &settings.lockfile)? {
        Ok(project) => project,
        Err((name, error)) => return Ok(not_a_project((name, error))),
    };
    let mut comparer = Comparer {
        settings,
        project: &project,
        tree: Tree::new(files),
        results: Results::default(),
        is_lock_current: true,
    };
    comparer.compare()?;
    let commands = Commands {
        manager: project.manager,
        // The whole workspace is installed from its lock file.
        directory: match project.lock_prefix.is_empty() {
            true => &settings.directory,
            false => &project.lock_root,
        },
        has_lock: matches!(project.lock, Some(Ok(_))),
        is_lock_current: comparer.is_lock_current,
        is_production: settings.production,
    };
    Ok(comparer.results.into_comparison(settings.extra, &commands))
}

fn not_a_project((name, error): NotAProject) -> Comparison {
    Comparison {
        dependencies: vec![Dependency {
            name,
            state: State::Unreadable(error.reason),
            wanted: error.message,
            installed: None,
            fix: None,
        }],
        ..Comparison::default()
    }
}

impl Comparer<'_> {
    fn compare(&mut self) -> Result<(), ReadError> {
        let project = self.project;
        for (name, error) in &project.unreadable {
            self.results.unreadable(project.root().join(name), name, error);
        }
        match &project.lock {
            Some(Ok(Lock::Npm(lock))) => self.compare_locations(lock)?,
            Some(Ok(Lock::Pnpm(lock))) => self.compare_pnpm(lock)?,
            Some(Ok(Lock::Yarn(lock))) => self.compare_yarn(lock)?,
            Some(Err(error)) => {
                let path = project.root().join(&project.lock_name);
                self.results.unreadable(path, &project.lock_name, error);
            }
            None => {}
        }
        self.compare_requirements()?;
        if self.settings.extra {
            self.find_extra()?;
        }
        Ok(())
    }

    /// A place in the project as messages show it: without the leading directories.
    fn shown(&self, place: &Path) -> String {
        let project = self.project;
        let relative = place.strip_prefix(project.root());
        let relative = relative.or_else(|_| place.strip_prefix(&project.lock_root));
        let relative = relative.unwrap_or(place);
        let text = relative.to_string_lossy();
        text.strip_prefix("node_modules/").unwrap_or(&text).to_owned()
    }
}
