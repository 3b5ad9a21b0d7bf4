//! End-to-end test with the shipped settings: exporter, real Prometheus, real Alertmanager, a webhook. Faults at known times
//! cause notifications within the bounds of the settings. Restarts neither resolve nor repeat them.

#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
mod demo;
mod dependencies;
mod healing;
mod jobs;
mod objectives;
mod services;
mod stack;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use common::dashboards;
use common::servers::tool;
use common::webhook::Notice;
use services::Services;
use stack::Stack;

/// From the configuration below.
const INTERVAL: Duration = Duration::from_secs(5);
/// The default.
const RECHECK: Duration = Duration::from_secs(5);
/// From deploy/prometheus/prometheus.yml.
const SCRAPE: Duration = Duration::from_secs(5);
const EVALUATION: Duration = Duration::from_secs(5);
/// From deploy/alertmanager/alertmanager.yml, for warnings. Critical alerts do not wait.
const GROUP_WAIT: Duration = Duration::from_secs(10);
const GROUP_INTERVAL: Duration = Duration::from_secs(30);
/// Time limit to start everything: the first runs, Prometheus with its targets, a scrape.
const START: Duration = Duration::from_secs(60);
/// Extra time for a busy machine.
const SLACK: Duration = Duration::from_secs(4);
/// The default tolerances.
const DOWN: Duration = Duration::from_secs(30);
const DEGRADED: Duration = Duration::from_secs(60);
const SLOW: Duration = Duration::from_secs(120);
const TOLERANT_DOWN: Duration = Duration::from_secs(120);

/// The longest time from a fault to its notification: the next run sees it, a run that ends after the tolerance minus one recheck
/// interval confirms it, then follow a scrape, an evaluation and `group_wait`.
fn latest(tolerance: Duration, response_time: Duration) -> Duration {
    let evidence = tolerance - RECHECK + RECHECK.max(response_time);
    INTERVAL + evidence + SCRAPE + EVALUATION + GROUP_WAIT + SLACK
}

/// The longest time from a recovery to its notification: two successful runs, a scrape, an evaluation, `group_interval`.
fn latest_recovery() -> Duration {
    2 * INTERVAL + SCRAPE + EVALUATION + GROUP_INTERVAL + SLACK
}

fn assert_on_time(notice: &Notice, fault: Instant, earliest: Duration, latest: Duration) {
    let after = notice.at.duration_since(fault);
    println!(
        "{} of {} after {after:.1?}, within {earliest:?} to {latest:?}",
        notice.label("alertname"),
        notice.label("service")
    );
    assert!(
        after >= earliest,
        "{} of {} too early: {after:?}",
        notice.label("alertname"),
        notice.label("service")
    );
    assert!(
        after <= latest,
        "{} of {} too late: {after:?}",
        notice.label("alertname"),
        notice.label("service")
    );
}

/// Sequential scenarios would take half an hour, so they run concurrently, each with its own service.
#[tokio::test(flavor = "multi_thread")]
async fn from_a_fault_to_its_notification_and_back() {
    let mut services = Services::start().await;
    let config = services.config(&tool("prometheus", "prometheus"));
    let mut stack = Stack::start(&config).await;
    stack
        .wait_for(
            "count(up == 1) == 2 and count(upkeep_service_status{status='up'} == 1) >= 14",
            START,
        )
        .await;

    stack.start_maintenance("maintained");
    let fault = Instant::now();
    services.stopped.stop().await;
    services.maintained.stop().await;
    services.tolerated.stop().await;
    services.crash();
    services.degraded.slow_by(Duration::from_secs(2));
    services.slow.slow_by(Duration::from_secs(6));

    let page = stack
        .notice(
            "UpkeepServiceDown",
            "stopped",
            "firing",
            latest(DOWN, Duration::ZERO),
        )
        .await;
    assert_on_time(&page, fault, DOWN, latest(DOWN, Duration::ZERO));
    assert_eq!(page.receiver, "pager");
    assert!(
        page.annotations["description"]
            .as_str()
            .unwrap()
            .contains("refused"),
        "{:?}",
        page.annotations
    );

    let crashed = stack
        .notice(
            "UpkeepServiceDown",
            "crashing",
            "firing",
            latest(DOWN, Duration::ZERO),
        )
        .await;
    assert_on_time(&crashed, fault, DOWN, latest(DOWN, Duration::ZERO));

    // Restart the exporter during an outage. Its state survives, and the rules hold the last values.
    stack.exporters[0].terminate(Duration::from_secs(2));
    // Let some scrapes fail.
    tokio::time::sleep(3 * SCRAPE).await;
    stack.exporters[0] = stack.exporter(0);
    let degraded = stack
        .notice(
            "UpkeepServiceDegraded",
            "degraded",
            "firing",
            latest(DEGRADED, Duration::from_secs(2)),
        )
        .await;
    assert_on_time(
        &degraded,
        fault,
        DEGRADED,
        latest(DEGRADED, Duration::from_secs(2)),
    );
    assert_eq!(degraded.receiver, "team");

    stack
        .prometheus
        .take()
        .unwrap()
        .terminate(Duration::from_secs(20));
    stack.start_prometheus();

    let slow = stack
        .notice(
            "UpkeepServiceSlow",
            "slow",
            "firing",
            latest(SLOW, Duration::from_secs(6)),
        )
        .await;
    assert_on_time(&slow, fault, SLOW, latest(SLOW, Duration::from_secs(6)));
    let tolerated = stack
        .notice(
            "UpkeepServiceDownTolerated",
            "tolerated",
            "firing",
            latest(TOLERANT_DOWN, Duration::ZERO),
        )
        .await;
    assert_on_time(
        &tolerated,
        fault,
        TOLERANT_DOWN,
        latest(TOLERANT_DOWN, Duration::ZERO),
    );
    assert_eq!(tolerated.label("severity"), "warning");

    assert_eq!(
        stack.notices("UpkeepServiceDown", "stopped", "firing").len(),
        1,
        "a restart repeated the page"
    );
    assert!(
        stack
            .notices("UpkeepServiceDown", "stopped", "resolved")
            .is_empty(),
        "a restart resolved the page"
    );
    assert!(
        stack
            .webhook
            .notices(|notice| ["steady", "maintained"].contains(&notice.label("service")))
            .is_empty(),
        "a notification of a service that is up, or down in maintenance"
    );
    assert!(
        !stack
            .webhook
            .notices(|notice| notice.label("alertname") == "UpkeepWatchdog")
            .is_empty(),
        "no notification of UpkeepWatchdog"
    );

    every_dashboard_query_runs(&stack).await;

    let recovery = Instant::now();
    services.stopped.start_again().await;
    services.tolerated.start_again().await;
    services.start_crashed();
    services.degraded.slow_by(Duration::ZERO);
    services.slow.slow_by(Duration::ZERO);
    for (alert, service) in [
        ("UpkeepServiceDown", "stopped"),
        ("UpkeepServiceDown", "crashing"),
        ("UpkeepServiceDegraded", "degraded"),
        ("UpkeepServiceSlow", "slow"),
        ("UpkeepServiceDownTolerated", "tolerated"),
    ] {
        let notice = stack
            .notice(
                alert,
                service,
                "resolved",
                latest_recovery() + Duration::from_secs(6),
            )
            .await;
        assert_on_time(
            &notice,
            recovery,
            Duration::ZERO,
            latest_recovery() + Duration::from_secs(6),
        );
    }

    // The exporter is down: its own alert fires.
    stack.exporters[0].kill();
    stack
        .notice("UpkeepExporterDown", "", "firing", Duration::from_secs(120))
        .await;

    assert_eq!(
        stack.rule_failures().await,
        0.0,
        "rules failed, with two exporters of the same services"
    );
}

/// Runs every query of every dashboard. Each returns data for some service, or may_be_empty.yml lists it, or its dashboard is tested
/// with written series.
async fn every_dashboard_query_runs(stack: &Stack) {
    let excused = dashboards::may_be_empty();
    let is_excused = |query: &dashboards::Query| {
        dashboards::WRITTEN.contains(&query.dashboard.as_str())
            || excused
                .iter()
                .any(|entry| entry.dashboard == query.dashboard && entry.panel == query.panel)
    };
    let mut empty = BTreeSet::new();
    let mut with_data = BTreeSet::new();
    for service in Services::KEYS {
        for query in dashboards::queries(&dashboards::selection(service)) {
            let name = format!("{} / {} / {}", query.dashboard, query.panel, query.ref_id);
            let result = stack
                .query(&query.expr)
                .await
                .unwrap_or_else(|| panic!("{name} failed: {}", query.expr));
            if result.is_empty() && !is_excused(&query) {
                empty.insert(name);
            } else {
                with_data.insert(name);
            }
        }
    }
    let never: Vec<_> = empty.difference(&with_data).collect();
    assert!(
        with_data.len() > 40 && never.is_empty(),
        "{} queries had data; none for: {never:#?}",
        with_data.len()
    );
}
