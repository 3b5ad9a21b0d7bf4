//! What INFO says, read from its text: lines of `key:value` under headings. Pure, and whatever the text, no panic.

/// The most databases that have their numbers kept.
pub const MAX_DATABASES: usize = 64;
/// The most masters of a sentinel that are kept.
pub const MAX_MASTERS: usize = 32;
/// The longest text that is kept of what becomes a label or is quoted, in bytes.
const MAX_TEXT_BYTES: usize = 64;

/// What a server is to the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Takes writes.
    Master,
    /// Follows a master.
    Replica,
    /// Watches masters.
    Sentinel,
}

impl Role {
    /// All of them.
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

/// A replica's link to its master.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Whether it is up.
    pub is_up: Option<bool>,
    /// The master's host.
    pub host: String,
    /// The master's port.
    pub port: String,
    /// For how long it has been down.
    pub down_seconds: Option<u64>,
    /// Whether the replica is copying all of the master's data.
    pub is_copying: bool,
}

/// A master that a sentinel watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Master {
    /// Its name there.
    pub name: String,
    /// `ok`, `sdown` (this sentinel finds it down) or `odown` (enough of them do).
    pub status: String,
}

/// What INFO says. What it does not say, or not as expected, is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Info {
    /// The product's own name: `valkey`, say. Redis does not give one.
    server_name: Option<String>,
    redis_version: Option<String>,
    valkey_version: Option<String>,
    /// What it is to others.
    pub role: Option<Role>,
    /// The clients connected, replicas left out.
    pub connected_clients: Option<u64>,
    /// How many there may be.
    pub max_clients: Option<u64>,
    /// The memory used, in bytes.
    pub memory_used: Option<u64>,
    /// How much may be used (maxmemory); absent where there is no limit.
    pub memory_limit: Option<u64>,
    /// How the last save of all data went.
    pub is_last_save_ok: Option<bool>,
    /// A replica's link to its master.
    pub link: Link,
    /// The replicas connected.
    pub connected_replicas: Option<u64>,
    /// The replicas that count for `min-replicas-to-write`; absent where nothing is required.
    pub good_replicas: Option<u64>,
    /// Whether it is a node of a cluster.
    pub is_cluster_node: bool,
    /// Whether it tells about its databases at all: one without keys has no line.
    pub has_keyspace: bool,
    /// The number of keys by the number of the database, ascending.
    pub keys: Vec<(u32, u64)>,
    /// The masters that it watches as a sentinel.
    pub masters: Vec<Master>,
}

impl Info {
    /// Reads the text.
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
            // Sentinels have no role line; Valkey calls the mode so.
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
            "master_host" => self.link.host = bounded(value),
            "master_port" => self.link.port = bounded(value),
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
            let status = bounded(status);
            self.masters.push(Master { name, status });
        }
    }

    /// The product and its version. Valkey gives Redis's version too, as that which it is compatible with.
    pub fn product(&self) -> Option<(&str, &str)> {
        if let Some(version) = &self.valkey_version {
            return Some((self.server_name.as_deref().unwrap_or("valkey"), version));
        }
        let version = self.redis_version.as_deref()?;
        Some((self.server_name.as_deref().unwrap_or("redis"), version))
    }

    /// The numbers of keys of at most [`MAX_DATABASES`] databases: that of `own`, with or without keys, and the lowest.
    pub fn keys_with(&self, own: u32) -> Vec<(u32, u64)> {
        let of_own = self.keys.iter().find(|(database, _)| *database == own);
        let mut kept = Vec::new();
        if self.has_keyspace {
            kept.push(of_own.copied().unwrap_or((own, 0)));
        }
        let others = self.keys.iter().filter(|(database, _)| *database != own);
        kept.extend(others.take(MAX_DATABASES - 1));
        kept
    }

    /// The share of the memory allowed that is used.
    pub fn memory_share(&self) -> Option<f64> {
        Some(self.memory_used? as f64 / self.memory_limit? as f64)
    }
}

/// What CLUSTER INFO says about the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterInfo {
    /// Whether the cluster serves queries, as far as this node knows.
    pub is_ok: bool,
    /// How many of the 16384 slots belong to a node.
    pub slots_assigned: Option<u64>,
    /// How many of them belong to a node that answers.
    pub slots_ok: Option<u64>,
    /// How many belong to a node that does not answer this node (PFAIL).
    pub slots_pfail: Option<u64>,
    /// How many belong to a node that most masters find failed (FAIL).
    pub slots_fail: Option<u64>,
}

impl ClusterInfo {
    /// Reads the text; `None` where it does not say.
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

/// The text, bounded, where there is one.
fn word(text: &str) -> Option<String> {
    Some(bounded(text)).filter(|text| !text.is_empty())
}

fn bounded(text: &str) -> String {
    let mut end = text.len().min(MAX_TEXT_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end]
        .chars()
        .filter(|character| !character.is_control())
        .collect()
}

#[cfg(test)]
mod tests;
