//! The table of all metric families: those declared in this folder, and those of the kinds of checks.

use std::sync::LazyLock;

use super::writer::Series;
use super::{Exposition, check, exporter, own_process, service};
use crate::check::families as families_of;
use crate::model::{CheckKind, Family, MetricType, Scope, Unit};
use crate::store::{CheckView, ServiceView};

/// Where the series of a family come from. The functions write nothing if a value is absent.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fill {
    /// Called once.
    Exporter(fn(&Exposition, &mut Series<'_>)),
    /// Called for every service.
    Service(fn(&ServiceView, &mut Series<'_>)),
    /// Called for every check.
    Check(fn(&CheckView, &mut Series<'_>)),
    /// The samples of this family in the last run of each check.
    Samples,
}

/// A family and the source of its series.
#[derive(Debug)]
pub(super) struct Row {
    /// The declaration.
    pub family: Family,
    /// The source of its series.
    pub fill: Fill,
}

impl Row {
    /// A row without a unit, and without labels other than those of its scope.
    pub const fn new(name: &'static str, metric_type: MetricType, fill: Fill, help: &'static str) -> Self {
        let scope = match fill {
            Fill::Exporter(_) => Scope::Exporter,
            Fill::Service(_) => Scope::Service,
            Fill::Check(_) | Fill::Samples => Scope::Check,
        };
        Self {
            family: Family {
                name,
                metric_type,
                unit: Unit::None,
                scope,
                labels: &[],
                help,
            },
            fill,
        }
    }

    /// Sets the unit.
    pub const fn in_unit(mut self, unit: Unit) -> Self {
        self.family.unit = unit;
        self
    }

    /// Sets the labels that follow those of the scope.
    pub const fn with_labels(mut self, labels: &'static [&'static str]) -> Self {
        self.family.labels = labels;
        self
    }
}

/// An entry of the whole table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// The declaration.
    pub family: &'static Family,
    /// The source of its series.
    pub fill: Fill,
}

static TABLE: LazyLock<Vec<Entry>> = LazyLock::new(|| {
    let own = [exporter::ROWS, own_process::ROWS, service::ROWS, check::ROWS];
    let mut table: Vec<Entry> = own
        .into_iter()
        .flatten()
        .map(|row| Entry {
            family: &row.family,
            fill: row.fill,
        })
        .chain(
            CheckKind::ALL
                .into_iter()
                .flat_map(families_of)
                .map(|family| Entry {
                    family,
                    fill: Fill::Samples,
                }),
        )
        .collect();
    table.sort_by_key(|entry| entry.family.name);
    // Kinds may share a family, such as that of the certificate.
    table.dedup_by(|later, earlier| later.family == earlier.family);
    table
});

/// Every family and the source of its series, sorted by name.
pub(super) fn entries() -> &'static [Entry] {
    &TABLE
}

/// Every family of `/metrics`, sorted by name.
pub fn families() -> impl ExactSizeIterator<Item = &'static Family> {
    entries().iter().map(|entry| entry.family)
}

/// The name in the metadata of OpenMetrics: without `_total` and `_info`.
pub(super) fn metadata_name(family: &Family) -> &'static str {
    let suffix = match family.metric_type {
        MetricType::Counter => "_total",
        MetricType::Info => "_info",
        MetricType::Gauge | MetricType::Histogram => "",
    };
    family.name.strip_suffix(suffix).unwrap_or(family.name)
}

/// The name of a unit in metric names, metadata and documentation.
pub(super) const fn unit_name(unit: Unit) -> Option<&'static str> {
    match unit {
        Unit::None => None,
        Unit::Seconds => Some("seconds"),
        Unit::Bytes => Some("bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_name(text: &str) -> bool {
        text.starts_with(|c: char| c.is_ascii_lowercase())
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
            && !text.contains("__")
            && !text.ends_with('_')
    }

    #[test]
    fn names_are_unique_sorted_and_prefixed() {
        let names: Vec<_> = families().map(|family| family.name).collect();
        assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
        for name in names {
            assert!(is_name(name), "{name}");
            assert!(
                name.starts_with("upkeep_") || name.starts_with("process_"),
                "{name}"
            );
        }
    }

    #[test]
    fn names_end_with_unit_and_type() {
        for family in families() {
            let Family { name, .. } = family;
            assert_eq!(
                name.ends_with("_total"),
                family.metric_type == MetricType::Counter,
                "{name}"
            );
            assert_eq!(
                name.ends_with("_info"),
                family.metric_type == MetricType::Info,
                "{name}"
            );
            let name_and_unit = metadata_name(family);
            match unit_name(family.unit) {
                Some(unit) => assert!(
                    name_and_unit.ends_with(&format!("_{unit}")),
                    "{name} lacks _{unit}"
                ),
                None => assert!(
                    !["_seconds", "_bytes"]
                        .iter()
                        .any(|unit| name_and_unit.ends_with(unit)),
                    "{name} has an undeclared unit"
                ),
            }
            for reserved in ["_bucket", "_sum", "_count", "_created"] {
                assert!(!name.ends_with(reserved), "{name}");
            }
        }
    }

    #[test]
    fn labels_are_legal_and_distinct() {
        for family in families() {
            let mut labels: Vec<_> = family.scope.labels().iter().chain(family.labels).collect();
            for label in &labels {
                assert!(is_name(label) && **label != "le", "{}: {label}", family.name);
            }
            let all = labels.len();
            labels.sort();
            labels.dedup();
            assert_eq!(labels.len(), all, "{} repeats a label", family.name);
        }
    }

    #[test]
    fn help_is_one_plain_sentence() {
        for Family { name, help, .. } in families() {
            assert!(help.len() > 10 && help.ends_with('.'), "{name}: {help}");
            assert!(
                help.bytes()
                    .all(|b| (b' '..=b'~').contains(&b) && b != b'\\' && b != b'"'),
                "{name}: {help}"
            );
        }
    }

    #[test]
    fn families_of_kinds_are_of_checks() {
        for family in CheckKind::ALL.into_iter().flat_map(families_of) {
            assert_eq!(family.scope, Scope::Check, "{}", family.name);
            assert!(
                family.metric_type != MetricType::Histogram,
                "{}: a sample is one number",
                family.name
            );
        }
    }
}
