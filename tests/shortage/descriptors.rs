//! Too few descriptors, because of clients that do nothing or checks that hang.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::common::targets::{Target, ok};
use crate::limited::{Limited, check_once};

const HEAD: &str = "defaults: { interval: 1s, recheck_interval: 1s, timeout: 900ms, \
                    thresholds: { degraded: 500ms, down: 800ms } }";

/// `count` services with an http check of `url`.
fn http(prefix: &str, count: usize, url: &str) -> Vec<String> {
    (0..count)
        .map(|number| {
            format!("  - {{ key: {prefix}{number}, group: g, checks: [{{ kind: http, url: '{url}' }}] }}")
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_clients_take_no_service_down() {
    let good = Target::answering(ok("hello")).await;
    let exporter = Limited::start("ulimit -n 128", HEAD, &http("good", 20, &good.url("/")));
    exporter.until_up(20).await;
    let mut silent = Vec::new();
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(6) {
        // Rejected clients connect again.
        silent.truncate(75);
        while silent.len() < 150 {
            silent.push(TcpStream::connect(exporter.address()).unwrap());
        }
        let metrics = exporter.metrics().await;
        for status in ["down", "degraded", "unknown"] {
            let found = metrics.services(status);
            assert!(found.is_empty(), "{status}: {found:?}\n{}", exporter.server.log());
        }
    }
    let metrics = exporter.metrics().await;
    assert_eq!(metrics.sum("upkeep_check_failures_total"), 0.0);
    // Checks have their own share of the descriptors.
    let log = exporter.server.log();
    assert!(!log.contains("lacks file descriptors"), "{log}");
}

/// Clients that connect while the exporter is stopped are all accepted at once afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_clients_takes_no_more_than_its_share() {
    let good = Target::answering(ok("hello")).await;
    let exporter = Limited::start("ulimit -n 80", HEAD, &http("good", 5, &good.url("/")));
    exporter.until_up(5).await;
    for _ in 0..5 {
        exporter.server.signal(Signal::STOP);
        let clients: Vec<_> = (0..100)
            .map(|_| TcpStream::connect(exporter.address()).unwrap())
            .collect();
        exporter.server.signal(Signal::CONT);
        exporter.metrics().await;
        drop(clients);
    }
    let metrics = exporter.metrics().await;
    assert_eq!(metrics.sum("upkeep_check_failures_total"), 0.0);
    let log = exporter.server.log();
    assert!(
        !log.contains("failed to accept") && !log.contains("lacks file descriptors"),
        "{log}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_hanging_targets_take_no_healthy_service_down() {
    let good = Target::answering(ok("hello")).await;
    let silent = Target::silent().await;
    let mut services = http("hanging", 100, &silent.url("/"));
    services.extend(http("good", 20, &good.url("/")));
    services.push(
        "  - { key: self, group: g, checks: [{ kind: process, match: no-such-process, min: 0 }] }".into(),
    );
    let head = format!(
        "modules: {{ http_2xx: {{ prober: http }} }}\nprobe: {{ allow: [{{ networks: [127.0.0.0/8] }}] }}\n{HEAD}"
    );
    let exporter = Limited::start("ulimit -n 64", &head, &services);
    let started = Instant::now();
    let mut statuses = Vec::new();
    let mut is_down = false;
    while started.elapsed() < Duration::from_secs(8) || !is_down {
        // Every scrape gets a descriptor.
        let scraped = Instant::now();
        let metrics = exporter.metrics().await;
        assert!(
            scraped.elapsed() < Duration::from_secs(5),
            "{:?}",
            scraped.elapsed()
        );
        let down = metrics.services("down");
        assert!(
            down.iter().all(|service| service.starts_with("hanging")),
            "{down:?}\n{}",
            exporter.server.log()
        );
        // Targets that hang must still be found.
        is_down |= !down.is_empty();
        let probe = exporter.url(&format!("/probe?module=http_2xx&target={}", good.url("/")));
        let answer = reqwest::get(probe).await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        assert!(
            (status == 200 && text.contains("probe_success 1"))
                || (status == 503 && text.contains("descriptors")),
            "{status}: {text}"
        );
        statuses.push(status);
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "no target that hangs is down"
        );
    }
    assert!(statuses.contains(&503), "{statuses:?}");
    let metrics = exporter.metrics().await;
    assert!(metrics.sum("upkeep_check_inconclusive_runs_total") > 0.0);
    assert!(metrics.sum("upkeep_probe_inconclusive_total") > 0.0);
    assert_eq!(metrics.sum("upkeep_probe_failures_total"), 0.0);
    let reasons = metrics.all("upkeep_check_problem_info");
    assert!(
        reasons
            .iter()
            .all(|(labels, _)| labels.contains("reason=\"timeout\"")),
        "{reasons:?}"
    );
}

#[test]
fn a_check_without_a_descriptor_is_unknown_on_the_command_line() {
    // The discard port is closed, so a run that gets a socket is refused.
    let service = http("a", 1, "http://127.0.0.1:9/");
    let runs: Vec<_> = (8..=12)
        .map(|limit| check_once(&format!("ulimit -n {limit}"), HEAD, &service))
        .collect();
    let has_run = |text: &str| !text.starts_with("upkeep_exporter: starting");
    let unknown: Vec<_> = runs
        .iter()
        .filter(|(code, text)| *code == Some(3) && has_run(text))
        .collect();
    assert!(!unknown.is_empty(), "{runs:?}");
    for (_, text) in unknown {
        assert!(text.contains("unknown   a0"), "{text}");
        assert!(
            text.contains(
                "Too many open files (os error 24) (the exporter lacks file descriptors: raise LimitNOFILE)"
            ),
            "{text}"
        );
    }
    let down: Vec<_> = runs.iter().filter(|(code, _)| *code == Some(2)).collect();
    assert!(down.iter().all(|(_, text)| text.contains("refused")), "{runs:?}");
}
