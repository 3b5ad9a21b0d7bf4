//! The exact commands that mend what a run found.

use std::path::{Path, PathBuf};

use pep440_rs::Version;

use super::installed::{Package, Packages};
use super::interpreter::{Interpreter, InterpreterOrigin};
use super::name::Name;
use super::required::FileRequirements;
use super::wanted::{Versions, Wanted};
use crate::check::dependencies::{Dependency, quote};
use crate::config::python::{Format, PythonSettings};

/// The longest command. A longer one would be cut where it is shown.
const MAX_BYTES: usize = 1000;
/// Installs a package as a lock pins it.
const NO_DEPENDENCIES: &str = "--no-deps";
/// pip reads `pylock.toml` since this version.
const PIP_WITH_PYLOCK: [u64; 2] = [26, 1];

/// Makes commands for one environment.
#[derive(Clone, Debug)]
pub struct Commands {
    python: PathBuf,
    installer: Installer,
    /// Whether the environment's pip reads `pylock.toml`.
    reads_pylock: bool,
    /// Needed for interpreters of the system (PEP 668).
    breaks_system: bool,
    /// The directory of the environment, for uv and Poetry.
    environment: Option<PathBuf>,
    extras: Vec<String>,
    groups: Vec<String>,
    removes_extra: bool,
}

/// What installs packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Installer {
    /// The pip of the environment.
    Pip,
    /// A pip outside of it.
    OuterPip,
    /// uv.
    Uv,
}

impl Commands {
    /// Commands for this interpreter.
    pub fn new(interpreter: &Interpreter, packages: &Packages, settings: &PythonSettings) -> Self {
        let pip = match packages.get(&Name::normalize("pip")) {
            Some(Package::Installed(pip)) => Some(&pip.version),
            _ => None,
        };
        Self {
            python: interpreter.python.clone(),
            installer: match (pip, interpreter.origin) {
                (Some(_), _) => Installer::Pip,
                (None, InterpreterOrigin::Uv) => Installer::Uv,
                (None, _) => Installer::OuterPip,
            },
            reads_pylock: pip.is_some_and(|version| *version >= Version::new(PIP_WITH_PYLOCK)),
            breaks_system: interpreter.origin == InterpreterOrigin::ExternallyManaged,
            environment: match interpreter.origin {
                InterpreterOrigin::Venv | InterpreterOrigin::Uv => interpreter
                    .python
                    .parent()
                    .and_then(Path::parent)
                    .map(Path::to_owned),
                InterpreterOrigin::ExternallyManaged | InterpreterOrigin::Installed => None,
            },
            extras: settings.extras.clone(),
            groups: settings.groups.clone(),
            removes_extra: settings.extra,
        }
    }

    /// The start of a command: `/srv/.venv/bin/python -m pip install`.
    fn start(&self, action: &str) -> String {
        let python = quote(&self.python.display().to_string());
        let mut command = match (self.installer, action) {
            (Installer::Pip, _) => format!("{python} -m pip {action}"),
            (Installer::OuterPip, _) => format!("python3 -m pip --python {python} {action}"),
            (Installer::Uv, _) => format!("uv pip {action} --python {python}"),
        };
        if action == "uninstall" && self.installer != Installer::Uv {
            command.push_str(" -y");
        }
        if self.breaks_system {
            command.push_str(" --break-system-packages");
        }
        command
    }

    /// Installs one requirement of a file; `None` if the command would have to contain a URL's credentials.
    pub fn install(&self, name: Option<&Name>, wanted: &Wanted) -> Option<String> {
        let is_exact = matches!(wanted.versions, Versions::Exactly(_));
        match (&wanted.source, name) {
            (None, Some(name)) => self.install_versions(name, &wanted.extras, &wanted.versions, is_exact),
            (Some(source), _) => {
                let path = source.path()?;
                let target = path.display().to_string() + &list(&wanted.extras);
                let flag = if source.is_editable() { " -e" } else { "" };
                Some(format!("{}{flag} {}", self.start("install"), quote(&target)))
                    .filter(|it| it.len() <= MAX_BYTES)
            }
            (None, None) => None,
        }
    }

    /// Installs a version of a package. `is_locked`: a lock has its requirements, so they are not resolved again.
    pub fn install_versions(
        &self,
        name: &Name,
        extras: &[Name],
        versions: &Versions,
        is_locked: bool,
    ) -> Option<String> {
        let separator = if is_locked { " " } else { "" };
        let flag = if is_locked { NO_DEPENDENCIES } else { "" };
        let requirement = quote(&format!("{name}{}{versions}", list(extras)));
        Some(format!(
            "{}{separator}{flag} {requirement}",
            self.start("install")
        ))
        .filter(|it| it.len() <= MAX_BYTES)
    }

    /// Removes a package.
    pub fn uninstall(&self, name: &Name) -> String {
        format!("{} {name}", self.start("uninstall"))
    }

    /// One command for all failures: the one that belongs to the format of each file that has some, and one for the packages
    /// in `singles`, which no such command installs.
    pub fn mend(
        &self,
        files: &[&FileRequirements],
        singles: &[&Dependency],
        extra: &[Dependency],
    ) -> Option<String> {
        let mut commands = Vec::new();
        let requirement_files: Vec<String> = files
            .iter()
            .filter(|file| file.format == Format::Requirements)
            .map(|file| format!("-r {}", quote(&file.path.display().to_string())))
            .collect();
        if !requirement_files.is_empty() {
            commands.push(format!(
                "{} {}",
                self.start("install"),
                requirement_files.join(" ")
            ));
        }
        for file in files {
            match file.format {
                Format::Requirements | Format::Pyproject => {}
                Format::Pylock => commands.push(self.install_pylock(&file.path)),
                Format::UvLock => commands.push(self.sync_uv(&file.path)),
                Format::PoetryLock => commands.push(self.install_poetry(&file.path)),
            }
        }
        commands.extend(self.install_singles(singles));
        // uv removes them itself.
        let removes = files.iter().any(|file| file.format == Format::UvLock);
        if !extra.is_empty() && !removes {
            let names: Vec<&str> = extra.iter().map(|extra| extra.name.as_str()).collect();
            commands.push(format!("{} {}", self.start("uninstall"), names.join(" ")));
        }
        Some(commands.join(" && ")).filter(|command| !command.is_empty() && command.len() <= MAX_BYTES)
    }

    /// One command for the packages that have one each: their last word is the requirement. Another one for those whose
    /// requirements must not be resolved.
    fn install_singles(&self, failures: &[&Dependency]) -> Vec<String> {
        let start = self.start("install");
        let words: Vec<&str> = failures
            .iter()
            .filter_map(|failure| failure.fix.as_deref()?.strip_prefix(&start))
            .map(str::trim)
            .collect();
        let (locked, resolved): (Vec<&str>, Vec<&str>) = words
            .into_iter()
            .partition(|word| word.starts_with(NO_DEPENDENCIES));
        let locked = locked
            .iter()
            .filter_map(|word| word.strip_prefix(NO_DEPENDENCIES))
            .collect::<String>();
        let mut commands = Vec::new();
        if !locked.is_empty() {
            commands.push(format!("{start} {NO_DEPENDENCIES}{locked}"));
        }
        if !resolved.is_empty() {
            commands.push(format!("{start} {}", resolved.join(" ")));
        }
        commands
    }

    fn install_pylock(&self, path: &Path) -> String {
        let python = quote(&self.python.display().to_string());
        let path = quote(&path.display().to_string());
        match self.installer == Installer::Pip && self.reads_pylock {
            true => format!("{} -r {path}", self.start("install")),
            false => format!(
                "uv pip install --python {python} -r {path}{}",
                self.flags("--extra", "--group")
            ),
        }
    }

    fn sync_uv(&self, path: &Path) -> String {
        let directory = path.parent().unwrap_or(Path::new("/"));
        // uv installs into .venv of the project unless this variable names another environment.
        let variable = match &self.environment {
            Some(environment) if *environment != directory.join(".venv") => {
                format!(
                    "UV_PROJECT_ENVIRONMENT={} ",
                    quote(&environment.display().to_string())
                )
            }
            _ => String::new(),
        };
        let inexact = if self.removes_extra { "" } else { " --inexact" };
        format!(
            "{variable}uv sync --project {} --frozen --no-default-groups{inexact}{}",
            quote(&directory.display().to_string()),
            self.flags("--extra", "--group")
        )
    }

    fn install_poetry(&self, path: &Path) -> String {
        let directory = path.parent().unwrap_or(Path::new("/"));
        // Poetry installs into the active environment.
        let variable = match &self.environment {
            Some(environment) => format!("VIRTUAL_ENV={} ", quote(&environment.display().to_string())),
            None => String::new(),
        };
        let groups: Vec<&str> = std::iter::once("main")
            .chain(self.groups.iter().map(String::as_str))
            .collect();
        let extras: String = self
            .extras
            .iter()
            .map(|extra| format!(" -E {}", quote(extra)))
            .collect();
        format!(
            "{variable}poetry -C {} install --no-root --only {}{extras}",
            quote(&directory.display().to_string()),
            quote(&groups.join(","))
        )
    }

    fn flags(&self, extra: &str, group: &str) -> String {
        let extras = self.extras.iter().map(|name| (extra, name));
        let groups = self.groups.iter().map(|name| (group, name));
        let flags = extras.chain(groups);
        flags
            .map(|(flag, name)| format!(" {flag} {}", quote(name)))
            .collect()
    }
}

fn list(extras: &[Name]) -> String {
    match extras {
        [] => String::new(),
        _ => {
            let names: Vec<&str> = extras.iter().map(Name::as_str).collect();
            format!("[{}]", names.join(","))
        }
    }
}
