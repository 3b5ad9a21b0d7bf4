//! The configuration of python checks.

use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::OwnTimings;
use super::place::{Invalid, Place, all};

/// The maximum number of files, extras or groups.
const MAX_LISTED: usize = 100;
/// The longest name of an extra or a group.
const MAX_NAME_BYTES: usize = 256;

/// The options of a python check.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PythonOptions {
    /// Absolute path of a virtual environment, or of another directory that has bin/python.
    #[schemars(regex(pattern = "^/"))]
    pub environment: Option<PathBuf>,
    /// Absolute path of an interpreter, instead of environment. Its own packages are compared.
    #[schemars(regex(pattern = "^/"))]
    pub interpreter: Option<PathBuf>,
    /// Absolute paths of files that say what is required: requirement files of pip, pyproject.toml, pylock.toml, uv.lock and
    /// poetry.lock. The name of a file determines its format; other names are requirement files. Default: none.
    #[schemars(inner(regex(pattern = "^/")))]
    pub requirements: Vec<PathBuf>,
    /// Dependency groups that must be installed as well. Default: none, or the default groups of pylock.toml.
    pub groups: Vec<String>,
    /// Extras of the project that must be installed as well. Default: none.
    pub extras: Vec<String>,
    /// Compare the requirements of every installed package as well, as pip check does. Default: true without requirements,
    /// otherwise false.
    pub transitive: Option<bool>,
    /// Warn about installed packages that nothing requires. Default: false.
    pub extra: bool,
}

/// Whose packages are compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PythonSource {
    /// The directory of an environment.
    Environment(PathBuf),
    /// An interpreter.
    Interpreter(PathBuf),
}

/// The format of a file with requirements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A requirement file of pip.
    Requirements,
    /// `pyproject.toml`.
    Pyproject,
    /// `pylock.toml`, or `pylock.NAME.toml`.
    Pylock,
    /// `uv.lock`.
    UvLock,
    /// `poetry.lock`.
    PoetryLock,
}

impl Format {
    /// The format of a file, by its name.
    pub fn of(path: &Path) -> Self {
        match path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default()
        {
            "pyproject.toml" => Self::Pyproject,
            "uv.lock" => Self::UvLock,
            "poetry.lock" => Self::PoetryLock,
            name if name.starts_with("pylock.") && name.ends_with("toml") => Self::Pylock,
            _ => Self::Requirements,
        }
    }
}

/// The settings of a python check.
#[derive(Clone, Debug, PartialEq)]
pub struct PythonSettings {
    /// Whose packages are compared.
    pub source: PythonSource,
    /// The files that say what is required.
    pub requirements: Vec<PathBuf>,
    /// Dependency groups.
    pub groups: Vec<String>,
    /// Extras of the project.
    pub extras: Vec<String>,
    /// Whether the requirements of installed packages are compared.
    pub transitive: bool,
    /// Whether packages are reported that nothing requires.
    pub extra: bool,
}

impl PythonOptions {
    /// Resolves the options.
    ///
    /// # Errors
    /// Reported at their keys.
    pub fn resolve(self, place: &Place<'_>) -> Result<PythonSettings, Invalid> {
        let absolute = |path: PathBuf, place: &Place<'_>| match path.is_absolute() {
            true => Ok(path),
            false => Err(place.error(format_args!(
                "\"{}\" is not an absolute path: write the whole path, such as /srv/app/{}",
                path.display(),
                path.display()
            ))),
        };
        let source = match (self.environment, self.interpreter) {
            (Some(path), None) => absolute(path, &place.field("environment")).map(PythonSource::Environment),
            (None, Some(path)) => absolute(path, &place.field("interpreter")).map(PythonSource::Interpreter),
            (None, None) => Err(place.error(
                "environment is missing: write the path of a virtual environment, such as environment: /srv/app/.venv, \
                 or set interpreter",
            )),
            (Some(_), Some(_)) => Err(place
                .field("interpreter")
                .error("environment and interpreter exclude each other: remove one of them")),
        };
        let requirements_place = place.field("requirements");
        let formats: Vec<Format> = self.requirements.iter().map(|path| Format::of(path)).collect();
        let files = match self.requirements.len() > MAX_LISTED {
            true => Err(requirements_place.error(format_args!("write at most {MAX_LISTED} files"))),
            false => all(self
                .requirements
                .into_iter()
                .enumerate()
                .map(|(index, path)| absolute(path, &requirements_place.index(index)))),
        };
        let has_names = formats.iter().any(|format| *format != Format::Requirements);
        let names = |list: Vec<String>, key: &str| {
            let place = place.field(key);
            if !list.is_empty() && !has_names {
                return Err(place.error(format_args!(
                    "{key} needs a file that has {key}: add pyproject.toml or a lock to requirements"
                )));
            }
            if list.len() > MAX_LISTED {
                return Err(place.error(format_args!("write at most {MAX_LISTED} names")));
            }
            all(list
                .into_iter()
                .enumerate()
                .map(|(index, name)| match is_name(&name) {
                    true => Ok(name),
                    false => Err(place
                        .index(index)
                        .error("not a valid name: write letters, digits, -, _ and ., such as dev")),
                }))
        };
        let (groups, extras) = (names(self.groups, "groups"), names(self.extras, "extras"));
        let transitive = match (self.transitive, formats.is_empty()) {
            (Some(false), true) => Err(place
                .field("transitive")
                .error("transitive: false needs requirements: otherwise there is nothing to compare")),
            (transitive, is_empty) => Ok(transitive.unwrap_or(is_empty)),
        };
        let extra = match self.extra && formats.is_empty() {
            true => Err(place
                .field("extra")
                .error("extra needs requirements: otherwise every package is extra")),
            false => Ok(self.extra),
        };
        Ok(PythonSettings {
            source: source?,
            requirements: files?,
            groups: groups?,
            extras: extras?,
            transitive: transitive?,
            extra: extra?,
        })
    }
}

/// Whether a text is a name of PEP 508.
fn is_name(text: &str) -> bool {
    let is_end = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= MAX_NAME_BYTES
        && is_end(bytes.first())
        && is_end(bytes.last())
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

impl PythonSettings {
    /// The environment or the interpreter.
    pub fn target(&self) -> String {
        match &self.source {
            PythonSource::Environment(path) | PythonSource::Interpreter(path) => path.display().to_string(),
        }
    }
}

impl super::KindFacts for PythonSettings {
    /// Packages change rarely, and an installation in progress takes some seconds.
    const OWN_TIMINGS: Option<OwnTimings> = Some(OwnTimings {
        interval: Duration::from_secs(60),
        timeout: Duration::from_secs(10),
        recheck_interval: Duration::from_secs(20),
        failures_before_down: 2,
        inherits_thresholds: true,
    });

    fn values_at_once(&self, label: &str) -> Option<u64> {
        // satisfied, missing, mismatched, unreadable; extra if the check looks for it.
        (label == "state").then(|| 4 + u64::from(self.extra))
    }

    fn is_target_shortened(&self) -> bool {
        !self.requirements.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::config::tests_support::resolve_json;

    fn resolve(json: Value) -> Result<PythonSettings, Vec<String>> {
        resolve_json(json, PythonOptions::resolve)
    }

    #[test]
    fn the_question_depends_on_the_files() {
        let alone = resolve(json!({"environment": "/e"})).unwrap();
        assert!(alone.transitive && !alone.extra && alone.requirements.is_empty());
        let files = resolve(json!({
            "interpreter": "/usr/bin/python3", "requirements": ["/a/uv.lock"], "groups": ["dev"], "extra": true
        }))
        .unwrap();
        assert!(!files.transitive && files.extra);
        assert_eq!(files.target(), "/usr/bin/python3");
    }

    #[test]
    fn the_name_determines_the_format() {
        for (name, format) in [
            ("requirements.txt", Format::Requirements),
            ("dev.in", Format::Requirements),
            ("pyproject.toml", Format::Pyproject),
            ("pylock.toml", Format::Pylock),
            ("pylock.dev.toml", Format::Pylock),
            ("uv.lock", Format::UvLock),
            ("poetry.lock", Format::PoetryLock),
        ] {
            assert_eq!(Format::of(&Path::new("/srv").join(name)), format, "{name}");
        }
    }

    #[test]
    fn every_rule_has_its_message() {
        for (json, expected) in [
            (
                json!({}),
                ": environment is missing: write the path of a virtual environment, such as environment: /srv/app/.venv, or set \
                 interpreter",
            ),
            (
                json!({"environment": "/e", "interpreter": "/p"}),
                "interpreter: environment and interpreter exclude each other: remove one of them",
            ),
            (
                json!({"environment": "venv"}),
                "environment: \"venv\" is not an absolute path: write the whole path, such as /srv/app/venv",
            ),
            (
                json!({"environment": "/e", "requirements": ["/a", "b"]}),
                "requirements[1]: \"b\" is not an absolute path: write the whole path, such as /srv/app/b",
            ),
            (
                json!({"environment": "/e", "requirements": ["/a"], "groups": ["x"]}),
                "groups: groups needs a file that has groups: add pyproject.toml or a lock to requirements",
            ),
            (
                json!({"environment": "/e", "requirements": ["/uv.lock"], "extras": ["-"]}),
                "extras[0]: not a valid name: write letters, digits, -, _ and ., such as dev",
            ),
            (
                json!({"environment": "/e", "transitive": false}),
                "transitive: transitive: false needs requirements: otherwise there is nothing to compare",
            ),
            (
                json!({"environment": "/e", "extra": true}),
                "extra: extra needs requirements: otherwise every package is extra",
            ),
        ] {
            assert_eq!(resolve(json).unwrap_err(), [expected]);
        }
    }
}
