//! The metric families of memcached checks.

use crate::model::{Family, MetricType, Scope, Unit};
use crate::net::certificates::{CERTIFICATE_NOT_AFTER, CERTIFICATE_NOT_BEFORE};

/// The version.
pub static VERSION_INFO: Family = Family {
    name: "upkeep_memcached_version_info",
    metric_type: MetricType::Info,
    unit: Unit::None,
    scope: Scope::Check,
    labels: &["version"],
    help: "Version of the server.",
};

/// Open connections.
pub static CONNECTIONS: Family = Family::gauge(
    "upkeep_memcached_connections",
    &[],
    "Open connections, including the one of this check.",
);

/// The limit of open connections.
pub static MAX_CONNECTIONS: Family = Family::gauge(
    "upkeep_memcached_max_connections",
    &[],
    "Maximum number of connections (-c).",
);

/// The configured limit of the ratio of open connections to their maximum.
pub static CONNECTION_RATIO_LIMIT: Family = Family::gauge(
    "upkeep_memcached_connection_ratio_limit",
    &[],
    "Configured ratio of connections to their maximum from which the check warns. Absent if not configured.",
);

/// Items.
pub static ITEMS: Family = Family::gauge("upkeep_memcached_items", &[], "Items that the server stores.");

/// Memory used by items.
pub static MEMORY_USED: Family = Family::gauge(
    "upkeep_memcached_memory_used_bytes",
    &[],
    "Memory used by stored items.",
)
.in_unit(Unit::Bytes);

/// The limit of the memory.
pub static MEMORY_LIMIT: Family = Family::gauge(
    "upkeep_memcached_memory_limit_bytes",
    &[],
    "Memory limit for stored items (-m).",
)
.in_unit(Unit::Bytes);

/// Evicted items.
pub static EVICTIONS: Family = Family {
    name: "upkeep_memcached_evictions_total",
    metric_type: MetricType::Counter,
    unit: Unit::None,
    scope: Scope::Check,
    labels: &[],
    help: "Items that the server removed to free memory (evictions), since its start.",
};

/// Requests by result.
pub static GETS: Family = Family {
    name: "upkeep_memcached_gets_total",
    metric_type: MetricType::Counter,
    unit: Unit::None,
    scope: Scope::Check,
    labels: &["result"],
    help: "Requests for keys by result (hit or miss), since the start of the server.",
};

/// The families of memcached checks.
pub const FAMILIES: &[&Family] = &[
    &VERSION_INFO,
    &CONNECTIONS,
    &MAX_CONNECTIONS,
    &CONNECTION_RATIO_LIMIT,
    &ITEMS,
    &MEMORY_USED,
    &MEMORY_LIMIT,
    &EVICTIONS,
    &GETS,
    &CERTIFICATE_NOT_AFTER,
    &CERTIFICATE_NOT_BEFORE,
];
