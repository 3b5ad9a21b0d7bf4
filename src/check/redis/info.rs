//! Parses the text of INFO: lines of `key:value` under headings. Pure; does not panic on any text.

use crate::model::{is_invisible, prefix};

/// The maximum number of databases whose keys are reported.
pub const MAX_DATABASES: usize = 64;
/// The maximum number of primaries that are read from a sentinel.
pub const MAX_MASTERS: usize = 32;
/// The maximum length of a text that becomes a label or is quoted, in bytes.
const MAX_TEXT_BYTES: usize = 64;

/// The role of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Accepts writes.
    Master,
    /// Follows a primary.
    Replica,
    /// Watches primaries.
    Sentinel,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 3] = [Self::Master, Self::Replica, Self::Sentinel];

    /// The label's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::Replica => "replica",
            Self::Sentinel => "sentinel",
        }
    }
}

/// A replica's link to its primary.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Whether it is up.
    pub is_up: Option<bool>,
    /// The primary's host.
    pub host: String,
    /// The primary's port.
    pub port: String,
    /// How long the link has been down.
    pub down_seconds: Option<u64>,
    /// Whether the replica is copying all of the primary's data.
    pub is_copying: bool,
}

/// A primary that a sentinel watches. Redis calls it a master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Master {
    /// Its name in the sentinel.
    pub name: String,
    /// `ok`, `sdown` (this sentinel considers it down) or `odown` (enough sentinels do).
    pub status: String,
}

/// The values of INFO. A value that is missing or has an unexpected form is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Info {
    /// The product's name, such as `valkey`. Redis does not report one.
    server_name: Option<String>,
    redis_version: Option<String>,
    valkey_version: Option<String>,
    /// The server's role.
    pub role: Option<Role>,
    /// Connected clients, without replicas.
    pub connected_clients: Option<u64>,
    /// The limit of clients.
    pub max_clients: Option<u64>,
    /// Used memory, in bytes.
    pub memory_used: Option<u64>,
    /// The memory limit (maxmemory), in bytes; absent if there is none.
    pub memory_limit: Option<u64>,
    /// Whether the last save of all data succeeded.
    pub is_last_save_ok: Option<bool>,
    /// A replica's link to its primary.
    pub link: Link,
    /// Connected replicas.
    pub connected_replicas: Option<u64>,
    /// The replicas that count for `min-replicas-to-write`; absent if the setting requires none.
    pub good_replicas: Option<u64>,
    /// Whether the server is a cluster node.
    pub is_cluster_node: bool,
    /// Whether INFO has a section about databases. A database without keys has no line in it.
    pub has_keyspace: bool,
    /// The number of keys by database number, ascending.
    pub keys: Vec<(u32, u64)>,
    /// The primaries that a sentinel watches.
    pub masters: Vec<Master>,
}

impl Info {
    /// Parses the text.
    pub fn parse(text: &str) -> Self {
        let mut info = Self::default();
        for line in text.lines() {
            match line.split_once(':') {
                Some((key, value)) => info.read(key, value.trim_end()),
                None if line.trim_end() == "# Keyspace" => info.has_keyspace = true,
                None => {}
            }
        }
        info.keys.sort_unstable();
        info.keys.dedup_by_key(|(database, _)| *database);
        info
    }

    fn read(&mut self, key: &str, value: &str) {
        let number = || value.parse::<u64>().ok();
        let is = |yes: &str, no: &str| match value {
            _ if value == yes => Some(true),
            _ if value == no => Some(false),
            _ => None,
        };
        match key {
            "server_name" => self.server_name = word(value),
            "redis_version" => self.redis_version = word(value),
            "valkey_version" => self.valkey_version = word(value),
            // Sentinels have no role line; Valkey names the mode differently.
            "redis_mode" | "server_mode" if value == "sentinel" => self.role = Some(Role::Sentinel),
            "role" => {
                self.role = match value {
                    "master" => Some(Role::Master),
                    "slave" | "replica" => Some(Role::Replica),
                    "sentinel" => Some(Role::Sentinel),
                    _ => None,
                };
            }
            "connected_clients" => self.connected_clients = number(),
            "maxclients" => self.max_clients = number(),
            "used_memory" => self.memory_used = number(),
            "maxmemory" => self.memory_limit = number().filter(|bytes| *bytes > 0),
            "rdb_last_bgsave_status" => self.is_last_save_ok = is("ok", "err"),
            "master_host" => self.link.host = truncate(value),
            "master_port" => self.link.port = truncate(value),
            "master_link_status" => self.link.is_up = is("up", "down"),
            "master_link_down_since_seconds" => self.link.down_seconds = number(),
            "master_sync_in_progress" => self.link.is_copying = value == "1",
            "connected_slaves" | "connected_replicas" => self.connected_replicas = number(),
            "min_slaves_good_slaves" | "min_replicas_good_replicas" => self.good_replicas = number(),
            "cluster_enabled" => self.is_cluster_node = value == "1",
            _ => self.read_numbered(key, value),
        }
    }

    /// `db0:keys=1,expires=0` and `master0:name=cache,status=ok,address=...`.
    fn read_numbered(&mut self, key: &str, value: &str) {
        let field = |name: &str| {
            let mut fields = value.split(',').filter_map(|field| field.split_once('='));
            fields.find(|(key, _)| *key == name).map(|(_, value)| value)
        };
        if let Some(database) = key.strip_prefix("db").and_then(|number| number.parse().ok()) {
            if let Some(keys) = field("keys").and_then(|keys| keys.parse().ok()) {
                self.keys.push((database, keys));
            }
        } else if let Some(number) = key.strip_prefix("master")
            && number.parse::<u32>().is_ok()
            && let (Some(name), Some(status)) = (field("name").and_then(word), field("status"))
            && self.masters.len() < MAX_MASTERS
            && self.masters.iter().all(|known| known.name != name)
        {
            let status = truncate(status);
            self.masters.push(Master { name, status });
        }
    }

    /// The product and its version. Valkey also reports the Redis version it is compatible with.
    pub fn product(&self) -> Option<(&str, &str)> {
        if let Some(version) = &self.valkey_version {
            return Some((self.server_name.as_deref().unwrap_or("valkey"), version));
        }
        let version = self.redis_version.as_deref()?;
        Some((self.server_name.as_deref().unwrap_or("redis"), version))
    }

    /// The number of keys of at most [`MAX_DATABASES`] databases: `own`, even if it has no keys, and the lowest others.
    pub fn keys_with(&self, own: u32) -> Vec<(u32, u64)> {
        let own_entry = self.keys.iter().find(|(database, _)| *database == own);
        let mut reported = Vec::new();
        if self.has_keyspace {
            reported.push(own_entry.copied().unwrap_or((own, 0)));
        }
        let others = self.keys.iter().filter(|(database, _)| *database != own);
        reported.extend(others.take(MAX_DATABASES - 1));
        reported
    }

    /// The used share of the memory limit.
    pub fn memory_share(&self) -> Option<f64> {
        Some(self.memory_used? as f64 / self.memory_limit? as f64)
    }
}

/// The values of CLUSTER INFO.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterInfo {
    /// Whether the cluster serves queries, as this node sees it.
    pub is_ok: bool,
    /// How many of the 16384 slots are assigned to a node.
    pub slots_assigned: Option<u64>,
    /// How many are assigned to a node that responds.
    pub slots_ok: Option<u64>,
    /// How many are assigned to a node that does not respond to this node (PFAIL).
    pub slots_pfail: Option<u64>,
    /// How many are assigned to a node that most primaries consider failed (FAIL).
    pub slots_fail: Option<u64>,
}

impl ClusterInfo {
    /// Parses the text; `None` if it has no valid state.
    pub fn parse(text: &str) -> Option<Self> {
        let field = |name: &str| {
            let mut fields = text.lines().filter_map(|line| line.trim_end().split_once(':'));
            fields.find(|(key, _)| *key == name).map(|(_, value)| value)
        };
        let is_ok = match field("cluster_state")? {
            "ok" => true,
            "fail" => false,
            _ => return None,
        };
        let slots = |name| field(name).and_then(|slots| slots.parse().ok());
        Some(Self {
            is_ok,
            slots_assigned: slots("cluster_slots_assigned"),
            slots_ok: slots("cluster_slots_ok"),
            slots_pfail: slots("cluster_slots_pfail"),
            slots_fail: slots("cluster_slots_fail"),
        })
    }
}

/// The text, truncated; `None` if it is empty.
fn word(text: &str) -> Option<String> {
    Some(truncate(text)).filter(|text| !text.is_empty())
}

fn truncate(text: &str) -> String {
    prefix(text, MAX_TEXT_BYTES)
        .chars()
        .filter(|character| !is_invisible(*character))
        .collect()
}

#[cfg(test)]
mod tests;
