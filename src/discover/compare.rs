//! Finds the projects of units, and compares their packages.

use std::collections::BTreeMap;
use std::path::Path;

use futures_util::{StreamExt, stream};
use tokio::time::{Instant, timeout_at};

use super::facts::{Facts, Project};
use super::memory::{ProjectOwner, Projects, project_owner};
use super::plumbing::is_plumbing;
use super::projects;
use crate::check::CheckContext;

/// How many projects are compared at once. They read many files.
const MAX_PROJECTS: usize = 4;

/// The projects of the units, by the name of the unit, and whether all units were examined by the deadline. Those in `known` are not
/// read again.
pub async fn compare(
    facts: &Facts,
    procfs: &Path,
    known: &Projects,
    deadline: Instant,
) -> (BTreeMap<String, Vec<Project>>, bool) {
    let context = CheckContext::new(procfs.to_owned());
    let mut found = BTreeMap::new();
    let mut wanted: Vec<ProjectOwner> = Vec::new();
    for unit in facts.units.iter().filter(|unit| !is_plumbing(unit, true)) {
        let owner = project_owner(unit);
        match known.get(&owner) {
            Some(projects) => drop(found.insert(unit.name.clone(), projects.clone())),
            None => wanted.push(owner),
        }
    }
    let finds = stream::iter(wanted).map(|(unit, directory, program)| {
        let context = context.clone();
        async move { (unit, projects::find(directory, program, &context).await) }
    });
    let mut finds = finds.buffer_unordered(MAX_PROJECTS);
    loop {
        match timeout_at(deadline, finds.next()).await {
            Ok(Some((unit, projects))) => {
                if !projects.is_empty() {
                    found.insert(unit, projects);
                }
            }
            Ok(None) => return (found, true),
            Err(_) => return (found, false),
        }
    }
}
