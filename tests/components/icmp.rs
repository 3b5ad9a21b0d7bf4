//! Tests of the icmp check with the kernel's own replies. Every test has its own network namespace and controls which sockets
//! are allowed, what replies, and how far packets get.

use std::fs;

use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
use upkeep_exporter::check::{Check, CheckContext};
use upkeep_exporter::model::{Reason, Report};

use crate::common::ran::{LONG, Ran, SHORT, check, run};
use crate::common::stage::{is_on_stage, run as command};

async fn once(keys: &str) -> Ran {
    run!(check(&format!("kind: icmp, {keys}")), LONG)
}

fn hop_limit(ran: &Ran) -> Option<f64> {
    ran.value("upkeep_icmp_reply_hop_limit", None)
}

/// Sets the groups that may open ping sockets: "1 0" is none.
fn allow_groups(range: &str) {
    fs::write("/proc/sys/net/ipv4/ping_group_range", range).unwrap();
}

/// Sets whether this thread may open raw sockets.
fn allow_raw(is_allowed: bool) {
    let mut sets = capabilities(None).unwrap();
    sets.effective.set(CapabilitySet::NET_RAW, is_allowed);
    set_capabilities(None, sets).unwrap();
}

/// Counts the ICMP sockets in this namespace, of both protocols: raw sockets and ping sockets.
fn sockets() -> [usize; 2] {
    let count = |names: [&str; 2]| {
        let lines = names.map(|name| {
            let table = fs::read_to_string(format!("/proc/self/net/{name}")).unwrap();
            table.lines().count() - 1
        });
        lines.iter().sum()
    };
    [count(["raw", "raw6"]), count(["icmp", "icmp6"])]
}

/// The settings that allow only raw sockets, and those that allow only ping sockets.
const KINDS_OF_SOCKETS: [(&str, bool); 2] = [("1 0", true), ("0 2147483647", false)];

#[tokio::test]
async fn both_kinds_of_sockets_get_replies_over_both_protocols() {
    if !is_on_stage("icmp::both_kinds_of_sockets_get_replies_over_both_protocols") {
        return;
    }
    for (groups, is_raw) in KINDS_OF_SOCKETS {
        allow_groups(groups);
        allow_raw(is_raw);
        for host in ["127.0.0.1", "\"::1\"", "localhost"] {
            for keys in [
                "",
                ", payload_size: 1",
                ", payload_size: 65000",
                ", dont_fragment: true",
                ", ttl: 1",
            ] {
                let ran = once(&format!("host: {host}{keys}")).await;
                ran.succeeded();
                assert_eq!(hop_limit(&ran), Some(64.0), "{host}{keys}, raw: {is_raw}");
            }
        }
        once("host: 127.0.0.1, source_ip_address: 127.0.0.9")
            .await
            .succeeded();
        once("host: 127.0.0.1, source_ip_address: 192.0.2.1")
            .await
            .failed(
                Reason::Unreachable,
                "source_ip_address 192.0.2.1 is not an address of this machine",
            );
    }
    assert_eq!(sockets(), [0, 0]);
}

#[tokio::test]
async fn without_permission_the_message_contains_the_settings() {
    if !is_on_stage("icmp::without_permission_the_message_contains_the_settings") {
        return;
    }
    allow_groups("1 0");
    allow_raw(false);
    for host in ["127.0.0.1", "\"::1\""] {
        let ran = once(&format!("host: {host}")).await;
        ran.failed(Reason::Permission, "net.ipv4.ping_group_range")
            .without_response();
        ran.failed(Reason::Permission, "AmbientCapabilities=CAP_NET_RAW");
    }
}

#[tokio::test]
async fn a_cancelled_run_closes_the_socket_of_a_host_that_does_not_reply() {
    if !is_on_stage("icmp::a_cancelled_run_closes_the_socket_of_a_host_that_does_not_reply") {
        return;
    }
    fs::write("/proc/sys/net/ipv4/icmp_echo_ignore_all", "1").unwrap();
    fs::write("/proc/sys/net/ipv6/icmp/echo_ignore_all", "1").unwrap();
    for (groups, is_raw) in KINDS_OF_SOCKETS {
        allow_groups(groups);
        allow_raw(is_raw);
        for host in ["127.0.0.1", "::1"] {
            let mut pinging = check(&format!("kind: icmp, host: \"{host}\""));
            let mut report = Report::default();
            let mut running = Box::pin(pinging.run(&mut report));
            assert!(tokio::time::timeout(SHORT, &mut running).await.is_err());
            let open = if is_raw { [1, 0] } else { [0, 1] };
            assert_eq!(sockets(), open);
            drop(running);
            assert_eq!(sockets(), [0, 0]);
            assert_eq!(report.step, format!("waiting for the echo reply of {host}"));
            assert_eq!(report.response_time, None);
        }
    }
}

#[tokio::test]
async fn errors_from_routers_end_the_run() {
    if !is_on_stage("icmp::errors_from_routers_end_the_run") {
        return;
    }
    command("ip", &["route", "add", "unreachable", "198.51.100.0/24"]);
    command("ip", &["link", "set", "lo", "mtu", "1500"]);
    command("nft", &["add", "table", "inet", "router"]);
    let hook = "{ type filter hook input priority 0; }";
    command("nft", &["add", "chain", "inet", "router", "input", hook]);
    let rule = |words: &str| {
        let words: Vec<&str> = words.split(' ').collect();
        command(
            "nft",
            &[&["add", "rule", "inet", "router", "input"][..], &words].concat(),
        );
    };
    rule("ip daddr 127.0.0.2 icmp type echo-request reject with icmp type host-unreachable");
    rule("ip daddr 127.0.0.3 icmp type echo-request ip ttl != 7 drop");
    for (groups, is_raw) in KINDS_OF_SOCKETS {
        allow_groups(groups);
        allow_raw(is_raw);
        once("host: 198.51.100.1")
            .await
            .failed(Reason::Unreachable, "pinging 198.51.100.1: ");
        let ran = run!(check("kind: icmp, host: 127.0.0.2"), SHORT);
        match is_raw {
            true => ran.hung("waiting for the echo reply of 127.0.0.2"),
            false => ran.failed(Reason::Unreachable, "pinging 127.0.0.2: No route to host"),
        };
        run!(check("kind: icmp, host: 127.0.0.3"), SHORT).hung("waiting for the echo reply");
        once("host: 127.0.0.3, ttl: 7").await.succeeded();
        for host in ["127.0.0.1", "\"::1\""] {
            let large = format!("host: {host}, payload_size: 4000");
            once(&large).await.succeeded();
            once(&format!("{large}, dont_fragment: true"))
                .await
                .failed(Reason::Limit, "too large for a link on the path");
        }
    }
}

/// A raw socket receives the replies to all requests. Every run must find its own.
#[tokio::test]
async fn concurrent_runs_find_their_own_replies() {
    if !is_on_stage("icmp::concurrent_runs_find_their_own_replies") {
        return;
    }
    for (groups, is_raw) in KINDS_OF_SOCKETS {
        allow_groups(groups);
        allow_raw(is_raw);
        let runs = (0..100).map(|_| once("host: 127.0.0.1"));
        for ran in futures_util::future::join_all(runs).await {
            ran.succeeded();
        }
    }
}

#[tokio::test]
async fn a_probe_has_the_samples_of_blackbox_exporter() {
    if !is_on_stage("icmp::a_probe_has_the_samples_of_blackbox_exporter") {
        return;
    }
    let probed = async || {
        let settings = std::sync::Arc::new(crate::common::config::check("kind: icmp, host: 127.0.0.1"));
        let mut report = Report {
            probe: Some(Vec::new()),
            ..Report::default()
        };
        let mut pinging = Check::new(&settings, &CheckContext::new("/proc".into()));
        let result = tokio::time::timeout(SHORT, pinging.run(&mut report)).await;
        let samples = report.probe.unwrap().into_iter().map(|sample| {
            let name = [sample.family.name, &sample.labels.join(",")].join(" ");
            (name.trim_end().to_owned(), sample.value)
        });
        (
            result.is_ok_and(|result| result.is_ok()),
            samples.collect::<Vec<_>>(),
        )
    };
    let (succeeded, values) = probed().await;
    assert!(succeeded);
    let names: Vec<&str> = values.iter().map(|(name, _)| name.as_str()).collect();
    let always = [
        "probe_dns_lookup_time_seconds",
        "probe_ip_protocol",
        "probe_ip_addr_hash",
        "probe_icmp_duration_seconds resolve",
        "probe_icmp_duration_seconds setup",
        "probe_icmp_duration_seconds rtt",
    ];
    assert_eq!(names[..6], always);
    assert!(values[4].1 > 0.0 && values[5].1 > 0.0, "{values:?}");
    assert_eq!(values[6..], [("probe_icmp_reply_hop_limit".to_owned(), 64.0)]);
    fs::write("/proc/sys/net/ipv4/icmp_echo_ignore_all", "1").unwrap();
    let (succeeded, values) = probed().await;
    assert!(!succeeded);
    let names: Vec<&str> = values.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, always);
    assert_eq!(values[5].1, 0.0);
}
