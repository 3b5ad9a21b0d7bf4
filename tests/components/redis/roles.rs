//! Replicas, sentinels and cluster nodes.

use upkeep_exporter::model::Reason;

use super::{labelled, once, role, until, value, warned};
use crate::common::redis::Redis;

#[tokio::test]
async fn a_replica_reports_its_link() {
    let mut master = Redis::start(&[]).await;
    let replica = Redis::start(&[
        &format!("replicaof 127.0.0.1 {}", master.port()),
        "repl-diskless-sync-delay 0",
    ])
    .await;
    let keys = format!("url: \"{}\"", replica.url("", 0));
    let ran = until(&keys, "the link is up", |ran| {
        value(ran, "replication_link_up") == Some(1.0)
    })
    .await;
    assert_eq!(ran.succeeded().report.warning, None);
    assert_eq!(
        (role(&ran), value(&ran, "connected_replicas")),
        (Some("replica"), None)
    );
    let ran = once(&format!("url: \"{}\"", master.url("", 0))).await;
    assert_eq!(
        (role(&ran), value(&ran, "connected_replicas")),
        (Some("master"), Some(1.0))
    );
    master.kill();
    let ran = until(&keys, "the link is down", |ran| {
        value(ran, "replication_link_up") == Some(0.0)
    })
    .await;
    let link = format!(
        "127.0.0.1:{}: the replica's link to its primary 127.0.0.1:{} is down",
        replica.port(),
        master.port()
    );
    warned(&ran, Reason::State, &link);
    // A replica that must not serve stale data does not answer PING then, but answers INFO.
    replica.ok(&["CONFIG", "SET", "replica-serve-stale-data", "no"]);
    let ran = once(&keys).await;
    ran.failed(
        Reason::State,
        "PING: the replica lost its primary and does not serve stale data (MASTERDOWN ",
    );
    assert_eq!(
        (role(&ran), value(&ran, "replication_link_up")),
        (Some("replica"), Some(0.0))
    );
    master.restart().await;
    until(&keys, "the link is up again", |ran| {
        ran.result == Some(Ok(())) && ran.report.warning.is_none()
    })
    .await;
}

#[tokio::test]
async fn a_sentinel_reports_its_primaries() {
    let mut master = Redis::start(&[]).await;
    let sentinel = Redis::sentinel("cache", &master).await;
    let keys = format!("url: \"{}\"", sentinel.url("", 0));
    let ran = until(&keys, "the primary is ok", |ran| {
        labelled(ran, "sentinel_master_ok", "cache") == Some(1.0)
    })
    .await;
    assert_eq!(ran.succeeded().report.warning, None);
    assert_eq!(role(&ran), Some("sentinel"));
    for absent in [
        "connected_replicas",
        "keys",
        "memory_used_bytes",
        "last_save_successful",
    ] {
        assert_eq!(value(&ran, absent), None, "{absent}");
    }
    assert!(value(&ran, "connected_clients").is_some());
    master.kill();
    let ran = until(&keys, "the primary is down", |ran| {
        labelled(ran, "sentinel_master_ok", "cache") == Some(0.0)
    })
    .await;
    warned(&ran, Reason::State, "the primary cache is ");
    sentinel.left().await;
    // Sentinels have no databases.
    once(&format!("url: \"{}\"", sentinel.url("", 1)))
        .await
        .failed(Reason::Missing, "SELECT: ");
}

#[tokio::test]
async fn a_cluster_node_fails_with_its_cluster() {
    let node = Redis::cluster_node(&[]).await;
    let keys = format!("url: \"{}\"", node.url("", 0));
    let ran = once(&keys).await;
    ran.failed(
        Reason::State,
        "the node reports its cluster in state fail and serves no queries (0 of 16384 slots are served)",
    );
    assert_eq!(
        (value(&ran, "cluster_ok"), role(&ran)),
        (Some(0.0), Some("master"))
    );
    node.ok(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    let ran = until(&keys, "the cluster serves", |ran| {
        value(ran, "cluster_ok") == Some(1.0)
    })
    .await;
    assert_eq!(ran.succeeded().report.warning, None);
    node.ok(&["CLUSTER", "DELSLOTSRANGE", "5", "9"]);
    until(&keys, "the cluster fails", |ran| {
        value(ran, "cluster_ok") == Some(0.0)
    })
    .await
    .failed(Reason::State, "(16379 of 16384 slots are served)");
    once(&format!("url: \"{}\"", node.url("", 1))).await.failed(
        Reason::Missing,
        "SELECT: the server has no database with this number",
    );
    node.left().await;
}

/// A replica of this master that synchronizes at once.
async fn replica_of(master: &Redis) -> Redis {
    Redis::start(&[
        &format!("replicaof 127.0.0.1 {}", master.port()),
        "repl-diskless-sync-delay 0",
    ])
    .await
}

#[tokio::test]
async fn a_primary_without_enough_replicas_rejects_writes() {
    let master = Redis::start(&["min-replicas-to-write 2", "min-replicas-max-lag 1"]).await;
    let keys = format!("url: \"{}\"", master.url("", 0));
    let first = replica_of(&master).await;
    let mut second = replica_of(&master).await;
    let ran = until(&keys, "both replicas are good", |ran| {
        value(ran, "good_replicas") == Some(2.0)
    })
    .await;
    assert_eq!(ran.succeeded().report.warning, None);
    assert_eq!(value(&ran, "min_replicas_to_write"), Some(2.0));
    master.ok(&["SET", "a", "1"]);
    second.kill();
    let ran = until(&keys, "one replica is left", |ran| {
        value(ran, "good_replicas") == Some(1.0)
    })
    .await;
    warned(
        &ran,
        Reason::State,
        "the primary rejects writes (NOREPLICAS): it has 1 good replicas, and min-replicas-to-write requires 2",
    );
    assert!(master.cli(&["SET", "a", "2"]).starts_with("NOREPLICAS"));
    // A user that may not read the setting gets the warning once no good replica is left.
    master.ok(&["ACL", "SETUSER", "ops", "on", ">ops", "+ping", "+info"]);
    let as_ops = format!("url: \"{}\"", master.url("ops:ops@", 0));
    let ran = once(&as_ops).await;
    assert_eq!(ran.succeeded().report.warning, None);
    assert_eq!(value(&ran, "min_replicas_to_write"), None);
    drop(first);
    let ran = until(&as_ops, "no replica is left", |ran| {
        value(ran, "good_replicas") == Some(0.0)
    })
    .await;
    warned(&ran, Reason::State, "min-replicas-to-write requires at least 1");
    // A server that requires no replicas has no such series.
    master.ok(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
    let ran = once(&keys).await;
    assert_eq!(ran.succeeded().report.warning, None);
    assert_eq!(value(&ran, "good_replicas"), None);
}

#[tokio::test]
async fn a_cluster_that_serves_part_of_its_keys_has_a_warning() {
    let node = Redis::cluster_node(&["cluster-require-full-coverage no"]).await;
    let keys = format!("url: \"{}\"", node.url("", 0));
    node.ok(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    let ran = until(&keys, "the cluster serves", |ran| {
        value(ran, "cluster_ok") == Some(1.0)
    })
    .await;
    assert_eq!(ran.succeeded().report.warning, None);
    assert_eq!(labelled(&ran, "cluster_slots", "ok"), Some(16_384.0));
    node.ok(&["CLUSTER", "DELSLOTSRANGE", "5", "9"]);
    let ran = until(&keys, "slots are missing", |ran| {
        labelled(ran, "cluster_slots", "unassigned") == Some(5.0)
    })
    .await;
    warned(
        &ran,
        Reason::State,
        "the cluster serves 16379 of 16384 slots and rejects keys in the others (5 on no node)",
    );
    assert_eq!(value(&ran, "cluster_ok"), Some(1.0));
}

#[tokio::test]
async fn a_cluster_with_a_failed_node_has_a_warning() {
    let mut nodes = Vec::new();
    for (number, range) in [("0", "5460"), ("5461", "10922"), ("10923", "16383")]
        .iter()
        .enumerate()
    {
        let node = Redis::cluster_node(&["cluster-require-full-coverage no"]).await;
        node.ok(&["CLUSTER", "ADDSLOTSRANGE", range.0, range.1]);
        node.ok(&["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()]);
        nodes.push(node);
    }
    for node in &nodes[1..] {
        nodes[0].meet(node);
    }
    let keys = format!("url: \"{}\"", nodes[0].url("", 0));
    let ran = until(&keys, "all slots are served", |ran| {
        labelled(ran, "cluster_slots", "ok") == Some(16_384.0) && value(ran, "cluster_ok") == Some(1.0)
    })
    .await;
    assert_eq!(ran.succeeded().report.warning, None);
    nodes[2].kill();
    let ran = until(&keys, "the node has failed", |ran| {
        labelled(ran, "cluster_slots", "fail") == Some(5_461.0)
    })
    .await;
    warned(
        &ran,
        Reason::State,
        "the cluster serves 10923 of 16384 slots and rejects keys in the others (5461 on failed nodes)",
    );
}
