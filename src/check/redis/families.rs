//! The metric families of redis checks.

use crate::model::{Family, MetricType, Scope, Unit};
use crate::net::certificates::{CERTIFICATE_NOT_AFTER, CERTIFICATE_NOT_BEFORE};

/// Product and version of the server.
pub static VERSION: Family = Family {
    name: "upkeep_redis_version_info",
    metric_type: MetricType::Info,
    unit: Unit::None,
    scope: Scope::Check,
    labels: &["server", "version"],
    help: "Product (redis or valkey) and version of the server.",
};

/// The server's role.
pub static ROLE: Family = Family::gauge(
    "upkeep_redis_role",
    &["role"],
    "Role of the server, as Redis names it (master is a primary): 1 for the current role, 0 for the others.",
);

/// Connected clients.
pub static CONNECTED_CLIENTS: Family = Family::gauge(
    "upkeep_redis_connected_clients",
    &[],
    "Connected clients, without replicas.",
);

/// The limit of clients.
pub static MAX_CLIENTS: Family = Family::gauge(
    "upkeep_redis_max_clients",
    &[],
    "Maximum number of connected clients (maxclients).",
);

/// Used memory.
pub static MEMORY_USED: Family = Family {
    unit: Unit::Bytes,
    ..Family::gauge(
        "upkeep_redis_memory_used_bytes",
        &[],
        "Memory allocated by the server.",
    )
};

/// The memory limit.
pub static MEMORY_LIMIT: Family = Family {
    unit: Unit::Bytes,
    ..Family::gauge(
        "upkeep_redis_memory_limit_bytes",
        &[],
        "Memory limit of the server (maxmemory). Absent without a limit.",
    )
};

/// The configured limit of the used share.
pub static MEMORY_RATIO_LIMIT: Family = Family::gauge(
    "upkeep_redis_memory_ratio_limit",
    &[],
    "Configured ratio of used memory to the limit from which the check warns. Absent if not configured.",
);

/// A replica's link to its primary.
pub static LINK_UP: Family = Family::gauge(
    "upkeep_redis_replication_link_up",
    &[],
    "1 if the link to the primary is up, otherwise 0. Replicas only.",
);

/// A primary's replicas.
pub static CONNECTED_REPLICAS: Family = Family::gauge(
    "upkeep_redis_connected_replicas",
    &[],
    "Connected replicas. Primaries only.",
);

/// The replicas that a primary requires to accept writes.
pub static MIN_REPLICAS: Family = Family::gauge(
    "upkeep_redis_min_replicas_to_write",
    &[],
    "Replicas that the primary requires to accept writes (min-replicas-to-write). Absent if it requires none, or if \
     the user may not read the setting.",
);

/// The replicas that count towards that number.
pub static GOOD_REPLICAS: Family = Family::gauge(
    "upkeep_redis_good_replicas",
    &[],
    "Replicas that count for min-replicas-to-write. Absent if the primary requires none.",
);

/// The last save.
pub static LAST_SAVE: Family = Family::gauge(
    "upkeep_redis_last_save_successful",
    &[],
    "1 if the last background save (RDB) succeeded, otherwise 0.",
);

/// Number of keys.
pub static KEYS: Family = Family::gauge(
    "upkeep_redis_keys",
    &["db"],
    "Keys by database number. At most 64 databases: the one of the check, and the lowest others that have keys.",
);

/// A cluster's state.
pub static CLUSTER_OK: Family = Family::gauge(
    "upkeep_redis_cluster_ok",
    &[],
    "1 if the node reports that its cluster can serve queries, otherwise 0. Cluster nodes only.",
);

/// A cluster's slots.
pub static CLUSTER_SLOTS: Family = Family::gauge(
    "upkeep_redis_cluster_slots",
    &["state"],
    "Hash slots by state, as this node sees them: ok, pfail (this node gets no response), fail (a majority of \
     primaries agrees), unassigned. Cluster nodes only.",
);

/// The primaries that a sentinel watches.
pub static SENTINEL_MASTER_OK: Family = Family::gauge(
    "upkeep_redis_sentinel_master_ok",
    &["master"],
    "1 if the sentinel reports the primary of this name as ok, otherwise 0. At most 32 primaries. Sentinels only.",
);

/// All families of redis checks.
pub const FAMILIES: &[&Family] = &[
    &VERSION,
    &ROLE,
    &CONNECTED_CLIENTS,
    &MAX_CLIENTS,
    &MEMORY_USED,
    &MEMORY_LIMIT,
    &MEMORY_RATIO_LIMIT,
    &LINK_UP,
    &CONNECTED_REPLICAS,
    &MIN_REPLICAS,
    &GOOD_REPLICAS,
    &LAST_SAVE,
    &KEYS,
    &CLUSTER_OK,
    &CLUSTER_SLOTS,
    &SENTINEL_MASTER_OK,
    &CERTIFICATE_NOT_AFTER,
    &CERTIFICATE_NOT_BEFORE,
];
