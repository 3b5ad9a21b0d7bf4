//! Declarations of metric families, and the samples of a family.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::scrubber::Scrubber;

/// The type of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricType {
    /// Only increases, except at a restart. The name ends in `_total`.
    Counter,
    /// Increases and decreases.
    Gauge,
    /// Buckets, sum and count of observations.
    Histogram,
    /// Always 1, with its information in labels. The name ends in `_info`.
    Info,
}

/// The base unit of a family. The name ends with it (before `_total`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A plain number.
    None,
    /// Seconds, including Unix times.
    Seconds,
    /// Bytes.
    Bytes,
}

/// The objects that a family has series for. It determines the first labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The exporter itself: no leading labels.
    Exporter,
    /// A service: labels `service, group, tier`.
    Service,
    /// A check: labels `service, group, check`.
    Check,
    /// One request to `/probe`: no leading labels, and not part of `/metrics`.
    Probe,
}

impl Scope {
    /// The first labels of every family of this scope.
    pub const fn labels(self) -> &'static [&'static str] {
        match self {
            Self::Exporter | Self::Probe => &[],
            Self::Service => &["service", "group", "tier"],
            Self::Check => &["service", "group", "check"],
        }
    }
}

/// The declaration of one metric family: a row of the metric table.
#[derive(Debug, PartialEq, Eq)]
pub struct Family {
    /// The name in queries: with unit and `_total` or `_info`, without `_bucket`, `_sum` and `_count`.
    pub name: &'static str,
    /// Its type.
    pub metric_type: MetricType,
    /// Its unit.
    pub unit: Unit,
    /// The objects that it has series for.
    pub scope: Scope,
    /// The labels after those of the scope.
    pub labels: &'static [&'static str],
    /// One sentence of help. It must be printable ASCII without backslashes, double quotes and line breaks.
    pub help: &'static str,
}

impl Family {
    /// A gauge of a check, without a unit.
    pub const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Self {
        Self {
            name,
            metric_type: MetricType::Gauge,
            unit: Unit::None,
            scope: Scope::Check,
            labels,
            help,
        }
    }

    /// A gauge of `/probe`. Names follow blackbox_exporter, with or without a unit, so no unit is declared.
    pub const fn probe(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Self {
        Self {
            name,
            metric_type: MetricType::Gauge,
            unit: Unit::None,
            scope: Scope::Probe,
            labels,
            help,
        }
    }

    /// Sets the unit.
    #[must_use]
    pub const fn in_unit(mut self, unit: Unit) -> Self {
        self.unit = unit;
        self
    }
}

/// A value that a run measured. It is exported until the next run of the check ends. In a response of `/probe` the family has the
/// scope [`Scope::Probe`].
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The family, of scope [`Scope::Check`] or [`Scope::Probe`].
    pub family: &'static Family,
    /// The values of `family.labels`, in that order. The check bounds values that come from a target.
    pub labels: Vec<Cow<'static, str>>,
    /// The value in the family's unit.
    pub value: f64,
}

impl Sample {
    /// Whether labels may contain text from a target.
    pub fn has_texts(&self) -> bool {
        self.labels.iter().any(|label| matches!(label, Cow::Owned(_)))
    }

    /// Hides secrets in the labels. If several samples become the same series, the first one stays.
    pub fn scrub(samples: &mut Vec<Self>, scrubber: &Scrubber) {
        let mut has_changed = false;
        for label in samples.iter_mut().flat_map(|sample| &mut sample.labels) {
            if let Cow::Owned(text) = label
                && let Cow::Owned(scrubbed) = scrubber.scrub(text)
            {
                *label = scrubbed.into();
                has_changed = true;
            }
        }
        if has_changed {
            let mut seen = BTreeSet::new();
            samples.retain(|sample| seen.insert((sample.family.name, sample.labels.clone())));
        }
    }
}
