//! The redis check against real servers, sentinels and cluster nodes.

mod faults;
mod network;
mod roles;

use std::time::Duration;

use upkeep_exporter::model::{Problem, Reason};

use crate::common::ran::{LONG, Ran, check, run};
use crate::common::redis::Redis;
use crate::common::servers::eventually;

/// One run of a new check with these keys.
async fn once(keys: &str) -> Ran {
    run!(check(&format!("kind: redis, {keys}")), LONG)
}

/// Repeats runs until one has the expected result.
async fn until(keys: &str, what: &str, is_wanted: impl Fn(&Ran) -> bool) -> Ran {
    eventually(what, Duration::from_secs(15), || async {
        Some(once(keys).await).filter(&is_wanted)
    })
    .await
}

/// The value of a series of `upkeep_redis_NAME`.
fn value(ran: &Ran, name: &str) -> Option<f64> {
    ran.value(&format!("upkeep_redis_{name}"), None)
}

/// The same with a label.
fn labelled(ran: &Ran, name: &str, label: &str) -> Option<f64> {
    ran.value(&format!("upkeep_redis_{name}"), Some(label))
}

/// The role whose series is 1, if exactly one is.
fn role(ran: &Ran) -> Option<&'static str> {
    let roles = ["master", "replica", "sentinel"];
    let sum: f64 = roles.iter().filter_map(|role| labelled(ran, "role", role)).sum();
    let mut current = roles
        .into_iter()
        .filter(|role| labelled(ran, "role", role) == Some(1.0));
    current.next().filter(|_| (sum - 1.0).abs() < f64::EPSILON)
}

/// Asserts that the run succeeded with a warning of this reason that contains the text.
#[track_caller]
fn warned(ran: &Ran, reason: Reason, text: &str) {
    let problem: &Problem = ran.succeeded().report.warning.as_ref().expect("a warning");
    assert_eq!(problem.reason, reason, "{problem}");
    assert!(problem.message().contains(text), "{problem}");
}

#[tokio::test]
async fn a_master_is_up_with_its_metrics() {
    let redis = Redis::start(&["maxmemory 100mb", "maxclients 77"]).await;
    redis.ok(&["-n", "3", "SET", "a", "1"]);
    redis.ok(&["-n", "5", "SET", "a", "1"]);
    redis.ok(&["-n", "5", "SET", "b", "1"]);
    let ran = once(&format!("url: \"{}\", max_memory_share: 0.9", redis.url("", 3))).await;
    assert_eq!(ran.succeeded().report.warning, None);
    assert_eq!(role(&ran), Some("master"));
    let version = ran
        .report
        .samples
        .iter()
        .find(|sample| sample.family.name == "upkeep_redis_version_info");
    let labels = &version.unwrap().labels;
    assert_eq!(labels[0], "redis");
    assert!(
        redis
            .cli(&["INFO", "server"])
            .contains(&format!("redis_version:{}", labels[1]))
    );
    assert_eq!(value(&ran, "connected_clients"), Some(1.0));
    assert_eq!(value(&ran, "max_clients"), Some(77.0));
    assert!(value(&ran, "memory_used_bytes").unwrap() > 100_000.0);
    assert_eq!(value(&ran, "memory_limit_bytes"), Some(100.0 * 1_048_576.0));
    assert_eq!(value(&ran, "memory_ratio_limit"), Some(0.9));
    assert_eq!(value(&ran, "connected_replicas"), Some(0.0));
    assert_eq!(value(&ran, "last_save_successful"), Some(1.0));
    assert_eq!(
        (labelled(&ran, "keys", "3"), labelled(&ran, "keys", "5")),
        (Some(1.0), Some(2.0))
    );
    for absent in ["replication_link_up", "cluster_ok", "sentinel_master_ok"] {
        assert_eq!(value(&ran, absent), None, "{absent}");
    }
    redis.left().await;
    // Without a limit there is no series for it. A database without keys has 0.
    redis.ok(&["CONFIG", "SET", "maxmemory", "0"]);
    let ran = once(&format!("url: \"{}\"", redis.url("", 0))).await;
    assert_eq!(
        (
            value(&ran, "memory_limit_bytes"),
            value(&ran, "memory_ratio_limit")
        ),
        (None, None)
    );
    assert_eq!(labelled(&ran, "keys", "0"), Some(0.0));
    // With `metrics: false`, only PING is sent.
    let ran = once(&format!("url: \"{}\", metrics: false", redis.url("", 0))).await;
    assert!(ran.succeeded().report.samples.is_empty());
}

#[tokio::test]
async fn memory_near_its_limit_is_a_warning() {
    let redis = Redis::start(&["maxmemory 4mb"]).await;
    let ran = once(&format!("url: \"{}\", max_memory_share: 0.1", redis.url("", 0))).await;
    warned(&ran, Reason::Limit, "% of maxmemory is used, the limit is 10.0 %");
}

#[tokio::test]
async fn one_connection_is_reused_and_closed_with_the_check() {
    let redis = Redis::start(&[]).await;
    let mut check = check(&format!("kind: redis, url: \"{}\"", redis.url("", 0)));
    let connection = || {
        redis
            .cli(&["CLIENT", "LIST"])
            .lines()
            .next()
            .unwrap()
            .split(' ')
            .next()
            .unwrap()
            .to_owned()
    };
    run!(check, LONG).succeeded();
    let first = connection();
    for _ in 0..20 {
        run!(check, LONG).succeeded();
        assert_eq!(redis.clients(), 1);
    }
    assert_eq!(connection(), first, "the connection changed");
    drop(check);
    redis.left().await;
}

#[tokio::test]
async fn connections_are_not_reused_if_the_check_says_so() {
    let redis = Redis::start(&[]).await;
    let mut check = check(&format!(
        "kind: redis, url: \"{}\", reuse_connection: false",
        redis.url("", 0)
    ));
    run!(check, LONG).succeeded();
    redis.left().await;
    run!(check, LONG).succeeded();
    redis.left().await;
}

#[tokio::test]
async fn a_restarted_server_is_up_in_the_same_run() {
    let mut redis = Redis::start(&[]).await;
    let mut check = check(&format!("kind: redis, url: \"{}\"", redis.url("", 0)));
    for _ in 0..3 {
        run!(check, LONG).succeeded();
        redis.kill();
        redis.restart().await;
        run!(check, LONG).succeeded();
        assert_eq!(redis.clients(), 1);
    }
    redis.kill();
    run!(check, LONG).failed(Reason::Refused, "Connection refused");
}

#[tokio::test]
async fn a_connection_that_the_server_closed_is_replaced() {
    let redis = Redis::start(&[]).await;
    let mut check = check(&format!("kind: redis, url: \"{}\"", redis.url("", 0)));
    run!(check, LONG).succeeded();
    redis.cli(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    run!(check, LONG).succeeded();
}

#[tokio::test]
async fn unix_sockets_are_supported() {
    let redis = Redis::start(&["requirepass hunter2"]).await;
    let socket = redis.dir().join("redis.sock");
    for scheme in ["unix", "redis+unix"] {
        let url = format!("{scheme}://{}?db=2", socket.display());
        let ran = once(&format!("url: \"{url}\", password: hunter2")).await;
        assert_eq!(labelled(ran.succeeded(), "keys", "2"), Some(0.0));
        once(&format!("url: \"{url}\""))
            .await
            .failed(Reason::Auth, "redis.sock, SELECT: the server requires a password");
    }
    once("url: \"unix:///nonexistent/redis.sock\"")
        .await
        .failed(
            Reason::Unreachable,
            "connecting to /nonexistent/redis.sock: No such file",
        )
        .without_response();
}
