//! Finds the files of an environment or an interpreter, and the facts that they give. Nothing is started.

use std::path::{Path, PathBuf};

use super::environment::Environment;
use super::venv_config::{VenvConfig, is_minor};
use crate::check::dependencies::{Files, ReadError};
use crate::config::python::PythonSource;
use crate::model::{Problem, Reason};

/// Where distributions install Python and its packages.
const SYSTEM_PREFIX: &str = "/usr";
/// Where pip installs packages for that Python.
const LOCAL_PREFIX: &str = "/usr/local";

/// An environment or interpreter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interpreter {
    /// The command that starts it.
    pub python: PathBuf,
    /// The directories with packages, in the order in which Python searches them.
    pub site_directories: Vec<PathBuf>,
    /// How many of them, from the first one, belong to the environment. Packages in the others are of the system.
    pub own_directories: usize,
    /// The facts for markers.
    pub environment: Environment,
    /// How packages get in.
    pub origin: InterpreterOrigin,
}

/// Who made the environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InterpreterOrigin {
    /// The module venv, or virtualenv.
    Venv,
    /// uv, which installs no pip.
    Uv,
    /// It is an interpreter of the system, in which pip refuses to install without a flag (PEP 668).
    ExternallyManaged,
    /// It is another interpreter.
    Installed,
}

/// Why there is no such environment.
#[derive(Debug, thiserror::Error)]
pub enum InterpreterError {
    /// A file can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// What is there is no environment.
    #[error("{text}")]
    Unusable {
        /// The reason for the label.
        reason: Reason,
        /// What is wrong and what to do.
        text: String,
    },
}

impl InterpreterError {
    fn missing(text: String) -> Self {
        let reason = Reason::Missing;
        Self::Unusable { reason, text }
    }

    /// The problem of the run.
    pub fn problem(&self) -> Problem {
        match self {
            Self::Read(error) => error.problem(),
            Self::Unusable { reason, text } => Problem::new(*reason, text),
        }
    }
}

/// A directory `lib/python3.11`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Library {
    path: PathBuf,
    implementation: &'static str,
    version: String,
}

/// Finds the environment or interpreter.
///
/// # Errors
/// If it does not exist or can't be read.
pub fn find(source: &PythonSource, files: &mut Files) -> Result<Interpreter, InterpreterError> {
    match source {
        PythonSource::Environment(path) => find_environment(path, files),
        PythonSource::Interpreter(path) => {
            let directory = path.parent().and_then(Path::parent);
            // An interpreter in an environment is a symbolic link to one outside.
            match directory {
                Some(directory) if files.exists(&directory.join("pyvenv.cfg"))? => {
                    find_environment(directory, files)
                }
                _ => find_installed(path, files),
            }
        }
    }
}

fn find_environment(directory: &Path, files: &mut Files) -> Result<Interpreter, InterpreterError> {
    if !files.is_directory(directory)? {
        let text = format!("there is no environment at {}: create it", directory.display());
        return Err(InterpreterError::missing(text));
    }
    let python = directory.join("bin/python");
    let config = match files.read_text(&directory.join("pyvenv.cfg")) {
        Ok(text) => VenvConfig::parse(&text),
        // An environment of conda, or the prefix of an installation.
        Err(error) if error.is_absent() => {
            let resolved = files.resolve(&python)?;
            let mut found = find_installed(&resolved, files)?;
            found.python = python;
            return Ok(found);
        }
        Err(error) => return Err(error.into()),
    };
    let resolved = files.resolve(&python).map_err(|error| match error.is_absent() {
        true => InterpreterError::missing(format!(
            "{} does not exist, or is a link to an interpreter that was removed: create the environment again",
            python.display()
        )),
        false => error.into(),
    })?;
    let libraries = libraries(directory, files)?;
    // The interpreter decides: after an upgrade of the system's Python, the environment's configuration is stale.
    let expected = version_in_name(&resolved).or_else(|| config.minor_version());
    let library = choose(&libraries, expected.as_deref(), directory)?;
    let mut site_directories = site_directories(directory, library, files)?;
    if site_directories.is_empty() {
        let text = format!(
            "{} has no site-packages: create the environment again",
            library.path.display()
        );
        return Err(InterpreterError::missing(text));
    }
    let own_directories = site_directories.len();
    if config.includes_system {
        let home = config
            .home
            .clone()
            .or_else(|| resolved.parent().map(Path::to_owned));
        if let Some(prefix) = home.as_deref().and_then(Path::parent) {
            site_directories.extend(system_directories(prefix, library, files)?);
        }
    }
    Ok(Interpreter {
        python,
        own_directories,
        site_directories,
        environment: environment(library, config.version.as_deref()),
        origin: match config.is_uv {
            true => InterpreterOrigin::Uv,
            false => InterpreterOrigin::Venv,
        },
    })
}

fn find_installed(path: &Path, files: &mut Files) -> Result<Interpreter, InterpreterError> {
    let resolved = files.resolve(path).map_err(|error| match error.is_absent() {
        true => InterpreterError::missing(format!("there is no interpreter at {}", path.display())),
        false => error.into(),
    })?;
    let prefix = resolved.parent().and_then(Path::parent).unwrap_or(Path::new("/"));
    let libraries = libraries(prefix, files)?;
    let library = choose(&libraries, version_in_name(&resolved).as_deref(), prefix)?.clone();
    let site_directories = system_directories(prefix, &library, files)?;
    if site_directories.is_empty() {
        let text = format!(
            "{} has neither site-packages nor dist-packages of Python {}",
            prefix.display(),
            library.version
        );
        return Err(InterpreterError::missing(text));
    }
    let is_managed = files.exists(&library.path.join("EXTERNALLY-MANAGED"))?;
    // The packages of the distribution are not pip's to remove. pip installs below /usr/local.
    let is_own =
        |path: &&PathBuf| !is_managed || prefix != Path::new(SYSTEM_PREFIX) || path.starts_with(LOCAL_PREFIX);
    Ok(Interpreter {
        python: path.to_owned(),
        own_directories: site_directories.iter().take_while(is_own).count(),
        site_directories,
        environment: environment(&library, None),
        origin: match is_managed {
            true => InterpreterOrigin::ExternallyManaged,
            false => InterpreterOrigin::Installed,
        },
    })
}

/// The directories `lib/python3.11` below a prefix.
fn libraries(prefix: &Path, files: &mut Files) -> Result<Vec<Library>, ReadError> {
    let mut found: Vec<Library> = Vec::new();
    for lib in ["lib", "lib64"] {
        let lib = prefix.join(lib);
        let names = match files.list(&lib) {
            Ok(names) => names,
            Err(error) if error.is_absent() => continue,
            Err(error) => return Err(error),
        };
        for name in names {
            let Some((implementation, version)) = name.to_str().and_then(parse_library) else {
                continue;
            };
            let path = lib.join(&name);
            // lib64 usually is a link to lib.
            let is_new = found.iter().all(|library| library.version != version);
            if is_new && files.is_directory(&path)? {
                found.push(Library {
                    path,
                    implementation,
                    version,
                });
            }
        }
    }
    Ok(found)
}

/// Parses `python3.11`, `python3.13t` (without the global lock) and `pypy3.10`.
fn parse_library(name: &str) -> Option<(&'static str, String)> {
    let (implementation, version) = match name.strip_prefix("python") {
        Some(version) => ("CPython", version),
        None => ("PyPy", name.strip_prefix("pypy")?),
    };
    let version = version.strip_suffix('t').unwrap_or(version);
    is_minor(version).then(|| (implementation, version.to_owned()))
}

/// The version in the name of an interpreter: `python3.11`.
fn version_in_name(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    parse_library(name).map(|(_, version)| version)
}

fn choose<'a>(
    libraries: &'a [Library],
    expected: Option<&str>,
    prefix: &Path,
) -> Result<&'a Library, InterpreterError> {
    if let Some(expected) = expected {
        let found = libraries.iter().find(|library| library.version == expected);
        return found.ok_or_else(|| {
            InterpreterError::missing(format!(
                "{} has no lib/python{expected}, the version of its interpreter: create the environment again",
                prefix.display()
            ))
        });
    }
    match libraries {
        [only] => Ok(only),
        [] => Err(InterpreterError::missing(format!(
            "{} has no lib/python3.*: it is not an environment of Python",
            prefix.display()
        ))),
        several => Err(InterpreterError::Unusable {
            reason: Reason::Protocol,
            text: format!(
                "{} has the libraries of {} versions of Python: set interpreter to a path that ends in the version, such \
                 as /usr/bin/python3.11",
                prefix.display(),
                several.len()
            ),
        }),
    }
}

fn site_directories(prefix: &Path, library: &Library, files: &mut Files) -> Result<Vec<PathBuf>, ReadError> {
    let Some(name) = library.path.file_name() else {
        return Ok(Vec::new());
    };
    let candidates = ["lib", "lib64"].map(|lib| prefix.join(lib).join(name).join("site-packages"));
    existing(candidates, files)
}

/// The directories of an installed interpreter. Debian has its own scheme, in which pip installs below /usr/local.
fn system_directories(
    prefix: &Path,
    library: &Library,
    files: &mut Files,
) -> Result<Vec<PathBuf>, ReadError> {
    // `python3.13t` is another directory than `python3.13`.
    let name = library
        .path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let in_prefix = |directory: String| prefix.join(directory);
    let local = match prefix == Path::new(SYSTEM_PREFIX) {
        true => PathBuf::from(LOCAL_PREFIX),
        false => prefix.to_owned(),
    };
    let candidates = [
        local.join(format!("lib/{name}/dist-packages")),
        local.join(format!("lib/{name}/site-packages")),
        local.join(format!("lib64/{name}/site-packages")),
        in_prefix(format!("lib/{name}/site-packages")),
        in_prefix(format!("lib64/{name}/site-packages")),
        in_prefix("lib/python3/dist-packages".to_owned()),
        in_prefix(format!("lib/{name}/dist-packages")),
    ];
    existing(candidates, files)
}

/// Those that exist, each once, without symbolic links.
fn existing(
    candidates: impl IntoIterator<Item = PathBuf>,
    files: &mut Files,
) -> Result<Vec<PathBuf>, ReadError> {
    let mut found = Vec::new();
    for candidate in candidates {
        match files.resolve(&candidate) {
            Ok(path) if !found.contains(&path) => found.push(path),
            Ok(_) => {}
            Err(error) if error.is_absent() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

fn environment(library: &Library, full_version: Option<&str>) -> Environment {
    let kernel = rustix::system::uname();
    let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
    Environment {
        minor_version: library.version.clone(),
        full_version: full_version.map(str::to_owned),
        implementation: library.implementation.to_owned(),
        machine: text(kernel.machine()),
        release: text(kernel.release()),
        version: text(kernel.version()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::dependencies::Limits;

    #[test]
    fn packages_are_found_beside_an_interpreter_without_global_lock() {
        let root = tempfile::tempdir().unwrap();
        let prefix = root.path().canonicalize().unwrap();
        let site = prefix.join("lib/python3.13t/site-packages");
        std::fs::create_dir_all(&site).unwrap();
        std::fs::create_dir(prefix.join("bin")).unwrap();
        let python = prefix.join("bin/python3.13t");
        std::fs::write(&python, "").unwrap();
        let mut files = Files::new(Limits {
            file_bytes: 1000,
            total_bytes: 1000,
            files: 100,
        });
        let found = find(&PythonSource::Interpreter(python), &mut files).unwrap();
        assert_eq!((found.site_directories, found.own_directories), (vec![site], 1));
        assert_eq!(found.environment.minor_version, "3.13");
    }

    #[test]
    fn the_library_gives_version_and_implementation() {
        for (name, implementation, version) in [
            ("python3.11", "CPython", "3.11"),
            ("python3.13t", "CPython", "3.13"),
            ("pypy3.10", "PyPy", "3.10"),
        ] {
            assert_eq!(parse_library(name), Some((implementation, version.to_owned())));
        }
        for name in ["python3", "python", "pythonx.y", "ruby3.1"] {
            assert_eq!(parse_library(name), None);
        }
        let library = |version: &str| Library {
            path: format!("/e/lib/python{version}").into(),
            implementation: "CPython",
            version: version.to_owned(),
        };
        let two = [library("3.9"), library("3.11")];
        let prefix = Path::new("/e");
        assert_eq!(choose(&two, Some("3.11"), prefix).unwrap(), &two[1]);
        assert!(choose(&two, Some("3.12"), prefix).is_err());
        assert!(choose(&two, None, prefix).is_err());
        assert_eq!(choose(&two[..1], None, prefix).unwrap(), &two[0]);
    }
}
