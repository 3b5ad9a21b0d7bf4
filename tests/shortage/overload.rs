//! More checks than the processor can run.

use std::time::{Duration, Instant};

use crate::common::targets::{Target, ok};
use crate::limited::Limited;

#[tokio::test(flavor = "multi_thread")]
async fn scrapes_are_served_while_checks_saturate_the_cores() {
    let body = format!("{{\"a\": \"{}\"}}", "x".repeat(200_000));
    let good = Target::answering(ok(&body)).await;
    let url = good.url("/");
    let services: Vec<String> = (0..200)
        .map(|number| {
            format!(
                "  - {{ key: s{number}, group: g, checks: [{{ kind: http, url: '{url}', fail_if_body_matches_regexp: \
                 ['(x|y)*z'] }}] }}"
            )
        })
        .collect();
    let head = "defaults: { interval: 100ms, recheck_interval: 100ms, timeout: 9s }";
    let exporter = Limited::start("true", head, &services);
    exporter.metrics().await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let mut slowest = Duration::ZERO;
    for _ in 0..10 {
        let started = Instant::now();
        exporter.metrics().await;
        slowest = slowest.max(started.elapsed());
        tokio::time::sleep(Duration::from_secs(1).saturating_sub(started.elapsed())).await;
    }
    let metrics = exporter.metrics().await;
    let missed = metrics.sum("upkeep_check_missed_runs_total");
    let runs = metrics.sum("upkeep_check_runs_total");
    eprintln!("{runs} runs, {missed} missed; the slowest scrape took {slowest:.0?}");
    assert!(
        missed > runs,
        "the cores are not saturated: {runs} runs, {missed} missed"
    );
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    assert_eq!(
        metrics.sum("upkeep_check_failures_total"),
        0.0,
        "{}",
        exporter.server.log()
    );
}
