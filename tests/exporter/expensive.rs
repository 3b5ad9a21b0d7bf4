//! Targets whose responses are expensive to evaluate. Their checks end with `limit` or a result. Nothing else is delayed.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::common::servers::get;
use crate::common::switchable::Switchable;
use crate::{Exporter, LONG};

/// How many healthy checks run in addition to the expensive ones.
const HEALTHY: usize = 50;
/// How long both run at the same time.
const WATCHED: Duration = Duration::from_secs(12);
/// How long a scrape may take. Without a budget it takes as long as evaluating a body, or never completes. The machine may be
/// busy, so this is not shorter.
const SCRAPE: Duration = Duration::from_secs(4);
/// The memory that the exporter may use, in kB: for itself, bodies, documents and the values that expressions create.
const MEMORY_KB: u64 = 700 << 10;

/// Words in a random order, so that the cache of a lazy automaton does not help.
fn text(words: &[&str], length: usize) -> String {
    let mut seed = 7_u64;
    let mut text = String::with_capacity(length + 8);
    while text.len() < length {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        text += words[(seed >> 33) as usize % words.len()];
    }
    text.truncate(length);
    text
}

/// A target that reads a request and sends these bytes to every client.
async fn serve_bytes(bytes: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let bytes: &'static [u8] = bytes.leak();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = vec![0; 4096];
                let _ = tokio::time::timeout(Duration::from_millis(100), stream.read(&mut request)).await;
                let _ = stream.write_all(bytes).await;
            });
        }
    });
    address
}

async fn serve_body(body: &str) -> String {
    let head = format!(
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    serve_bytes([head.as_bytes(), body.as_bytes()].concat()).await
}

/// The expensive checks, each with the reason for which it usually fails.
async fn expensive_checks() -> Vec<(String, &'static str)> {
    let small = serve_body(&text(&["error", "code", "5x", " "], 65_000)).await;
    let large = serve_body(&text(&["failed", "x", "4x", "5y", " ", "failed "], 9_999_999)).await;
    let (items, others): (Vec<u32>, Vec<u32>) = ((0..60_000).collect(), (60_000..120_000).collect());
    let json = serve_body(&json!({ "items": items, "list": others }).to_string()).await;
    let lines = serve_bytes(
        format!("{}\n", text(&["error", "code", "5x", " "], 60_000))
            .repeat(17)
            .into_bytes(),
    )
    .await;
    let headers = format!(
        "HTTP/1.1 200 OK\r\nX-Long: {}\r\nContent-Length: 0\r\n\r\n",
        text(&["error", "code", "5x", "y"], 30_000)
    );
    let headers = serve_bytes(headers.into_bytes()).await;
    let http = |target: &str, key: &str| format!("kind: http, url: \"http://{target}/\", {key}");
    let pattern = "error.{0,900}code.{0,900}5[0-9][0-9]";
    let mut checks = vec![
        (
            http(
                &large,
                "fail_if_body_matches_regexp: [\"failed.{0,300}[45][0-9][0-9]\"]",
            ),
            "limit",
        ),
        (
            http(
                &json,
                "fail_if_body_json_not_matches_cel: \"body.items.all(x, !(x in body.list))\"",
            ),
            "limit",
        ),
        (
            http(
                &json,
                "fail_if_body_json_not_matches_cel: \"body.items.map(x, body.list + body.list).size() > 0\"",
            ),
            "limit",
        ),
        (
            http(
                &json,
                "fail_if_body_json_not_matches_cel: \"body.items.filter(x, x in body.list).map(x, [x]).size() == 0\"",
            ),
            "limit",
        ),
        (
            http(
                &headers,
                &format!("fail_if_header_matches: [{{ header: X-Long, regexp: \"{pattern}\" }}]"),
            ),
            "limit",
        ),
    ];
    // Each visits nearly as many values as a run may, so extracting them takes longer than the fast thread may run one task.
    let nested = "{\"a\": {\"b\": 1}},".repeat(60_000);
    let nested = serve_body(&format!("[{nested} 0]")).await;
    for _ in 0..5 {
        let paths: Vec<Value> = (0..10)
            .map(|index| json!({"path": format!("$..[?@.a.b == {index}].none"), "name": format!("n{index}")}))
            .collect();
        checks.push((http(&nested, &format!("extract: {}", json!(paths))), "missing"));
    }
    for _ in 0..4 {
        checks.push((
            http(&small, &format!("fail_if_body_matches_regexp: [\"{pattern}\"]")),
            "limit",
        ));
    }
    for _ in 0..2 {
        let step = format!("kind: tcp, address: \"{lines}\", query_response: [{{ expect: \"{pattern}\" }}]");
        checks.push((step, "limit"));
    }
    checks
}

/// The sum of a family's values over the services whose key starts with `service`.
fn sum(metrics: &str, family: &str, service: &str) -> f64 {
    let series = format!("{family}{{service=\"{service}");
    let values = metrics.lines().filter(|line| line.starts_with(&series));
    values
        .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn expensive_expressions_do_not_delay_other_checks_or_scrapes() {
    let expensive = expensive_checks().await;
    let healthy = Switchable::start().await;
    let mut config = "defaults: { interval: 2s, recheck_interval: 2s, timeout: 8s, thresholds: { degraded: 4s, down: 6s } }\nservices:\n".to_owned();
    for (index, (check, _)) in expensive.iter().enumerate() {
        config += &format!("  - {{ key: expensive{index}, checks: [{{ {check} }}] }}\n");
    }
    for index in 0..HEALTHY {
        config += &format!(
            "  - {{ key: good{index}, checks: [{{ kind: http, url: \"http://{}/\", fail_if_body_not_matches_regexp: [ok] }}] }}\n",
            healthy.address
        );
    }
    let exporter = Exporter::start(&config, &[]).await;
    let started = Instant::now();
    let mut slowest = Duration::ZERO;
    let mut metrics = String::new();
    while started.elapsed() < WATCHED {
        let requested = Instant::now();
        metrics = tokio::time::timeout(LONG, exporter.metrics()).await.unwrap();
        slowest = slowest.max(requested.elapsed());
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    assert!(slowest < SCRAPE, "the slowest scrape took {slowest:?}");
    assert_eq!(sum(&metrics, "upkeep_check_failures_total", "good"), 0.0);
    assert_eq!(sum(&metrics, "upkeep_check_missed_runs_total", "good"), 0.0);
    assert_eq!(sum(&metrics, "upkeep_service_up", "good"), HEALTHY as f64);
    let document: Value = serde_json::from_str(&get(&exporter.url("/api/status")).await.unwrap()).unwrap();
    let mut limited = 0;
    for (index, (check, reason)) in expensive.iter().enumerate() {
        let shown = &document["services"][format!("expensive{index}")]["checks"][0];
        // A fast machine may finish the smaller ones.
        let has_result = shown["status"] == "up";
        // A run that waits for the others until its deadline is inconclusive.
        let has_waited = shown["status"] == "unknown" && shown["reason"] == "internal";
        assert!(
            has_result || has_waited || shown["reason"] == *reason || shown["reason"] == "limit",
            "{check}: {shown}"
        );
        limited += usize::from(!has_result);
    }
    assert!(limited > expensive.len() / 2, "{document:#}");
    let status = procfs::process::Process::new(exporter.server.pid().cast_signed())
        .unwrap()
        .status()
        .unwrap();
    let peak = status.vmhwm.unwrap();
    assert!(peak < MEMORY_KB, "the exporter used {peak} kB");
}
