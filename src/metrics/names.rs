//! Names of metrics and units in expositions and documentation.

use crate::model::{Family, MetricType, Unit};

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
