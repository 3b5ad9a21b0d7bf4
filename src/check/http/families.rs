//! The metric families of http checks.

use crate::model::{Family, MetricType, Scope, Unit};
use crate::net::certificates::{CERTIFICATE_NOT_AFTER, CERTIFICATE_NOT_BEFORE};

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

/// The date of the header Deprecation.
pub static DEPRECATION: Family = Family {
    name: "upkeep_http_deprecation_timestamp_seconds",
    metric_type: MetricType::Gauge,
    unit: Unit::Seconds,
    scope: Scope::Check,
    labels: &[],
    help: "Unix time from which the resource is deprecated, from the header Deprecation (RFC 9745) of the final response. Absent \
           without a valid header.",
};

/// The date of the header Sunset.
pub static SUNSET: Family = Family {
    name: "upkeep_http_sunset_timestamp_seconds",
    help: "Unix time at which the resource is expected to become unavailable, from the header Sunset (RFC 8594) of the final \
           response. Absent without a valid header.",
    ..DEPRECATION
};

/// The families of http checks.
pub const FAMILIES: &[&Family] = &[
    &STATUS_CODE,
    &PHASE_DURATION,
    &CERTIFICATE_NOT_AFTER,
    &CERTIFICATE_NOT_BEFORE,
    &DEPRECATION,
    &SUNSET,
    &EXTRACTED,
    &VERSION_INFO,
];
