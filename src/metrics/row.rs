//! A row of the table of metrics: a family and the source of its series.

use super::views::ScrapeData;
use super::writer::Series;
use crate::model::{Family, MetricType, Scope, Unit};
use crate::store::{CheckView, HealState, ServiceView};

/// Where the series of a family come from. The functions write nothing if a value is absent.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fill {
    /// Called once.
    Exporter(fn(&ScrapeData, &mut Series<'_>)),
    /// Called for every service.
    Service(fn(&ServiceView, &mut Series<'_>)),
    /// Called for every service that is healed.
    Heal(fn(&HealState, &mut Series<'_>)),
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
            Fill::Service(_) | Fill::Heal(_) => Scope::Service,
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
