//! The tables of Poetry in `pyproject.toml`: the names of what the project requires. Their versions are in the lock.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::environment::Environment;
use super::marker::{Marker, applies};
use super::name::Name;
use super::wanted::Selection;

/// The tables below `[tool.poetry]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct PoetryProject {
    /// The name of the project.
    pub name: Option<String>,
    dependencies: BTreeMap<String, PoetryDependency>,
    #[serde(rename = "dev-dependencies")]
    dev_dependencies: BTreeMap<String, PoetryDependency>,
    group: BTreeMap<String, PoetryGroup>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct PoetryGroup {
    dependencies: BTreeMap<String, PoetryDependency>,
}

/// A dependency of Poetry. Its version is in the lock.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum PoetryDependency {
    /// `name = { version = "^1.0", extras = ["x"] }`.
    Table(PoetryTable),
    /// Several tables, for different markers.
    Several(Vec<PoetryTable>),
    /// `name = "^1.0"`.
    Version(IgnoredAny),
}

/// The table of a dependency.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct PoetryTable {
    /// The extras of the package that are required.
    pub extras: Vec<String>,
    /// Whether only an extra of the project requires it.
    pub optional: bool,
    /// When it applies.
    pub markers: Option<String>,
}

/// A package that the project requires directly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// The package.
    pub name: Name,
    /// Its extras.
    pub extras: Vec<Name>,
}

impl PoetryProject {
    /// The packages that the project requires directly, with these groups.
    pub fn roots(&self, environment: &Environment, selection: &Selection) -> Vec<Root> {
        let is_selected = |group: &str| selection.groups.contains(&Name::normalize(group));
        let groups = self.group.iter().filter(|(group, _)| is_selected(group));
        let dev = is_selected("dev").then_some(&self.dev_dependencies);
        let tables = std::iter::once(&self.dependencies)
            .chain(dev)
            .chain(groups.map(|(_, group)| &group.dependencies));
        let packages = tables.flatten().filter(|(name, _)| *name != "python");
        packages
            .filter_map(|(name, dependency)| dependency.roots(name, environment))
            .collect()
    }
}

impl PoetryDependency {
    /// The package, if any of the tables applies.
    pub fn roots(&self, name: &str, environment: &Environment) -> Option<Root> {
        let tables = match self {
            Self::Version(_) => &[PoetryTable::default()][..],
            Self::Table(table) => std::slice::from_ref(table),
            Self::Several(tables) => tables,
        };
        let mut extras = BTreeSet::new();
        let mut is_required = false;
        for table in tables.iter().filter(|table| !table.optional) {
            let marker = table.markers.as_deref().map(Marker::parse);
            let applies = match marker {
                None => true,
                // A faulty marker must not hide a dependency.
                Some(Err(_)) => true,
                Some(Ok(marker)) => applies(Some(&marker), environment, &[]) != Ok(false),
            };
            is_required |= applies;
            if applies {
                extras.extend(table.extras.iter().map(|extra| Name::normalize(extra)));
            }
        }
        is_required.then(|| Root {
            name: Name::normalize(name),
            extras: extras.into_iter().collect(),
        })
    }
}
