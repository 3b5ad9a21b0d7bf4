//! The table of all metric families: those declared in this directory, and those of the kinds of checks.

use std::ptr;
use std::sync::LazyLock;

use super::row::Fill;
use super::{check, exporter, heal, own_process_rows, service};
use crate::check::families as families_of;
use crate::model::{CheckKind, Family};

/// An entry of the whole table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// The declaration.
    pub family: &'static Family,
    /// The source of its series.
    pub fill: Fill,
}

static TABLE: LazyLock<Vec<Entry>> = LazyLock::new(|| {
    let own = [
        exporter::ROWS,
        own_process_rows::ROWS,
        service::ROWS,
        heal::ROWS,
        check::ROWS,
    ];
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

/// The families of each kind, with their positions in the table.
static POSITIONS: LazyLock<[Vec<(&'static Family, usize)>; CheckKind::ALL.len()]> = LazyLock::new(|| {
    CheckKind::ALL.map(|kind| {
        let position = |family: &&'static Family| {
            let found = TABLE.binary_search_by_key(&family.name, |entry| entry.family.name);
            Some((*family, found.ok()?))
        };
        families_of(kind).iter().filter_map(position).collect()
    })
});

/// The position of the family of a sample of a check in [`entries`]. `None` if checks of this kind do not declare it.
pub(super) fn position(kind: CheckKind, family: &Family) -> Option<usize> {
    let of_kind = &POSITIONS[kind as usize];
    let is_same = |known: &&(&'static Family, usize)| ptr::eq(known.0, family);
    // A constant may have several addresses.
    let has_name = |known: &&(&'static Family, usize)| known.0.name == family.name;
    let found = of_kind
        .iter()
        .find(is_same)
        .or_else(|| of_kind.iter().find(has_name));
    found.map(|(_, position)| *position)
}

/// Every family of `/metrics`, sorted by name.
pub fn families() -> impl ExactSizeIterator<Item = &'static Family> {
    entries().iter().map(|entry| entry.family)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::names::{metadata_name, unit_name};
    use crate::model::{MetricType, Scope};

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

    #[test]
    fn samples_are_in_the_families_of_their_kind_only() {
        for kind in CheckKind::ALL {
            for family in families() {
                let declared = families_of(kind).iter().any(|known| known.name == family.name);
                let found = position(kind, family).map(|position| entries()[position].family.name);
                assert_eq!(found, declared.then_some(family.name), "{kind}");
                // The same declaration at another address.
                let copy = Family { ..*family };
                assert_eq!(
                    position(kind, &copy),
                    position(kind, family),
                    "{kind}: {}",
                    family.name
                );
            }
        }
    }
}
