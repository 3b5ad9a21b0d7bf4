//! Parses `pnpm-lock.yaml`, versions 5 (pnpm 6 and 7), 6 (pnpm 8) and 9 (pnpm 9 and later).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::MapAccess;

use super::loose::{Lenient, Loose};
use super::range::parse_version;

/// The maximum number of YAML events. A lock with 1,000 packages has about 30,000.
const MAX_EVENTS: usize = 4_000_000;
/// The deepest nesting. Real locks have six levels.
const MAX_DEPTH: usize = 64;

/// The parsed lock.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PnpmLock {
    /// What each project needs, by its directory relative to the lock: `.` is the directory of the lock.
    pub importers: BTreeMap<String, PnpmRequirements>,
    /// The packages by their key in the lock, such as `lodash@4.17.21`.
    pub packages: BTreeMap<String, PnpmPackage>,
}

/// What a project or package needs: names, and the references that [`PnpmLock::find`] resolves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PnpmRequirements {
    /// `dependencies`.
    pub production: BTreeMap<String, String>,
    /// `devDependencies`.
    pub development: BTreeMap<String, String>,
    /// `optionalDependencies`.
    pub optional: BTreeMap<String, String>,
}

/// A package in pnpm's lock file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PnpmPackage {
    /// The name and version if the package is from the registry, or if the lock states them.
    pub name: Option<String>,
    /// The version.
    pub version: Option<String>,
    /// What it needs.
    pub requirements: PnpmRequirements,
}

/// Why a lock file of pnpm can't be used.
#[derive(Debug, thiserror::Error)]
pub enum PnpmLockError {
    /// It is not YAML of the expected form.
    #[error("{0}")]
    Yaml(String),
    /// It has a version that is not supported.
    #[error("lockfileVersion {0} is not supported: use 5.x, 6.x or 9.x, or set lockfile: none")]
    Version(String),
    /// It has no version.
    #[error("lockfileVersion not found: is it a lock file of pnpm?")]
    NoVersion,
}

type References = BTreeMap<String, Reference>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    lockfile_version: Option<VersionText>,
    #[serde(default)]
    importers: Lenient<BTreeMap<String, Requirements>>,
    #[serde(default)]
    dependencies: Lenient<References>,
    #[serde(default)]
    dev_dependencies: Lenient<References>,
    #[serde(default)]
    optional_dependencies: Lenient<References>,
    #[serde(default)]
    packages: Lenient<BTreeMap<String, Package>>,
    #[serde(default)]
    snapshots: Lenient<BTreeMap<String, Package>>,
}

/// `5.4` is a number in YAML, `'6.0'` a string.
#[derive(Deserialize)]
#[serde(untagged)]
enum VersionText {
    Number(f64),
    Text(String),
}

/// A reference to a package: a text, or since version 6 a mapping with the text under `version`.
#[derive(Clone, Debug, Default, PartialEq)]
struct Reference(String);

impl Loose for Reference {
    fn from_text(text: String) -> Self {
        Self(text)
    }

    fn from_map<'de, A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        let mut found = Self::default();
        while let Some(key) = map.next_key::<String>()? {
            let Lenient(text) = map.next_value::<Lenient<Scalar>>()?;
            if key == "version" {
                found.0 = text.0;
            }
        }
        Ok(found)
    }
}

/// A string, or a number as it is written: YAML without quotes.
#[derive(Clone, Debug, Default, PartialEq)]
struct Scalar(String);

impl Loose for Scalar {
    fn from_text(text: String) -> Self {
        Self(text)
    }
}

/// The lists of a project.
#[derive(Clone, Debug, Default, PartialEq)]
struct Requirements(PnpmRequirements);

impl Loose for Requirements {
    fn from_map<'de, A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        let mut found = PnpmRequirements::default();
        while let Some(key) = map.next_key::<String>()? {
            let Lenient(list) = map.next_value::<Lenient<References>>()?;
            found.set(&key, list);
        }
        Ok(Self(found))
    }
}

impl PnpmRequirements {
    fn set(&mut self, key: &str, list: References) {
        let list = list
            .into_iter()
            .map(|(name, Reference(text))| (name, text))
            .filter(|(_, text)| !text.is_empty())
            .collect();
        match key {
            "dependencies" => self.production = list,
            "devDependencies" => self.development = list,
            "optionalDependencies" => self.optional = list,
            _ => {}
        }
    }
}

/// An entry of `packages` or `snapshots`.
#[derive(Clone, Debug, Default, PartialEq)]
struct Package {
    name: Option<String>,
    version: Option<String>,
    requirements: PnpmRequirements,
}

impl Loose for Package {
    fn from_map<'de, A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        let mut found = Self::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "name" => found.name = map.next_value::<Lenient<Option<String>>>()?.0,
                "version" => found.version = map.next_value::<Lenient<Option<String>>>()?.0,
                _ => {
                    let Lenient(list) = map.next_value::<Lenient<References>>()?;
                    found.requirements.set(&key, list);
                }
            }
        }
        Ok(found)
    }
}

impl PnpmLock {
    /// Parses the text of a lock file.
    ///
    /// # Errors
    /// If it is not YAML of this form, or has a version that is not supported.
    pub fn parse(text: &str) -> Result<Self, PnpmLockError> {
        let options = serde_yaml::options! {
            budget: serde_yaml::budget! {
                max_events: MAX_EVENTS,
                max_nodes: MAX_EVENTS,
                max_depth: MAX_DEPTH,
            },
            with_snippet: false,
        };
        let document: Document = serde_yaml::from_str_with_options(text, options)
            .map_err(|error| PnpmLockError::Yaml(error.to_string()))?;
        let version = match document.lockfile_version {
            Some(VersionText::Number(number)) => number.to_string(),
            Some(VersionText::Text(text)) => text,
            None => return Err(PnpmLockError::NoVersion),
        };
        if !matches!(version.split('.').next(), Some("5" | "6" | "9")) {
            return Err(PnpmLockError::Version(version));
        }
        let mut lock = Self {
            importers: document
                .importers
                .0
                .into_iter()
                .map(|(directory, requirements)| (directory, requirements.0))
                .collect(),
            packages: BTreeMap::new(),
        };
        // Before version 9, a lock of a single project has its lists at the top.
        if lock.importers.is_empty() {
            let mut own = PnpmRequirements::default();
            own.set("dependencies", document.dependencies.0);
            own.set("devDependencies", document.dev_dependencies.0);
            own.set("optionalDependencies", document.optional_dependencies.0);
            lock.importers.insert(".".to_owned(), own);
        }
        let packages = document.packages.0;
        if document.snapshots.0.is_empty() {
            for (key, entry) in packages {
                let package = entry.into_package(&key);
                lock.packages.insert(key, package);
            }
        } else {
            // Since version 9, `packages` has what is the same with all peers, and `snapshots` has what a package needs.
            for (key, snapshot) in document.snapshots.0 {
                let common = packages.get(without_peers(&key)).cloned().unwrap_or_default();
                let merged = Package {
                    requirements: snapshot.requirements,
                    ..common
                };
                let package = merged.into_package(&key);
                lock.packages.insert(key, package);
            }
        }
        Ok(lock)
    }

    /// The key of the package that `name` with this reference resolves to, and the package. `None` for a link to a directory, and if
    /// the lock does not have it.
    pub fn find(&self, name: &str, reference: &str) -> Option<(&str, &PnpmPackage)> {
        let candidates = [
            reference.to_owned(),
            format!("{name}@{reference}"),
            format!("/{name}@{reference}"),
            format!("/{name}/{reference}"),
        ];
        candidates.iter().find_map(|key| {
            let (key, package) = self.packages.get_key_value(key)?;
            Some((key.as_str(), package))
        })
    }
}

impl Package {
    fn into_package(self, key: &str) -> PnpmPackage {
        let (name, version) = match registry_name(key) {
            Some((name, version)) => (Some(name), Some(version)),
            None => (None, None),
        };
        PnpmPackage {
            name: self.name.or_else(|| name.map(str::to_owned)),
            version: self.version.or_else(|| version.map(str::to_owned)),
            requirements: self.requirements,
        }
    }
}

/// A key without the peers that the package was resolved with.
fn without_peers(key: &str) -> &str {
    key.split('(').next().unwrap_or(key)
}

/// The name and version in the key of a package from the registry: `/name/1.0.0_peers` (version 5), `/name@1.0.0(peers)` (6),
/// `name@1.0.0(peers)` (9).
fn registry_name(key: &str) -> Option<(&str, &str)> {
    let key = without_peers(key);
    let plain = key.strip_prefix('/').unwrap_or(key);
    let at = plain.get(1..)?.find('@').map(|at| at + 1);
    if let Some(at) = at {
        let (name, version) = (&plain[..at], &plain[at + 1..]);
        if !name.contains('/') || name.starts_with('@') && name.matches('/').count() == 1 {
            return parse_version(version).is_some().then_some((name, version));
        }
    }
    let (name, version) = plain.rsplit_once('/')?;
    let version = version.split('_').next()?;
    (key.starts_with('/') && parse_version(version).is_some()).then_some((name, version))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn describe(package: &PnpmPackage) -> String {
        let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "?".to_owned());
        let needs: Vec<_> = package
            .requirements
            .production
            .keys()
            .map(String::as_str)
            .collect();
        format!(
            "{} {} {}",
            text(&package.name),
            text(&package.version),
            needs.join(",")
        )
    }

    #[test]
    fn version_9_is_read() {
        let lock = PnpmLock::parse(
            "lockfileVersion: '9.0'\n\
             importers:\n  .:\n    dependencies:\n      a:\n        specifier: ^1\n        version: 1.0.0(p@2.0.0)\n\
             \x20     g:\n        specifier: x\n        version: git+file:///g.git#0123\n\
             \x20     n:\n        specifier: npm:real@^6\n        version: real@6.0.0\n\
             \x20   devDependencies:\n      w:\n        specifier: workspace:*\n        version: link:packages/w\n\
             \x20 packages/w: {}\n\
             packages:\n  a@1.0.0:\n    resolution: {integrity: sha512-x}\n    peerDependencies:\n      p: '*'\n\
             \x20 p@2.0.0:\n    resolution: {integrity: sha512-x}\n\
             \x20 real@6.0.0:\n    resolution: {integrity: sha512-x}\n\
             \x20 g@git+file:///g.git#0123:\n    resolution: {commit: '0123', repo: x, type: git}\n    version: 1.2.0\n\
             snapshots:\n  a@1.0.0(p@2.0.0):\n    dependencies:\n      p: 2.0.0\n    optionalDependencies:\n      o: 1.0.0\n\
             \x20 p@2.0.0: {}\n  real@6.0.0: {}\n  g@git+file:///g.git#0123: {}\n",
        )
        .unwrap();
        let own = &lock.importers["."];
        assert_eq!(lock.importers.len(), 2);
        let found = |name: &str| {
            let reference = own
                .production
                .get(name)
                .or_else(|| own.development.get(name))
                .unwrap();
            lock.find(name, reference)
                .map(|(key, package)| format!("{key}: {}", describe(package)))
        };
        assert_eq!(found("a").as_deref(), Some("a@1.0.0(p@2.0.0): a 1.0.0 p"));
        assert_eq!(found("n").as_deref(), Some("real@6.0.0: real 6.0.0 "));
        assert_eq!(found("g").as_deref(), Some("g@git+file:///g.git#0123: ? 1.2.0 "));
        assert_eq!(found("w"), None);
        let (_, a) = lock.find("a", "1.0.0(p@2.0.0)").unwrap();
        assert_eq!(a.requirements.optional["o"], "1.0.0");
    }

    #[test]
    fn versions_5_and_6_are_read() {
        let old = PnpmLock::parse(
            "lockfileVersion: 5.4\nspecifiers:\n  a: ^1\ndependencies:\n  a: 1.0.0_p@2.0.0\n  n: /@s/real/6.0.0\n\
             packages:\n\n  /a/1.0.0_p@2.0.0:\n    resolution: {integrity: x}\n    dependencies:\n      p: 2.0.0\n    dev: false\n\
             \x20 /p/2.0.0:\n    resolution: {integrity: x}\n\
             \x20 /@s/real/6.0.0:\n    resolution: {integrity: x}\n\
             \x20 file:lib:\n    name: lib\n    version: 1.0.0\n    dev: false\n",
        )
        .unwrap();
        let describe_key = |lock: &PnpmLock, name, reference| describe(lock.find(name, reference).unwrap().1);
        assert_eq!(old.importers["."].production["n"], "/@s/real/6.0.0");
        assert_eq!(describe_key(&old, "a", "1.0.0_p@2.0.0"), "a 1.0.0 p");
        assert_eq!(describe_key(&old, "n", "/@s/real/6.0.0"), "@s/real 6.0.0 ");
        assert_eq!(describe_key(&old, "lib", "file:lib"), "lib 1.0.0 ");
        let newer = PnpmLock::parse(
            "lockfileVersion: '6.0'\nimporters:\n  .:\n    dependencies:\n      a:\n        specifier: ^1\n        version: 1.0.0(p@2.0.0)\n\
             packages:\n  /a@1.0.0(p@2.0.0):\n    resolution: {integrity: x}\n  /@s/b@2.0.0: {}\n",
        )
        .unwrap();
        assert_eq!(describe_key(&newer, "a", "1.0.0(p@2.0.0)"), "a 1.0.0 ");
        assert_eq!(describe_key(&newer, "x", "/@s/b@2.0.0"), "@s/b 2.0.0 ");
    }

    #[test]
    fn broken_locks_are_errors() {
        for (text, expected) in [
            ("lockfileVersion: '7.0'", "lockfileVersion 7.0 is not supported"),
            ("importers: {}", "lockfileVersion not found"),
            ("lockfileVersion: '9.0'\nimporters: [", "line 2"),
            ("lockfileVersion: '9.0'\n<<<<<<< HEAD\nimporters: {}", "line "),
        ] {
            let error = PnpmLock::parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
        let deep = format!(
            "lockfileVersion: '9.0'\nimporters: {}{}",
            "[".repeat(5000),
            "]".repeat(5000)
        );
        assert!(PnpmLock::parse(&deep).is_err());
    }
}
