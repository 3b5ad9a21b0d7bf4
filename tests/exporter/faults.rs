//! From each fault of a target to the status, the reason and the log line that people see.

use std::time::Duration;

use crate::common::switchable::Switchable;
use crate::common::targets::{Target, ok, tls};
use crate::{Exporter, LONG};

/// A service of one http check at `url`.
fn http(key: &str, url: &str) -> String {
    format!("  - {{ key: {key}, group: g, checks: [{{ kind: http, url: '{url}' }}] }}\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_has_its_status_and_reason() {
    let good = Target::answering(ok("hello")).await;
    let refusing = Target::refusing().await;
    let silent = Target::silent().await;
    let full = Target::full().await;
    let closing = Target::closing(false).await;
    let resetting = Target::closing(true).await;
    let slow = Target::slow(Duration::from_secs(2)).await;
    let too_slow = Target::slow(Duration::from_secs(6)).await;
    let garbage = Target::answering("HELLO WORLD\r\n\r\n").await;
    let broken = Target::answering("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n").await;
    let short = Target::answering("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc").await;
    let looping = Target::answering("HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n").await;
    let self_signed = tls::serve(&tls::self_signed(&["127.0.0.1"]), &[], None).await;
    let endless = Target::endless("HTTP/1.1 200 OK\r\n\r\n").await;
    let cases = [
        ("good", good.url("/"), "up", None),
        ("refusing", format!("http://{refusing}/"), "down", Some("refused")),
        ("silent", silent.url("/"), "down", Some("timeout")),
        ("full", full.url("/"), "down", Some("timeout")),
        ("closing", closing.url("/"), "down", Some("closed")),
        ("resetting", resetting.url("/"), "down", Some("closed")),
        ("slow", slow.url("/"), "degraded", Some("slow")),
        ("too_slow", too_slow.url("/"), "down", Some("slow")),
        ("garbage", garbage.url("/"), "down", Some("protocol")),
        ("broken", broken.url("/"), "down", Some("status")),
        ("short", short.url("/"), "down", Some("closed")),
        ("looping", looping.url("/"), "down", Some("limit")),
        (
            "self_signed",
            format!("https://{}/", self_signed.address),
            "down",
            Some("tls"),
        ),
        ("endless", endless.url("/"), "down", Some("limit")),
        (
            "nameless",
            "http://no-such-host.invalid/".to_owned(),
            "down",
            Some("dns"),
        ),
    ];
    let mut config = "defaults: { interval: 8s, timeout: 7s }\nservices:\n".to_owned();
    config.extend(cases.iter().map(|(key, url, ..)| http(key, url)));
    let exporter = Exporter::start(&config, &[]).await;

    for (key, _, status, reason) in &cases {
        let labels = format!("service=\"{key}\",group=\"g\"");
        let one_hot = format!("upkeep_service_status{{{labels},tier=\"critical\",status=\"{status}\"}}");
        exporter.becomes(&one_hot, 1.0, LONG).await;
        let metrics = exporter.metrics().await;
        let problems: Vec<_> = metrics
            .lines()
            .filter(|line| line.starts_with(&format!("upkeep_check_problem_info{{{labels}")))
            .collect();
        match reason {
            None => assert!(problems.is_empty(), "{problems:?}"),
            Some(reason) => assert_eq!(
                problems,
                [format!(
                    "upkeep_check_problem_info{{{labels},check=\"http\",reason=\"{reason}\"}} 1"
                )],
                "{}",
                exporter.server.log()
            ),
        }
    }
    // Slow by 6 s, and silent for longer than thresholds.down: the condition `slow`; by 2 s, not.
    for (key, is_slow) in [
        ("too_slow", true),
        ("silent", true),
        ("slow", false),
        ("refusing", false),
    ] {
        let series = format!(
            "upkeep_service_condition_since_timestamp_seconds{{service=\"{key}\",group=\"g\",tier=\"critical\",condition=\"slow\"}}"
        );
        assert_eq!(exporter.value(&series).await.unwrap() > 0.0, is_slow, "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_every_other_run_is_not_up() {
    let bad = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n".to_vec();
    let answers = (0..400).map(|number| if number % 2 == 0 { ok("fine") } else { bad.clone() });
    let flapping = Target::answering_each(answers.collect()).await;
    let config = format!(
        "defaults: {{ interval: 200ms, recheck_interval: 100ms }}\nservices:\n{}",
        http("flapping", &flapping.url("/"))
    );
    let exporter = Exporter::start(&config, &[]).await;
    let down = "upkeep_service_status{service=\"flapping\",group=\"g\",tier=\"critical\",status=\"down\"}";
    exporter.becomes(down, 1.0, LONG).await;
    let since = "upkeep_service_condition_since_timestamp_seconds{service=\"flapping\",group=\"g\",tier=\"critical\",condition=\"down\"}";
    let first = exporter.value(since).await.unwrap();
    let runs = "upkeep_check_runs_total{service=\"flapping\",group=\"g\",check=\"http\"}";
    let begun = exporter.value(runs).await.unwrap();
    while exporter.value(runs).await.unwrap() < begun + 20.0 {
        assert_eq!(exporter.value(down).await, Some(1.0));
    }
    assert_eq!(exporter.value(since).await, Some(first));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_status_is_one_line_in_the_log() {
    let mut target = Switchable::start().await;
    let config = format!(
        "defaults: {{ interval: 300ms, recheck_interval: 100ms }}\nservices:\n{}",
        http("api", &format!("http://{}/", target.address))
    );
    let mut exporter = Exporter::start(&config, &[]).await;
    target.stop().await;
    let down = "upkeep_service_status{service=\"api\",group=\"g\",tier=\"critical\",status=\"down\"}";
    exporter.becomes(down, 1.0, LONG).await;
    let failures = "upkeep_check_failures_total{service=\"api\",group=\"g\",check=\"http\"}";
    while exporter.value(failures).await.unwrap() < 10.0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    target.start_again().await;
    exporter.becomes(down, 0.0, LONG).await;

    // Lines are written by a thread of their own; all of them are there once the exporter has ended.
    exporter.server.terminate(Duration::from_secs(2));
    let log = exporter.server.log();
    let changes: Vec<_> = log
        .lines()
        .filter(|line| line.contains("old=") && line.contains("service=api"))
        .collect();
    assert_eq!(changes.len(), 2, "{log}");
    for (line, wanted) in [
        (
            changes[0],
            ["level=warn", "old=up", "new=down", "reason=refused", "since="],
        ),
        (
            changes[1],
            ["level=info", "old=down", "new=up", "service=api", "since="],
        ),
    ] {
        assert!(wanted.iter().all(|word| line.contains(word)), "{line}");
    }
}
