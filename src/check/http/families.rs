//! The metric families of http checks.

use crate::model::{Family, MetricType, Scope, Unit};
use crate::net::certificates::CERTIFICATE_NOT_AFTER;

/// The status code of the final response.
pub static STATUS_CODE: Family = Family {
    name: "upkeep_http_status_code",
    metric_type: MetricType::Gauge,
    unit: Unit::None,
    scope: Scope::Check,
    labels: &[],
    help: "Status code of the final response, 0 if there was none.",
};

/// The duration of every phase of the last run.
pub static PHASE_DURATION: Family = Family {
    name: "upkeep_http_phase_duration_seconds",
    metric_type: MetricType::Gauge,
    unit: Unit::Seconds,
    scope: Scope::Check,
    labels: &["phase"],
    help: "Duration of each phase of the last run, summed over redirects; 0 for phases that were not reached.",
};

/// Numbers extracted from the body.
pub static EXTRACTED: Family = Family {
    name: "upkeep_http_extracted",
    metric_type: MetricType::Gauge,
    unit: Unit::None,
    scope: Scope::Check,
    labels: &["name", "unit"],
    help: "Number extracted from the JSON body of the response, in the configured unit.",
};

/// The version extracted from the body.
pub static VERSION_INFO: Family = Family {
    name: "upkeep_service_version_info",
    metric_type: MetricType::Info,
    unit: Unit::None,
    scope: Scope::Check,
    labels: &["version"],
    help: "Version of the service, extracted from the JSON body of the response.",
};

/// The families of http checks.
pub const FAMILIES: &[&Family] = &[
    &STATUS_CODE,
    &PHASE_DURATION,
    &CERTIFICATE_NOT_AFTER,
    &EXTRACTED,
    &VERSION_INFO,
];
