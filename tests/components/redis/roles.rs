//! Replicas, sentinels and cluster nodes.

use upkeep_exporter::model::Reason;

use super::{labelled, once, role, until, value, warned};
use crate::common::redis::Redis;

#[tokio::test]
async fn a_replica_tells_of_its_link() {
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
        "127.0.0.1:{}: the replica's link to its master 127.0.0.1:{} is down",
        replica.port(),
        master.port()
    );
    warned(&ran, Reason::State, &link);
    // A replica that must not show stale data does not answer PING then, but tells the rest.
    replica.ok(&["CONFIG", "SET", "replica-serve-stale-data", "no"]);
    let ran = once(&keys).await;
    ran.failed(
        Reason::State,
        "PING: the replica has lost its master and serves no stale data (MASTERDOWN ",
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
async fn a_sentinel_tells_of_its_masters() {
    let mut master = Redis::start(&[]).await;
    let sentinel = Redis::sentinel("cache", &master).await;
    let keys = format!("url: \"{}\"", sentinel.url("", 0));
    let ran = until(&keys, "the master is ok", |ran| {
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
    let ran = until(&keys, "the master is down", |ran| {
        labelled(ran, "sentinel_master_ok", "cache") == Some(0.0)
    })
    .await;
    warned(&ran, Reason::State, "the master cache is ");
    sentinel.left().await;
    // Sentinels know no databases.
    once(&format!("url: \"{}\"", sentinel.url("", 1)))
        .await
        .failed(Reason::Missing, "SELECT: ");
}

#[tokio::test]
async fn a_cluster_node_fails_with_its_cluster() {
    let node = Redis::start(&["cluster-enabled yes", "cluster-node-timeout 500"]).await;
    let keys = format!("url: \"{}\"", node.url("", 0));
    let ran = once(&keys).await;
    ran.failed(
        Reason::State,
        "the node finds its cluster in state fail and serves no queries (0 of 16384 slots are served)",
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
        "SELECT: the server has no database of that number",
    );
    node.left().await;
}
