//! The samples that a dialogue adds to a probe. The families have blackbox_exporter's names and meanings.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use crate::model::{Family, Report};

/// Whether an expected line was not received.
pub static FAILED_DUE_TO_REGEX: Family = Family::probe(
    "probe_failed_due_to_regex",
    &[],
    "1 if the probe failed because the response did not match a regular expression, otherwise 0.",
);
/// Whether other bytes than expected were received.
pub static FAILED_DUE_TO_BYTES: Family = Family::probe(
    "probe_failed_due_to_bytes",
    &[],
    "1 if the probe failed because the response was not the expected bytes, otherwise 0.",
);
/// Labels extracted from lines. The configuration names the labels, so every set of labels has its own declaration with this
/// name and help.
pub static EXPECT_INFO: Family = Family::probe(
    "probe_expect_info",
    &[],
    "Always 1. The labels are extracted from the response, as configured.",
);

/// The families of a dialogue.
pub const PROBE_FAMILIES: &[&Family] = &[&FAILED_DUE_TO_REGEX, &FAILED_DUE_TO_BYTES, &EXPECT_INFO];

/// Declarations by their labels. A declaration lasts as long as the process. Reloaded configurations and further probe requests
/// with the same labels reuse it.
static DECLARED: LazyLock<Mutex<HashMap<Vec<String>, &'static Family>>> = LazyLock::new(Mutex::default);

/// A declaration of `probe_expect_info` with labels.
#[derive(Clone, Copy, Debug)]
pub struct ExpectInfo(&'static Family);

impl ExpectInfo {
    /// The declaration with these labels; `None` if there are none.
    pub fn new(labels: &[(String, String)]) -> Option<Self> {
        if labels.is_empty() {
            return None;
        }
        let names: Vec<String> = labels.iter().map(|(name, _)| name.clone()).collect();
        let mut declared = DECLARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(family) = declared.get(&names) {
            return Some(Self(family));
        }
        let labels: Vec<&'static str> = names.iter().map(|name| &*name.clone().leak()).collect();
        let family: &'static Family = Box::leak(Box::new(Family::probe(
            EXPECT_INFO.name,
            labels.leak(),
            EXPECT_INFO.help,
        )));
        declared.insert(names, family);
        Some(Self(family))
    }

    /// Adds a sample with these label values to the probe.
    pub fn record(self, values: Vec<String>, report: &mut Report) {
        let labels: Vec<Cow<'static, str>> = values.into_iter().map(Cow::Owned).collect();
        let is_present = |samples: &Vec<_>| {
            let mut samples = samples.iter();
            samples.any(|sample: &crate::model::Sample| sample.family == self.0 && sample.labels == labels)
        };
        // Two steps can extract the same values.
        if !report.probe.as_ref().is_some_and(is_present) {
            report.push_probe_sample(self.0, labels, 1.0);
        }
    }
}

/// Changes the value of a probe sample that was added before.
pub fn set_probe_sample(family: &'static Family, value: f64, report: &mut Report) {
    let mut samples = report.probe.iter_mut().flatten();
    if let Some(sample) = samples.find(|sample| sample.family == family) {
        sample.value = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_labels_have_one_declaration_and_equal_values_one_series() {
        let labels = [("a".to_owned(), "x".to_owned()), ("b".to_owned(), "y".to_owned())];
        let first = ExpectInfo::new(&labels).unwrap();
        let again = ExpectInfo::new(&labels.clone()).unwrap();
        assert!(std::ptr::eq(first.0, again.0));
        assert_eq!(
            (first.0.name, first.0.labels),
            ("probe_expect_info", &["a", "b"][..])
        );
        assert!(ExpectInfo::new(&[]).is_none());
        let mut report = Report {
            probe: Some(Vec::new()),
            ..Report::default()
        };
        for value in ["1", "1", "2"] {
            first.record(vec![value.to_owned(), String::new()], &mut report);
        }
        assert_eq!(report.probe.unwrap().len(), 2);
    }
}
