//! Parses npm's lock files, versions 1 to 3: `package-lock.json`, `npm-shrinkwrap.json`, and `node_modules/.package-lock.json`, in
//! which npm records what it installed.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::MapAccess;

use super::loose::{Lenient, Loose};

/// The deepest nesting of `dependencies` in a lock of version 1. Real ones have fewer than 20 levels; `serde_json` stops at 128.
const MAX_DEPTH: usize = 100;

/// Where npm installs each package, by its location such as `node_modules/a/node_modules/b`. The project itself is not included.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PackageLock {
    /// The packages by location.
    pub packages: BTreeMap<String, LockedPackage>,
}

/// A package in npm's lock file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LockedPackage {
    /// The name of the package if it differs from the location.
    pub name: Option<String>,
    /// The version. Directories and repositories may have none.
    pub version: Option<String>,
    /// Where the package comes from. For a link, the directory it links to, relative to the project.
    pub resolved: Option<String>,
    /// The hash of the package file.
    pub integrity: Option<String>,
    /// Whether the location is a link to a directory.
    pub is_link: bool,
    /// Whether only development dependencies need it.
    pub is_dev: bool,
    /// Whether it may be absent: only optional dependencies need it.
    pub is_optional: bool,
    /// Whether either development or optional dependencies need it.
    pub is_dev_optional: bool,
}

/// Why a lock file of npm can't be used.
#[derive(Debug, thiserror::Error)]
pub enum PackageLockError {
    /// It is not JSON of the expected form.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// It has neither `packages` nor `dependencies`.
    #[error("neither packages nor dependencies found: is it a lock file of npm?")]
    Empty,
    /// `dependencies` are nested too deeply.
    #[error("dependencies are nested more than {MAX_DEPTH} levels deep")]
    TooDeep,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    packages: Option<Lenient<BTreeMap<String, Entry>>>,
    dependencies: Option<Lenient<BTreeMap<String, OldEntry>>>,
    lockfile_version: Option<u64>,
}

/// An entry of `packages` (versions 2 and 3).
#[derive(Clone, Debug, Default, PartialEq)]
struct Entry(LockedPackage);

/// An entry of `dependencies` (version 1, and version 2 for old versions of npm).
#[derive(Clone, Debug, Default, PartialEq)]
struct OldEntry {
    package: LockedPackage,
    below: BTreeMap<String, OldEntry>,
}

/// A value of an entry.
#[derive(Clone, Debug, Default, PartialEq)]
enum Field {
    Text(String),
    True,
    #[default]
    Other,
}

impl Loose for Field {
    fn from_text(text: String) -> Self {
        Self::Text(text)
    }

    fn from_bool(value: bool) -> Self {
        if value { Self::True } else { Self::Other }
    }
}

/// The value of `dependencies` in an entry of version 1. In versions 2 and 3 its values are ranges, which are ignored.
#[derive(Clone, Debug, Default, PartialEq)]
struct Below(BTreeMap<String, OldEntry>);

impl Loose for Below {
    fn from_map<'de, A: MapAccess<'de>>(map: A) -> Result<Self, A::Error> {
        BTreeMap::from_map(map).map(Self)
    }
}

impl LockedPackage {
    fn set(&mut self, key: &str, field: Field) {
        match (key, field) {
            ("name", Field::Text(text)) => self.name = Some(text),
            ("version", Field::Text(text)) => self.version = Some(text),
            ("resolved", Field::Text(text)) => self.resolved = Some(text),
            ("integrity", Field::Text(text)) => self.integrity = Some(text),
            ("link", Field::True) => self.is_link = true,
            ("dev", Field::True) => self.is_dev = true,
            // npm does not install what nothing needs any more.
            ("optional" | "extraneous", Field::True) => self.is_optional = true,
            ("devOptional", Field::True) => self.is_dev_optional = true,
            _ => {}
        }
    }
}

impl Loose for Entry {
    fn from_map<'de, A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        let mut package = LockedPackage::default();
        while let Some((key, Lenient(field))) = map.next_entry::<String, Lenient<Field>>()? {
            package.set(&key, field);
        }
        Ok(Self(package))
    }
}

impl Loose for OldEntry {
    fn from_map<'de, A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        let mut entry = Self::default();
        while let Some(key) = map.next_key::<String>()? {
            if key == "dependencies" {
                entry.below = map.next_value::<Lenient<Below>>()?.0.0;
            } else {
                let Lenient(field) = map.next_value::<Lenient<Field>>()?;
                entry.package.set(&key, field);
            }
        }
        // In version 1, the version of a package that is not from the registry is its specifier.
        let version = entry.package.version.take();
        match version {
            Some(alias) if alias.starts_with("npm:") => {
                if let Some((name, version)) = alias["npm:".len()..].rsplit_once('@') {
                    entry.package.name = Some(name.to_owned());
                    entry.package.version = Some(version.to_owned());
                }
            }
            Some(path) if path.starts_with("file:") && !super::specifier::is_tarball(&path) => {
                entry.package.is_link = true;
                entry.package.resolved = Some(path["file:".len()..].to_owned());
            }
            Some(url) if url.contains(':') => entry.package.resolved = Some(url),
            version => entry.package.version = version,
        }
        Ok(entry)
    }
}

impl PackageLock {
    /// Parses the text of a lock file.
    ///
    /// # Errors
    /// If it is not JSON of this form. The error names the line and column.
    pub fn parse(text: &str) -> Result<Self, PackageLockError> {
        let document: Document = serde_json::from_str(text.strip_prefix('\u{feff}').unwrap_or(text))?;
        if let Some(Lenient(packages)) = document.packages {
            let packages = packages.into_iter().filter(|(location, _)| !location.is_empty());
            return Ok(Self {
                packages: packages
                    .map(|(location, Entry(package))| (location, package))
                    .collect(),
            });
        }
        let mut packages = BTreeMap::new();
        match document.dependencies {
            Some(Lenient(dependencies)) => flatten(dependencies, "", 0, &mut packages)?,
            // npm omits `dependencies` if there are none.
            None if document.lockfile_version.is_some() => {}
            None => return Err(PackageLockError::Empty),
        }
        Ok(Self { packages })
    }
}

/// Converts the tree of version 1 into locations.
fn flatten(
    entries: BTreeMap<String, OldEntry>,
    parent: &str,
    depth: usize,
    packages: &mut BTreeMap<String, LockedPackage>,
) -> Result<(), PackageLockError> {
    if depth >= MAX_DEPTH {
        return Err(PackageLockError::TooDeep);
    }
    for (name, entry) in entries {
        // Not an object.
        if entry == OldEntry::default() {
            continue;
        }
        let location = match parent {
            "" => format!("node_modules/{name}"),
            _ => format!("{parent}/node_modules/{name}"),
        };
        flatten(entry.below, &location, depth + 1, packages)?;
        packages.insert(location, entry.package);
    }
    Ok(())
}

/// The name at the end of a location: `@s/b` for `node_modules/a/node_modules/@s/b`. A location outside of `node_modules` is a
/// directory of the project and has none.
pub fn name_of(location: &str) -> Option<&str> {
    let (before, name) = location.rsplit_once("node_modules/")?;
    (before.is_empty() || before.ends_with('/')).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_3_is_read() {
        let lock = PackageLock::parse(
            r#"{"name": "app", "lockfileVersion": 3, "packages": {
              "": {"dependencies": {"a": "^1"}},
              "node_modules/a": {"version": "1.0.0", "resolved": "x", "integrity": "sha512-x", "dependencies": {"b": "1"}},
              "node_modules/a/node_modules/@s/b": {"version": "2.0.0", "dev": true, "optional": true, "engines": ["node"]},
              "node_modules/alias": {"name": "real", "version": "3.0.0", "devOptional": true, "bin": {"x": "y"}},
              "node_modules/w": {"resolved": "packages/w", "link": true},
              "packages/w": {"name": "w", "version": 1}
            }, "dependencies": {"a": {"version": "0"}}}"#,
        )
        .unwrap();
        assert_eq!(lock.packages.len(), 5);
        let b = &lock.packages["node_modules/a/node_modules/@s/b"];
        assert!(b.is_dev && b.is_optional && !b.is_link);
        assert_eq!(lock.packages["node_modules/alias"].name.as_deref(), Some("real"));
        assert!(lock.packages["node_modules/alias"].is_dev_optional);
        let link = &lock.packages["node_modules/w"];
        assert_eq!(
            (link.is_link, link.resolved.as_deref()),
            (true, Some("packages/w"))
        );
        assert_eq!(lock.packages["packages/w"].version, None);
        assert_eq!(lock.packages["node_modules/a"].version.as_deref(), Some("1.0.0"));
    }

    #[test]
    fn version_1_becomes_locations() {
        let lock = PackageLock::parse(
            r#"{"lockfileVersion": 1, "requires": true, "dependencies": {
              "a": {"version": "1.0.0", "requires": {"b": "1"}, "dependencies": {
                "@s/b": {"version": "2.0.0", "dev": true, "optional": true}}},
              "alias": {"version": "npm:@s/real@3.0.0"},
              "g": {"version": "git+ssh://h/x.git#0123", "from": "x"},
              "t": {"version": "file:t.tgz", "integrity": "sha1-x"},
              "w": {"version": "file:packages/w"}
            }}"#,
        )
        .unwrap();
        let keys: Vec<_> = lock.packages.keys().map(String::as_str).collect();
        let expected = [
            "node_modules/a",
            "node_modules/a/node_modules/@s/b",
            "node_modules/alias",
            "node_modules/g",
            "node_modules/t",
            "node_modules/w",
        ];
        assert_eq!(keys, expected);
        let alias = &lock.packages["node_modules/alias"];
        assert_eq!(
            (alias.name.as_deref(), alias.version.as_deref()),
            (Some("@s/real"), Some("3.0.0"))
        );
        let git = &lock.packages["node_modules/g"];
        assert_eq!(
            (git.version.as_deref(), git.resolved.as_deref()),
            (None, Some("git+ssh://h/x.git#0123"))
        );
        assert!(lock.packages["node_modules/w"].is_link);
        assert!(!lock.packages["node_modules/t"].is_link);
    }

    #[test]
    fn broken_locks_are_errors() {
        for (text, expected) in [
            ("", "EOF while parsing a value at line 1 column 0"),
            (
                "{}",
                "neither packages nor dependencies found: is it a lock file of npm?",
            ),
            (
                "{\"packages\": {",
                "EOF while parsing an object at line 1 column 14",
            ),
            ("<<<<<<< HEAD", "expected value at line 1 column 1"),
        ] {
            assert_eq!(
                PackageLock::parse(text).unwrap_err().to_string(),
                expected,
                "{text}"
            );
        }
        assert_eq!(
            PackageLock::parse("{\"lockfileVersion\": 3}").unwrap(),
            PackageLock::default()
        );
        let deep = format!(
            "{{\"dependencies\": {}{}}}",
            "{\"a\": {\"dependencies\": ".repeat(200),
            "1}}".repeat(200)
        );
        assert!(PackageLock::parse(&deep).is_err());
    }

    #[test]
    fn locations_have_names() {
        for (location, name) in [
            ("node_modules/a", Some("a")),
            ("node_modules/a/node_modules/@s/b", Some("@s/b")),
            ("packages/a/node_modules/c", Some("c")),
            ("packages/a", None),
            ("old_node_modules/a", None),
        ] {
            assert_eq!(name_of(location), name, "{location}");
        }
    }
}
