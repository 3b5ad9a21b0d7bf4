//! The metric families of redis checks.

use crate::model::{Family, MetricType, Scope, Unit};
use crate::net::tls::CERTIFICATE_NOT_AFTER;

/// Product and version.
pub static VERSION: Family = Family {
    name: "upkeep_redis_version_info",
    metric_type: MetricType::Info,
    unit: Unit::None,
    scope: Scope::Check,
    labels: &["server", "version"],
    help: "Product (redis, valkey) and version of the server.",
};

/// Its role.
pub static ROLE: Family = Family::gauge(
    "upkeep_redis_role",
    &["role"],
    "Role of the server: 1 for the current one of master, replica, sentinel.",
);

/// Clients.
pub static CONNECTED_CLIENTS: Family = Family::gauge(
    "upkeep_redis_connected_clients",
    &[],
    "Clients connected, replicas left out.",
);

/// How many clients there may be.
pub static MAX_CLIENTS: Family = Family::gauge(
    "upkeep_redis_max_clients",
    &[],
    "Clients that may be connected (maxclients).",
);

/// Memory.
pub static MEMORY_USED: Family = Family {
    unit: Unit::Bytes,
    ..Family::gauge(
        "upkeep_redis_memory_used_bytes",
        &[],
        "Memory that the server has allocated.",
    )
};

/// Its limit.
pub static MEMORY_LIMIT: Family = Family {
    unit: Unit::Bytes,
    ..Family::gauge(
        "upkeep_redis_memory_limit_bytes",
        &[],
        "Memory that the server may use (maxmemory); absent where there is no limit.",
    )
};

/// The configured share.
pub static MEMORY_RATIO_LIMIT: Family = Family::gauge(
    "upkeep_redis_memory_ratio_limit",
    &[],
    "Share of the memory limit from which on the check warns (max_memory_share); absent where not configured.",
);

/// A replica's link.
pub static LINK_UP: Family = Family::gauge(
    "upkeep_redis_replication_link_up",
    &[],
    "Whether the link to the master is up; replicas only.",
);

/// A master's replicas.
pub static CONNECTED_REPLICAS: Family = Family::gauge(
    "upkeep_redis_connected_replicas",
    &[],
    "Replicas connected; masters only.",
);

/// The replicas that a master requires to accept writes.
pub static MIN_REPLICAS: Family = Family::gauge(
    "upkeep_redis_min_replicas_to_write",
    &[],
    "Replicas that the master requires to accept writes (min-replicas-to-write); absent where it requires none, or \
     the user may not read the setting.",
);

/// Those that count for it.
pub static GOOD_REPLICAS: Family = Family::gauge(
    "upkeep_redis_good_replicas",
    &[],
    "Replicas that count for min-replicas-to-write; absent where the master requires none.",
);

/// The last save.
pub static LAST_SAVE: Family = Family::gauge(
    "upkeep_redis_last_save_successful",
    &[],
    "Whether the last save of all data (RDB) in the background succeeded.",
);

/// Keys.
pub static KEYS: Family = Family::gauge(
    "upkeep_redis_keys",
    &["db"],
    "Keys by number of the database: that of the check and the lowest others with keys, 64 at most.",
);

/// A cluster's state.
pub static CLUSTER_OK: Family = Family::gauge(
    "upkeep_redis_cluster_ok",
    &[],
    "Whether the node finds its cluster able to serve queries; cluster nodes only.",
);

/// A cluster's slots.
pub static CLUSTER_SLOTS: Family = Family::gauge(
    "upkeep_redis_cluster_slots",
    &["state"],
    "Hash slots by state, as the node sees them: ok, pfail (their node does not answer this one), fail (most masters \
     find their node failed), unassigned; cluster nodes only.",
);

/// A sentinel's masters.
pub static SENTINEL_MASTER_OK: Family = Family::gauge(
    "upkeep_redis_sentinel_master_ok",
    &["master"],
    "Whether the sentinel finds a master ok, by the master's name, 32 at most; sentinels only.",
);

/// All of them.
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
];
