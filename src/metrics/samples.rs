//! The samples of the last runs of all checks, by family.

use super::labels::SharedLabels;
use super::table;
use crate::model::Sample;
use crate::store::CheckView;

/// The samples of the last runs of all checks, by family. Otherwise each of the many families would search all checks.
#[derive(Debug)]
pub(super) struct SamplesByFamily<'a> {
    /// The samples of each family of the table, with the labels of their checks.
    groups: Vec<Vec<(&'a Sample, &'a SharedLabels)>>,
}

impl<'a> SamplesByFamily<'a> {
    /// Groups the samples of these checks. Within a family, they keep the order of the checks and of the runs' samples.
    pub fn new(checks: &[(&'a CheckView, &'a SharedLabels)]) -> Self {
        let mut groups = Vec::new();
        groups.resize_with(table::entries().len(), Vec::new);
        for (check, labels) in checks {
            let kind = check.settings.kind.kind();
            for sample in check.last_run.iter().flat_map(|run| &run.outcome.samples) {
                let position = table::position(kind, sample.family);
                if let Some(group) = position.and_then(|position| groups.get_mut(position)) {
                    group.push((sample, *labels));
                }
            }
        }
        Self { groups }
    }

    /// The samples of the family at `position` in the table.
    pub fn of(&self, position: usize) -> &[(&'a Sample, &'a SharedLabels)] {
        self.groups.get(position).map_or(&[], Vec::as_slice)
    }
}
