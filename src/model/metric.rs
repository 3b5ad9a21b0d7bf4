//! What a metric family is declared with, and one measured value of a family.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::scrubber::Scrubber;

/// The type of a family, as the exposition formats name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricType {
    /// Only rises, except when the exporter starts anew; the name ends in `_total`.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Buckets, sum and count of observations.
    Histogram,
    /// Always 1; what it says is in its labels; the name ends in `_info`.
    Info,
}

/// The base unit of a family. Where there is one, the name bears it (before `_total`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A plain number.
    None,
    /// Seconds, Unix times included.
    Seconds,
    /// Bytes.
    Bytes,
}

/// What a family has one series (or set of series) for; it decides the leading labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The exporter itself; no leading labels.
    Exporter,
    /// A service: labels `service, group, tier`.
    Service,
    /// A check: labels `service, group, check`.
    Check,
    /// One request to `/probe`; no leading labels, and never part of `/metrics`.
    Probe,
}

impl Scope {
    /// The labels that every family of this scope begins with.
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
    /// The name as queries use it, unit and `_total`/`_info` included, without `_bucket`, `_sum`, `_count`.
    pub name: &'static str,
    /// Its type.
    pub metric_type: MetricType,
    /// Its unit.
    pub unit: Unit,
    /// What it has a series for.
    pub scope: Scope,
    /// The labels that follow those of the scope.
    pub labels: &'static [&'static str],
    /// One sentence of help: printable ASCII without backslash, double quote or line break.
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

    /// A gauge that `/probe` serves. The name, and whether it bears a unit, are blackbox_exporter's, so its unit is not declared.
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

    /// The same in this unit.
    #[must_use]
    pub const fn in_unit(mut self, unit: Unit) -> Self {
        self.unit = unit;
        self
    }
}

/// One value of a kind's own family, measured by one run. It lasts until the check's next run ends. In a probe's answer the
/// family is of scope [`Scope::Probe`].
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The family, of scope [`Scope::Check`] or [`Scope::Probe`].
    pub family: &'static Family,
    /// The values of `family.labels`, in that order. What comes from a target is bounded by the check.
    pub labels: Vec<Cow<'static, str>>,
    /// The value in the family's unit.
    pub value: f64,
}

impl Sample {
    /// Whether it has labels that may be a target's.
    pub fn has_texts(&self) -> bool {
        self.labels.iter().any(|label| matches!(label, Cow::Owned(_)))
    }

    /// Hides secrets in the labels. Of several samples that are the same series then, the first one stays.
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
