//! Judges INFO: which values become metrics, and what causes a warning. Pure.

use std::borrow::Cow;

use super::families as family;
use super::info::{ClusterInfo, Info, Role};
use crate::config::redis::RedisSettings;
use crate::model::{Family, Problem, Reason, Sample};

/// The number of hash slots of a cluster.
const SLOTS: u64 = 16_384;

/// The samples of INFO.
pub fn samples(info: &Info, database: u32, samples: &mut Vec<Sample>) {
    let mut push = |family: &'static Family, labels: Vec<Cow<'static, str>>, value: f64| {
        samples.push(Sample {
            family,
            labels,
            value,
        });
    };
    if let Some((server, version)) = info.product() {
        let labels = vec![server.to_owned().into(), version.to_owned().into()];
        push(&family::VERSION, labels, 1.0);
    }
    if let Some(role) = info.role {
        for one in Role::ALL {
            push(&family::ROLE, vec![one.as_str().into()], flag(one == role));
        }
    }
    let link = info.link.is_up.filter(|_| info.role == Some(Role::Replica));
    let replicas = info
        .connected_replicas
        .filter(|_| info.role == Some(Role::Master));
    for (family, value) in [
        (&family::CONNECTED_CLIENTS, info.connected_clients.map(number)),
        (&family::MAX_CLIENTS, info.max_clients.map(number)),
        (&family::MEMORY_USED, info.memory_used.map(number)),
        (&family::MEMORY_LIMIT, info.memory_limit.map(number)),
        (&family::LINK_UP, link.map(flag)),
        (&family::CONNECTED_REPLICAS, replicas.map(number)),
        (&family::GOOD_REPLICAS, info.good_replicas.map(number)),
        (&family::LAST_SAVE, info.is_last_save_ok.map(flag)),
    ] {
        if let Some(value) = value {
            push(family, Vec::new(), value);
        }
    }
    for (database, keys) in info.keys_with(database) {
        push(&family::KEYS, vec![database.to_string().into()], number(keys));
    }
    for master in &info.masters {
        let is_ok = flag(master.status == "ok");
        push(
            &family::SENTINEL_MASTER_OK,
            vec![master.name.clone().into()],
            is_ok,
        );
    }
}

fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}

fn number(number: u64) -> f64 {
    number as f64
}

/// Data of the server in addition to INFO. Absent if it was not queried, or if the user may not read it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extra<'a> {
    /// The setting `min-replicas-to-write`.
    pub min_replicas: Option<u64>,
    /// CLUSTER INFO of a cluster node.
    pub cluster: Option<&'a ClusterInfo>,
}

/// The warning for everything that is wrong while the server works. It has the texts of all causes and the reason of the
/// first one.
pub fn warning(info: &Info, extra: Extra<'_>, settings: &RedisSettings) -> Option<Problem> {
    let warnings = [
        rejected_writes(info, extra.min_replicas),
        lost_slots(extra.cluster),
        lost_link(info),
        failed_save(info),
        lost_masters(info),
        full_memory(info, settings),
    ];
    let warnings: Vec<(Reason, String)> = warnings.into_iter().flatten().collect();
    let (reason, _) = warnings.first()?;
    let texts: Vec<&str> = warnings.iter().map(|(_, text)| text.as_str()).collect();
    Some(Problem::new(
        *reason,
        format_args!("{}: {}", settings.server.endpoint, texts.join("; ")),
    ))
}

/// A primary with too few good replicas rejects every write (NOREPLICAS). If the user may not read how many the primary
/// requires, only zero good replicas are certainly too few.
fn rejected_writes(info: &Info, min_replicas: Option<u64>) -> Option<(Reason, String)> {
    let good = info.good_replicas.filter(|_| info.role == Some(Role::Master))?;
    let required = min_replicas.unwrap_or(1);
    (good < required).then(|| {
        let at_least = if min_replicas.is_some() { "" } else { "at least " };
        let text = format!(
            "the primary rejects writes (NOREPLICAS): it has {good} good replicas, and min-replicas-to-write requires \
             {at_least}{required}: bring the replicas back"
        );
        (Reason::State, text)
    })
}

/// A cluster that serves although slots are missing (cluster-require-full-coverage no) rejects the keys of those slots.
fn lost_slots(cluster: Option<&ClusterInfo>) -> Option<(Reason, String)> {
    let cluster = cluster.filter(|cluster| cluster.is_ok)?;
    let served = cluster.slots_ok.filter(|served| *served < SLOTS)?;
    let parts = [
        (cluster.slots_fail, "on failed nodes"),
        (cluster.slots_pfail, "on nodes that do not respond to this one"),
        (unassigned(cluster), "on no node"),
    ];
    let parts: Vec<String> = parts
        .iter()
        .filter_map(|(slots, place)| Some(format!("{} {place}", slots.filter(|slots| *slots > 0)?)))
        .collect();
    let text = format!(
        "the cluster serves {served} of {SLOTS} slots and rejects keys in the others ({}): check CLUSTER NODES",
        parts.join(", ")
    );
    Some((Reason::State, text))
}

fn unassigned(cluster: &ClusterInfo) -> Option<u64> {
    cluster
        .slots_assigned
        .map(|assigned| SLOTS.saturating_sub(assigned))
}

fn lost_link(info: &Info) -> Option<(Reason, String)> {
    if info.role != Some(Role::Replica) || info.link.is_up != Some(false) {
        return None;
    }
    let link = &info.link;
    let mut text = format!(
        "the replica's link to its primary {}:{} is down",
        link.host, link.port
    );
    if let Some(seconds) = link.down_seconds {
        text += &format!(" for {seconds} s");
    }
    text += match link.is_copying {
        true => ": it is copying the primary's data",
        false => ": check that the primary is up, and that masteruser and masterauth are right",
    };
    Some((Reason::State, text))
}

fn failed_save(info: &Info) -> Option<(Reason, String)> {
    (info.is_last_save_ok == Some(false)).then(|| {
        let text = "the last save of all data (RDB) failed: check the log and the free disk space; if the server stops, it \
                    loses the changes since the last good save";
        (Reason::State, text.to_owned())
    })
}

fn lost_masters(info: &Info) -> Option<(Reason, String)> {
    let mut lost = info.masters.iter().filter(|master| master.status != "ok");
    let first = lost.next()?;
    let more = match lost.count() {
        0 => String::new(),
        count => format!(", and {count} more primaries are not ok"),
    };
    let meaning = match first.status.as_str() {
        "sdown" => " (this sentinel considers it down and waits for the others to agree)",
        "odown" => " (enough sentinels consider it down for a failover)",
        _ => "",
    };
    let text = format!("the primary {} is {}{meaning}{more}", first.name, first.status);
    Some((Reason::State, text))
}

fn full_memory(info: &Info, settings: &RedisSettings) -> Option<(Reason, String)> {
    let limit = settings.max_memory_share?;
    let share = info.memory_share().filter(|share| *share >= limit)?;
    let text = format!(
        "{:.1} % of maxmemory is used, the limit is {:.1} %: raise maxmemory, or find out what uses the memory",
        share * 100.0,
        limit * 100.0
    );
    Some((Reason::Limit, text))
}

/// Fails if the cluster does not serve, because its nodes then reject queries.
///
/// # Errors
/// The cluster is in the state fail.
pub fn cluster(cluster: &ClusterInfo, settings: &RedisSettings) -> Result<(), Problem> {
    if cluster.is_ok {
        return Ok(());
    }
    let slots = match cluster.slots_ok {
        Some(slots) => format!(" ({slots} of {SLOTS} slots are served)"),
        None => String::new(),
    };
    let message = format_args!(
        "{}: the node reports its cluster in state fail and serves no queries{slots}: check CLUSTER NODES for primaries \
         that are down, and CLUSTER SHARDS for slots that no node serves",
        settings.server.endpoint
    );
    Err(Problem::new(Reason::State, message))
}

/// The samples of CLUSTER INFO.
pub fn cluster_samples(cluster: &ClusterInfo) -> impl Iterator<Item = Sample> {
    let state = Sample {
        family: &family::CLUSTER_OK,
        labels: Vec::new(),
        value: flag(cluster.is_ok),
    };
    let slots = [
        ("ok", cluster.slots_ok),
        ("pfail", cluster.slots_pfail),
        ("fail", cluster.slots_fail),
        ("unassigned", unassigned(cluster)),
    ];
    let slots = slots.into_iter().filter_map(|(state, slots)| {
        slots.map(|slots| Sample {
            family: &family::CLUSTER_SLOTS,
            labels: vec![state.into()],
            value: number(slots),
        })
    });
    std::iter::once(state).chain(slots)
}

/// The sample for the setting `min-replicas-to-write`.
pub fn min_replicas_sample(min_replicas: u64) -> Sample {
    Sample {
        family: &family::MIN_REPLICAS,
        labels: Vec::new(),
        value: number(min_replicas),
    }
}
