//! Parses `package.json`: of the project, of its workspaces and of installed packages.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::loose::{Lenient, Loose};

/// The fields of a `package.json` that say what a package is and what it needs. Fields of the wrong type are ignored, as npm does.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Manifest {
    /// The name of the package.
    pub name: Option<String>,
    /// The version of the package.
    pub version: Option<String>,
    /// What the package needs where it is installed, sorted by name. Each name occurs once.
    pub requirements: Vec<Requirement>,
    /// `devDependencies` that are not in other lists. Only projects and workspaces need them. Peers may be in both lists.
    pub development: Vec<Requirement>,
    /// The patterns of directories with workspaces.
    pub workspaces: Vec<String>,
    /// Versions that replace the requested ones: pairs of a name and a specifier, from `overrides` (npm), `resolutions` (yarn) and
    /// `pnpm.overrides`.
    pub overrides: Vec<(String, String)>,
    /// The value of `packageManager`, such as `pnpm@10.1.0`.
    pub package_manager: Option<String>,
}

/// A package that another package needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// The name under which the package is installed.
    pub name: String,
    /// The specifier as written, such as `^1.2.0` or `npm:other@2`.
    pub specifier: String,
    /// The list that contains it.
    pub kind: RequirementKind,
}

/// The list of a `package.json` that contains a requirement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequirementKind {
    /// `dependencies`.
    Production,
    /// `devDependencies`.
    Development,
    /// `optionalDependencies`: the package may be absent.
    Optional,
    /// `peerDependencies`.
    Peer,
    /// `peerDependencies` that `peerDependenciesMeta` marks as optional.
    OptionalPeer,
}

impl RequirementKind {
    /// Whether the package may be absent.
    pub const fn is_optional(self) -> bool {
        matches!(self, Self::Optional | Self::OptionalPeer)
    }
}

type Names = BTreeMap<String, Option<String>>;

#[derive(Default)]
struct Document {
    name: Lenient<Option<String>>,
    version: Lenient<Option<String>>,
    dependencies: Lenient<Names>,
    dev_dependencies: Lenient<Names>,
    optional_dependencies: Lenient<Names>,
    peer_dependencies: Lenient<Names>,
    peer_dependencies_meta: Lenient<BTreeMap<String, PeerMeta>>,
    workspaces: Lenient<Workspaces>,
    overrides: Lenient<Overrides>,
    resolutions: Lenient<Overrides>,
    pnpm: Lenient<Pnpm>,
    package_manager: Lenient<Option<String>>,
}

/// Of a key that occurs twice, the last value counts, as in JavaScript. A derived implementation would reject it.
impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Document;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Document, A::Error> {
                let mut document = Document::default();
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "name" => document.name = map.next_value()?,
                        "version" => document.version = map.next_value()?,
                        "dependencies" => document.dependencies = map.next_value()?,
                        "devDependencies" => document.dev_dependencies = map.next_value()?,
                        "optionalDependencies" => document.optional_dependencies = map.next_value()?,
                        "peerDependencies" => document.peer_dependencies = map.next_value()?,
                        "peerDependenciesMeta" => document.peer_dependencies_meta = map.next_value()?,
                        "workspaces" => document.workspaces = map.next_value()?,
                        "overrides" => document.overrides = map.next_value()?,
                        "resolutions" => document.resolutions = map.next_value()?,
                        "pnpm" => document.pnpm = map.next_value()?,
                        "packageManager" => document.package_manager = map.next_value()?,
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(document)
            }
        }

        deserializer.deserialize_map(Fields)
    }
}

/// The entry of a peer in `peerDependenciesMeta`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct PeerMeta {
    is_optional: bool,
}

impl Loose for PeerMeta {
    fn from_map<'de, A: MapAccess<'de>>(map: A) -> Result<Self, A::Error> {
        let entries = BTreeMap::<String, bool>::from_map(map)?;
        Ok(Self {
            is_optional: entries.get("optional") == Some(&true),
        })
    }
}

/// `workspaces`: a list, or yarn's mapping with the list under `packages`.
#[derive(Clone, Debug, Default, PartialEq)]
struct Workspaces(Vec<String>);

impl Loose for Workspaces {
    fn from_list<'de, A: SeqAccess<'de>>(list: A) -> Result<Self, A::Error> {
        Vec::from_list(list).map(Self)
    }

    fn from_map<'de, A: MapAccess<'de>>(map: A) -> Result<Self, A::Error> {
        let mut lists = BTreeMap::<String, Vec<String>>::from_map(map)?;
        Ok(Self(lists.remove("packages").unwrap_or_default()))
    }
}

/// `overrides`, flattened: every name with every specifier, wherever it is nested.
#[derive(Clone, Debug, Default, PartialEq)]
struct Overrides(Vec<(String, String)>);

/// The value of an override: a specifier, or overrides below a package.
#[derive(Clone, Debug, Default, PartialEq)]
struct Override {
    specifier: Option<String>,
    below: Overrides,
}

impl Loose for Override {
    fn from_text(text: String) -> Self {
        Self {
            specifier: Some(text),
            ..Self::default()
        }
    }

    fn from_map<'de, A: MapAccess<'de>>(map: A) -> Result<Self, A::Error> {
        Overrides::from_map(map).map(|below| Self {
            specifier: None,
            below,
        })
    }
}

impl Loose for Overrides {
    fn from_map<'de, A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        let mut pairs = Vec::new();
        while let Some((key, Lenient(value))) = map.next_entry::<String, Lenient<Override>>()? {
            let name = overridden_name(&key);
            pairs.extend(value.specifier.map(|specifier| (name.to_owned(), specifier)));
            for (inner, specifier) in value.below.0 {
                // "." is the package of the key itself.
                let inner = if inner == "." { name.to_owned() } else { inner };
                pairs.push((inner, specifier));
            }
        }
        Ok(Self(pairs))
    }
}

/// The name in a key of overrides: `name`, `name@range`, `parent>name` (pnpm) or `parent/**/name` (yarn).
fn overridden_name(key: &str) -> &str {
    // A range can contain `>`, but only after a space or an `@`.
    let last = match key.rfind('>') {
        Some(at) if !key[..at].ends_with(['@', ' ']) => &key[at + 1..],
        _ => key,
    };
    // The `@` of a scope is at the start or follows a `/`.
    let range = last
        .char_indices()
        .skip(1)
        .find(|(at, character)| *character == '@' && !last[..*at].ends_with('/'));
    let name = range.map_or(last, |(at, _)| &last[..at]);
    match name.rfind('/') {
        Some(at) => {
            let scope = name[..at].rfind('/').map_or(0, |before| before + 1);
            if name[scope..].starts_with('@') {
                &name[scope..]
            } else {
                &name[at + 1..]
            }
        }
        None => name,
    }
}

/// The key `pnpm` of a `package.json`.
#[derive(Clone, Debug, Default, PartialEq)]
struct Pnpm(Overrides);

#[derive(Clone, Debug, Default, PartialEq)]
struct PnpmValue(Overrides);

impl Loose for PnpmValue {
    fn from_map<'de, A: MapAccess<'de>>(map: A) -> Result<Self, A::Error> {
        Overrides::from_map(map).map(Self)
    }
}

impl Loose for Pnpm {
    fn from_map<'de, A: MapAccess<'de>>(map: A) -> Result<Self, A::Error> {
        let mut values = BTreeMap::<String, PnpmValue>::from_map(map)?;
        Ok(Self(values.remove("overrides").unwrap_or_default().0))
    }
}

impl Manifest {
    /// Parses the text of a `package.json`.
    ///
    /// # Errors
    /// If it is not a JSON object. The error names the line and column.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        // npm accepts a byte order mark.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        // serde would take the elements of a list for the fields.
        if text.trim_start().starts_with('[') {
            return Err(serde::de::Error::custom("expected an object, found a list"));
        }
        let document: Document = serde_json::from_str(text)?;
        Ok(document.into())
    }

    /// What a project or a workspace needs; with `production`, without development dependencies.
    pub fn project_requirements(&self, production: bool) -> impl Iterator<Item = &Requirement> {
        let development: &[Requirement] = if production { &[] } else { &self.development };
        // A package that is a peer for users is often a development dependency in its own project.
        let is_peer_only = |requirement: &&Requirement| {
            development
                .binary_search_by(|other| other.name.cmp(&requirement.name))
                .is_err()
        };
        self.requirements.iter().filter(is_peer_only).chain(development)
    }
}

impl From<Document> for Manifest {
    fn from(document: Document) -> Self {
        let is_optional_peer = |name: &str| {
            let meta = document.peer_dependencies_meta.0.get(name);
            meta.is_some_and(|meta| meta.is_optional)
        };
        let mut requirements = BTreeMap::new();
        add(&mut requirements, &document.peer_dependencies.0, |name| {
            if is_optional_peer(name) {
                RequirementKind::OptionalPeer
            } else {
                RequirementKind::Peer
            }
        });
        // npm gives optional dependencies precedence over others, and all of them over development dependencies.
        add(&mut requirements, &document.dependencies.0, |_| {
            RequirementKind::Production
        });
        add(&mut requirements, &document.optional_dependencies.0, |_| {
            RequirementKind::Optional
        });
        let mut development = BTreeMap::new();
        add(&mut development, &document.dev_dependencies.0, |_| {
            RequirementKind::Development
        });
        development.retain(|name, _| {
            !document.dependencies.0.contains_key(name)
                && !document.optional_dependencies.0.contains_key(name)
        });
        let mut overrides = document.overrides.0.0;
        overrides.extend(document.resolutions.0.0);
        overrides.extend(document.pnpm.0.0.0);
        Self {
            name: document.name.0,
            version: document.version.0,
            requirements: requirements.into_values().collect(),
            development: development.into_values().collect(),
            workspaces: document.workspaces.0.0,
            overrides,
            package_manager: document.package_manager.0,
        }
    }
}

fn add(
    requirements: &mut BTreeMap<String, Requirement>,
    names: &Names,
    kind_of: impl Fn(&str) -> RequirementKind,
) {
    for (name, specifier) in names {
        if let Some(specifier) = specifier {
            let requirement = Requirement {
                name: name.clone(),
                specifier: specifier.trim().to_owned(),
                kind: kind_of(name),
            };
            requirements.insert(name.clone(), requirement);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(manifest: &Manifest, production: bool) -> String {
        let words = manifest.project_requirements(production).map(|requirement| {
            format!(
                "{}@{} {:?}",
                requirement.name, requirement.specifier, requirement.kind
            )
        });
        words.collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn each_name_has_the_kind_that_npm_gives_it() {
        let manifest = Manifest::parse(
            r#"{
              "name": "app", "version": "1.0.0", "packageManager": "pnpm@10.1.0",
              "dependencies": {"a": "^1", "both": "1", "x": 5},
              "devDependencies": {"a": "^2", "d": " 1 ", "peer-and-dev": "3"},
              "optionalDependencies": {"both": "2"},
              "peerDependencies": {"p": "4", "q": "5", "peer-and-dev": "1"},
              "peerDependenciesMeta": {"q": {"optional": true}, "p": {"optional": false}}
            }"#,
        )
        .unwrap();
        assert_eq!(
            words(&manifest, false),
            "a@^1 Production, both@2 Optional, p@4 Peer, q@5 OptionalPeer, d@1 Development, \
             peer-and-dev@3 Development"
        );
        assert_eq!(
            words(&manifest, true),
            "a@^1 Production, both@2 Optional, p@4 Peer, peer-and-dev@1 Peer, q@5 OptionalPeer"
        );
        assert_eq!(manifest.package_manager.as_deref(), Some("pnpm@10.1.0"));
    }

    #[test]
    fn fields_of_the_wrong_type_are_ignored() {
        let manifest = Manifest::parse(
            "\u{feff}{\"name\": 1, \"version\": null, \"dependencies\": [\"a\"], \"devDependencies\": true, \
             \"peerDependenciesMeta\": {\"a\": 1.5, \"b\": -1}, \"workspaces\": [1, \"p/*\"], \"overrides\": \"x\"}",
        )
        .unwrap();
        let expected = Manifest {
            workspaces: vec!["p/*".to_owned()],
            ..Manifest::default()
        };
        assert_eq!(manifest, expected);
        let twice = Manifest::parse(r#"{"version": "1.0.0", "version": "2.0.0", "x": 1, "x": 2}"#).unwrap();
        assert_eq!(twice.version.as_deref(), Some("2.0.0"));
        for text in ["", "[]x", "{", "null", "\"a\"", "[1]"] {
            assert!(Manifest::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn overrides_of_all_package_managers_are_flattened() {
        let manifest = Manifest::parse(
            r#"{
              "workspaces": {"packages": ["a", "b/*"], "nohoist": ["c"]},
              "overrides": {"a": "1", "b@^2": {".": "2.1", "@s/c": "3"}},
              "resolutions": {"d/**/e": "4", "@s/f": "5", "g/@s/h": "6"},
              "pnpm": {"overrides": {"i>j": "7", "k@>1": "8"}, "other": []}
            }"#,
        )
        .unwrap();
        let pairs: Vec<_> = manifest
            .overrides
            .iter()
            .map(|(name, specifier)| format!("{name}={specifier}"))
            .collect();
        let expected = "a=1 b=2.1 @s/c=3 @s/f=5 e=4 @s/h=6 j=7 k=8";
        let mut expected: Vec<_> = expected.split(' ').collect();
        let mut pairs: Vec<_> = pairs.iter().map(String::as_str).collect();
        expected.sort_unstable();
        pairs.sort_unstable();
        assert_eq!(pairs, expected);
        assert_eq!(manifest.workspaces, ["a", "b/*"]);
    }
}
