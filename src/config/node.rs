//! The configuration of node checks.

use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::OwnTimings;
use super::place::{Invalid, Place};

/// The options of a node check.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NodeOptions {
    /// Absolute path of the directory with package.json and node_modules.
    #[schemars(regex(pattern = "^/"))]
    pub directory: Option<PathBuf>,
    /// The lock file: auto for npm-shrinkwrap.json, package-lock.json, pnpm-lock.yaml or yarn.lock in the directory, none to check
    /// package.json only, or the path of a lock file, relative to the directory. Default: auto.
    pub lockfile: Option<String>,
    /// Ignore development dependencies, as after an installation with NODE_ENV=production. Default: false.
    pub production: bool,
    /// Warn about installed packages that nothing requires. Default: false.
    pub extra: bool,
    /// Also compare the requirements of every installed package, including peers, as npm ls --all does. Default: false.
    pub transitive: bool,
}

/// Which lock file is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lockfile {
    /// The one in the directory, if there is one.
    Auto,
    /// None: only `package.json` counts.
    None,
    /// This one.
    Path(PathBuf),
}

/// The settings of a node check.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeSettings {
    /// The directory with `package.json`.
    pub directory: PathBuf,
    /// The lock file.
    pub lockfile: Lockfile,
    /// Whether development dependencies are ignored.
    pub production: bool,
    /// Whether to look for packages that nothing requires.
    pub extra: bool,
    /// Whether to check what every installed package needs.
    pub transitive: bool,
}

impl NodeOptions {
    /// Resolves the options.
    ///
    /// # Errors
    /// Reported at their keys.
    pub fn resolve(self, place: &Place<'_>) -> Result<NodeSettings, Invalid> {
        let directory = match self.directory {
            None => Err(place.error(
                "directory is missing: write the directory with package.json, such as directory: /srv/web",
            )),
            Some(path) if path.file_name().is_some_and(|name| name == "package.json") => {
                Err(place.field("directory").error(format_args!(
                    "\"{}\" is a file: write its directory",
                    path.display()
                )))
            }
            Some(path) if !path.is_absolute() => Err(place.field("directory").error(format_args!(
                "\"{}\" is not an absolute path: write the whole path, such as /srv/web",
                path.display()
            ))),
            Some(path) => Ok(path),
        };
        let lockfile = match self.lockfile.as_deref() {
            None | Some("auto") => Ok(Lockfile::Auto),
            Some("none") => Ok(Lockfile::None),
            Some(path) if is_lock_file(path) => Ok(Lockfile::Path(path.into())),
            Some(other) => Err(place.field("lockfile").error(format_args!(
                "\"{other}\" is not the path of a lock file: write auto, none, or a path that ends in package-lock.json, \
                 npm-shrinkwrap.json, pnpm-lock.yaml or yarn.lock"
            ))),
        };
        Ok(NodeSettings {
            directory: directory?,
            lockfile: lockfile?,
            production: self.production,
            extra: self.extra,
            transitive: self.transitive,
        })
    }
}

/// Whether the file name is that of a lock file, which determines its format.
fn is_lock_file(path: &str) -> bool {
    Path::new(path)
        .file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| {
            matches!(
                name,
                "package-lock.json" | "npm-shrinkwrap.json" | "pnpm-lock.yaml" | "yarn.lock"
            )
        })
}

impl NodeSettings {
    /// The directory.
    pub fn target(&self) -> String {
        self.directory.display().to_string()
    }
}

impl super::KindFacts for NodeSettings {
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
        self.lockfile != Lockfile::Auto || self.production || self.extra || self.transitive
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::config::KindFacts;
    use crate::config::tests_support::resolve_json;

    fn resolve(json: Value) -> Result<NodeSettings, Vec<String>> {
        resolve_json(json, |options: NodeOptions, root| {
            options.resolve(&root.field("check"))
        })
    }

    #[test]
    fn a_directory_suffices() {
        let settings = resolve(json!({"directory": "/srv/web"})).unwrap();
        assert_eq!(settings.target(), "/srv/web");
        assert_eq!(settings.lockfile, Lockfile::Auto);
        assert!(!settings.production && !settings.extra && !settings.transitive);
        assert_eq!(settings.values_at_once("state"), Some(4));
        assert!(!settings.is_target_shortened());
    }

    #[test]
    fn lock_files_are_known_by_their_names() {
        for (text, expected) in [
            ("auto", Lockfile::Auto),
            ("none", Lockfile::None),
            ("../yarn.lock", Lockfile::Path("../yarn.lock".into())),
            (
                "/etc/web/package-lock.json",
                Lockfile::Path("/etc/web/package-lock.json".into()),
            ),
        ] {
            let settings =
                resolve(json!({"directory": "/srv/web", "lockfile": text, "extra": true})).unwrap();
            assert_eq!(settings.lockfile, expected);
            assert_eq!(settings.values_at_once("state"), Some(5));
        }
    }

    #[test]
    fn errors_name_their_keys() {
        let error = |json| resolve(json).unwrap_err().join("\n");
        assert!(error(json!({})).starts_with("check: directory is missing: "));
        assert!(
            error(json!({"directory": "srv"}))
                .starts_with("check.directory: \"srv\" is not an absolute path")
        );
        assert!(error(json!({"directory": "/srv/package.json"})).contains(" is a file: write its directory"));
        let both = error(json!({"directory": "x", "lockfile": "bun.lock"}));
        assert!(
            both.contains("check.lockfile: \"bun.lock\" is not the path of a lock file"),
            "{both}"
        );
    }
}
