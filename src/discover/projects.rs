//! The projects of Python and Node.js in the working directories of units. A check of packages is only proposed if it succeeds now.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::facts::Project;
use super::texts::quote;
use crate::check::{Check, CheckContext};
use crate::config::{CheckSettings, parse};
use crate::model::Report;

/// How long looking at one directory, and one run of a check, may take.
const MAX_TIME: Duration = Duration::from_secs(2);

/// How many directories are read at once.
static READERS: Semaphore = Semaphore::const_new(8);

/// Files that list the packages of a Python project. The first one that exists is used.
const REQUIREMENTS: [&str; 4] = ["uv.lock", "poetry.lock", "requirements.txt", "pyproject.toml"];

/// Where virtual environments of a project are.
const ENVIRONMENTS: [&str; 2] = [".venv", "venv"];

/// Finds the projects in `directory`, whose program is `program`, and runs their checks once.
pub async fn find(directory: String, program: String, context: &CheckContext) -> Vec<Project> {
    if !directory.starts_with('/') || directory == "/" {
        return Vec::new();
    }
    // A file system may hang. Then its threads never end, so their number is limited.
    let Ok(Ok(permit)) = timeout(MAX_TIME, READERS.acquire()).await else {
        return Vec::new();
    };
    let reading = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        look(Path::new(&directory), Path::new(&program))
    });
    let Ok(Ok(found)) = timeout(MAX_TIME, reading).await else {
        return Vec::new();
    };
    let mut projects = Vec::new();
    for found in found {
        projects.push(match found {
            Found::Check(check) => Project {
                obstacle: run(&check, context).await,
                check,
            },
            Found::Incomplete(check, obstacle) => Project {
                check,
                obstacle: Some(obstacle),
            },
        });
    }
    projects
}

/// A project.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// Its check.
    Check(String),
    /// Its check, and why it can't be used as it is.
    Incomplete(String, String),
}

fn look(directory: &Path, program: &Path) -> Vec<Found> {
    [python(directory, program), node(directory)]
        .into_iter()
        .flatten()
        .collect()
}

fn python(directory: &Path, program: &Path) -> Option<Found> {
    let requirements = REQUIREMENTS
        .iter()
        .map(|name| directory.join(name))
        .find(|path| path.is_file())?;
    let check = |environment: &str| {
        let requirements = quote(&requirements.to_string_lossy());
        format!("{{ kind: python, environment: {environment}, requirements: [{requirements}] }}")
    };
    Some(match environment(directory, program) {
        Some(environment) => Found::Check(check(&quote(&environment.to_string_lossy()))),
        None => Found::Incomplete(
            check("/path/of/the/virtual/environment"),
            "the virtual environment was not found: write its path".to_owned(),
        ),
    })
}

/// The virtual environment that contains the program, or that of the project.
fn environment(directory: &Path, program: &Path) -> Option<PathBuf> {
    let of_program = program
        .parent()
        .filter(|bin| bin.ends_with("bin"))
        .and_then(Path::parent);
    let usual = ENVIRONMENTS.iter().map(|name| directory.join(name));
    of_program
        .map(Path::to_owned)
        .into_iter()
        .chain(usual)
        .find(|path| path.join("pyvenv.cfg").is_file())
}

fn node(directory: &Path) -> Option<Found> {
    if !directory.join("package.json").is_file() {
        return None;
    }
    let check = format!(
        "{{ kind: node, directory: {} }}",
        quote(&directory.to_string_lossy())
    );
    Some(match directory.join("node_modules").is_dir() {
        true => Found::Check(check),
        false => Found::Incomplete(check, "there is no directory node_modules".to_owned()),
    })
}

/// Runs a check once. Returns why it is not up.
async fn run(check: &str, context: &CheckContext) -> Option<String> {
    let Some(settings) = settings(check) else {
        return Some("the paths can't be written in a configuration".to_owned());
    };
    let mut check = Check::new(&settings, context);
    let mut report = Report::default();
    match timeout(MAX_TIME, check.run(&mut report)).await {
        Ok(Ok(())) => report.warning.map(|warning| warning.message().to_owned()),
        Ok(Err(problem)) => Some(problem.message().to_owned()),
        Err(_) => Some("comparing the packages takes long".to_owned()),
    }
}

fn settings(check: &str) -> Option<Arc<CheckSettings>> {
    let text = format!("services: [{{ key: project, checks: [{check}] }}]");
    let config = parse(&text, "(project)").ok()?.config;
    config.services.first()?.checks.first().cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn projects_are_found_by_their_files() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path();
        assert_eq!(look(path, Path::new("/usr/bin/python3")), []);
        std::fs::write(path.join("requirements.txt"), "").unwrap();
        std::fs::write(path.join("package.json"), "{}").unwrap();
        let found = look(path, Path::new("/usr/bin/python3"));
        assert!(
            matches!(&found[..], [Found::Incomplete(python, _), Found::Incomplete(node, _)]
                if python.contains("requirements.txt") && node.contains("kind: node")),
            "{found:?}"
        );
        std::fs::create_dir_all(path.join("env/bin")).unwrap();
        std::fs::write(path.join("env/pyvenv.cfg"), "").unwrap();
        std::fs::create_dir(path.join("node_modules")).unwrap();
        let found = look(path, &path.join("env/bin/gunicorn"));
        assert!(
            matches!(&found[..], [Found::Check(python), Found::Check(_)] if python.contains("/env\"")),
            "{found:?}"
        );
        for found in found {
            let Found::Check(check) = found else {
                unreachable!()
            };
            assert!(settings(&check).is_some(), "{check}");
        }
    }
}
