//! Deliveries of a real Alertmanager with the shipped configuration: all integrations, recoveries, repetitions, inhibition.

use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};

#[path = "alertmanager/live.rs"]
mod live;
#[path = "alertmanager/notify_test.rs"]
mod notify_test;
#[path = "alertmanager/sinks.rs"]
mod sinks;
#[path = "rules/tools.rs"]
#[expect(
    dead_code,
    reason = "shared with the tests of the rules, which use more of it"
)]
mod tools;

use live::{Alertmanager, PATIENCE};
use sinks::{Delivery, Sinks};

/// An alert as Prometheus sends it; `ends` in the past makes it a recovery.
fn alert(name: &str, severity: &str, service: &str, ends: Option<&str>) -> Value {
    let mut alert = json!({
        "labels": {
            "alertname": name, "severity": severity, "service": service, "group": "g", "tier": "critical",
            "job": "upkeep", "instance": "web1:10100",
        },
        "annotations": {
            "summary": format!("{name} of {service}"), "description": "http (timeout).",
            "runbook_url": format!("https://runbooks.example/{name}.md"),
        },
        "startsAt": "2026-01-01T00:00:00Z",
        "generatorURL": "http://prometheus.example/graph",
    });
    if let Some(ends) = ends {
        alert["endsAt"] = json!(ends);
    }
    alert
}

fn json_of(delivery: &Delivery) -> Value {
    serde_json::from_str(&delivery.body).unwrap_or_else(|error| panic!("{error} in {delivery:?}"))
}

/// Waits until the last notification to `to` contains `part`, and returns it.
fn delivered(sinks: &Sinks, to: &str, part: &str) -> Delivery {
    let found = sinks.wait(to, PATIENCE, |all| {
        all.last().is_some_and(|delivery| delivery.body.contains(part))
    });
    found.last().expect("there is one").clone()
}

#[test]
fn a_page_and_its_recovery_reach_every_integration() {
    let sinks = Sinks::start();
    let alertmanager = Alertmanager::start(&sinks, "1h");
    alertmanager.post(&json!([alert("UpkeepServiceDown", "critical", "api", None)]));

    let slack = json_of(&delivered(&sinks, "/slack", "CRITICAL"));
    assert_eq!(slack["channel"], "#alerts");
    assert_eq!(
        slack["attachments"][0]["title"],
        "[CRITICAL] UpkeepServiceDown of api"
    );
    assert_eq!(slack["attachments"][0]["color"], "danger");

    let pagerduty = json_of(&delivered(&sinks, "/pagerduty", "trigger"));
    assert_eq!(pagerduty["routing_key"], "pagerduty-secret");
    assert_eq!(pagerduty["payload"]["severity"], "critical");
    assert_eq!(
        pagerduty["payload"]["summary"],
        "[CRITICAL] UpkeepServiceDown of api"
    );
    assert_eq!(
        pagerduty["client_url"],
        "https://runbooks.example/UpkeepServiceDown.md"
    );

    let sms = delivered(&sinks, "/sms", "firing");
    assert_eq!(sms.credentials, "Bearer sms-secret");
    assert_eq!(
        json_of(&sms)["alerts"][0]["annotations"]["summary"],
        "UpkeepServiceDown of api"
    );

    let mail = delivered(&sinks, "mail", "[CRITICAL]");
    assert!(mail.body.contains("To: oncall@example.org"), "{}", mail.body);
    let credentials = base64::engine::general_purpose::STANDARD
        .decode(&mail.credentials)
        .expect("AUTH PLAIN is base64");
    assert_eq!(credentials, b"\0alertmanager\0smtp-secret");

    alertmanager.post(&json!([alert(
        "UpkeepServiceDown",
        "critical",
        "api",
        Some("2026-01-01T00:05:00Z")
    )]));
    assert_eq!(
        json_of(&delivered(&sinks, "/slack", "RESOLVED"))["attachments"][0]["color"],
        "good"
    );
    assert_eq!(
        json_of(&delivered(&sinks, "/pagerduty", "\"event_action\":\"resolve\""))["event_action"],
        "resolve"
    );
    assert_eq!(
        json_of(&delivered(&sinks, "/sms", "resolved"))["status"],
        "resolved"
    );
    delivered(&sinks, "mail", "[RESOLVED]");
}

#[test]
fn a_page_is_repeated_after_its_cooldown_and_no_sooner() {
    let sinks = Sinks::start();
    let alertmanager = Alertmanager::start(&sinks, "4s");
    alertmanager.post(&json!([alert("UpkeepServiceDown", "critical", "api", None)]));
    let pages = sinks.wait("/sms", PATIENCE, |all| all.len() >= 2);
    let cooldown = pages[1].at - pages[0].at;
    // The Alertmanager counts from the end of the first delivery, which is slightly later than its receipt.
    assert!(
        cooldown >= Duration::from_millis(3900),
        "repeated after {cooldown:?}"
    );
}

#[test]
fn slowness_is_inhibited_while_the_service_is_down() {
    let sinks = Sinks::start();
    let alertmanager = Alertmanager::start(&sinks, "1h");
    alertmanager.post(&json!([
        alert("UpkeepServiceDown", "critical", "api", None),
        alert("UpkeepServiceSlow", "warning", "api", None),
        alert("UpkeepServiceSlow", "warning", "web", None),
    ]));
    delivered(&sinks, "/sms", "UpkeepServiceDown of api");
    delivered(&sinks, "/alerts", "UpkeepServiceSlow of web");
    // A later alert of the group of api sends all alerts of the group that are not inhibited.
    alertmanager.post(&json!([alert("UpkeepServiceDegraded", "warning", "api", None)]));
    let all = sinks.wait("/alerts", PATIENCE, |all| {
        all.iter()
            .any(|d| d.body.contains("UpkeepServiceDegraded of api"))
    });
    assert!(
        all.iter()
            .all(|delivery| !delivery.body.contains("UpkeepServiceSlow of api")),
        "{all:#?}"
    );

    // Up again, but still slow: now it is sent.
    alertmanager.post(&json!([alert(
        "UpkeepServiceDown",
        "critical",
        "api",
        Some("2026-01-01T00:05:00Z")
    )]));
    sinks.wait("/alerts", PATIENCE, |all| {
        all.iter().any(|d| d.body.contains("UpkeepServiceSlow of api"))
    });
}

#[test]
fn the_watchdog_reaches_only_its_switch() {
    let sinks = Sinks::start();
    let alertmanager = Alertmanager::start(&sinks, "1h");
    alertmanager.post(&json!([
        alert("UpkeepWatchdog", "none", "", None),
        alert("UpkeepServiceDown", "critical", "api", None)
    ]));
    let switch = delivered(&sinks, "/deadman", "UpkeepWatchdog");
    assert_eq!(json_of(&switch)["alerts"].as_array().map(Vec::len), Some(1));
    delivered(&sinks, "/sms", "UpkeepServiceDown of api");
    assert!(
        sinks
            .wait("/slack", PATIENCE, |all| !all.is_empty())
            .iter()
            .all(|d| !d.body.contains("Watchdog"))
    );
}
