//! The commands that mend what a comparison found.

use std::path::Path;

use crate::check::dependencies::{Dependency, State, quote};
use crate::check::node::lock::Manager;

/// What the commands depend on.
#[derive(Debug)]
pub struct Commands<'a> {
    /// The package manager of the project.
    pub manager: Manager,
    /// The directory of the project as configured.
    pub directory: &'a Path,
    /// Whether the lock file is used.
    pub has_lock: bool,
    /// Whether the lock file has what `package.json` requires.
    pub is_lock_current: bool,
    /// Whether development dependencies are left out.
    pub is_production: bool,
}

impl Commands<'_> {
    /// The command that mends everything but extra packages, and with a lock file these too.
    pub fn all(&self) -> String {
        let from_lock = self.has_lock && self.is_lock_current;
        let directory = self.quoted_directory();
        let mut command = match self.manager {
            // `npm ci` removes node_modules first.
            Manager::Npm if from_lock => format!("npm ci --prefix {directory}"),
            Manager::Npm => format!("npm install --prefix {directory}"),
            // Without --force, pnpm and yarn trust their own record of what they installed.
            Manager::Pnpm if from_lock => format!("pnpm install --frozen-lockfile --force --dir {directory}"),
            Manager::Pnpm => format!("pnpm install --no-frozen-lockfile --force --dir {directory}"),
            Manager::Yarn if from_lock => format!("yarn install --frozen-lockfile --force --cwd {directory}"),
            Manager::Yarn => format!("yarn install --force --cwd {directory}"),
        };
        if self.is_production {
            command.push_str(match self.manager {
                Manager::Npm => " --omit=dev",
                Manager::Pnpm => " --prod",
                Manager::Yarn => " --production",
            });
        }
        command
    }

    /// The command that removes extra packages.
    pub fn prune(&self) -> String {
        let directory = self.quoted_directory();
        match self.manager {
            Manager::Npm => format!("npm prune --prefix {directory}"),
            Manager::Pnpm => format!("pnpm prune --dir {directory}"),
            // `yarn install` removes what the lock file does not have; `yarn prune` is not a command.
            Manager::Yarn => self.all(),
        }
    }

    /// The command that mends one dependency. `request` is what the registry can fulfil on its own.
    pub fn of(&self, dependency: &Dependency, request: Option<&str>) -> Option<String> {
        match dependency.state {
            State::Extra => Some(self.prune()),
            State::Unreadable(_) if !is_package(&dependency.name) => None,
            _ => match request.filter(|_| !self.has_lock && self.manager == Manager::Npm) {
                Some(request) => Some(format!(
                    "npm install --no-save --prefix {} {}",
                    self.quoted_directory(),
                    quote(request)
                )),
                None => Some(self.all()),
            },
        }
    }

    fn quoted_directory(&self) -> String {
        quote(&self.directory.to_string_lossy())
    }
}

/// Whether an unreadable item is an installed package, not a file of the project, which no command mends.
fn is_package(name: &str) -> bool {
    ![".json", ".yaml", ".lock", ".lockb", "node_modules"]
        .iter()
        .any(|ending| name.ends_with(ending))
}
