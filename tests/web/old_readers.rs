//! The fields of the ChatStack monitor in `/api/status`, in every combination of configured parts and of results.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use upkeep_exporter::check::{http, process, systemd};
use upkeep_exporter::model::{Conclusion, Outcome, Phase, Problem, Reason, Status, Tier};
use upkeep_exporter::store::{CheckView, LastRun};

use crate::api::{failure, json as parsed, ran, sample};
use crate::client::{Server, state};
use crate::common::chatstack::{Parts, assert_document, assert_readable};
use crate::config;
use crate::openapi;
use crate::snapshots::{check, service, snapshot};

const HTTP: &str = "kind: http, url: \"http://127.0.0.1:5000/\"";
const TCP: &str = "kind: tcp, address: \"127.0.0.1:5000\"";
const SYSTEMD: &str = "kind: systemd, unit: web.service";
const PROCESS: &str = "kind: process, match: [web]";

/// How the last run of every check of a service ended.
#[derive(Clone, Copy, Debug)]
enum Last {
    Never,
    Good,
    Bad,
    TooOld,
}

fn checks(parts: Parts, last: Last) -> Vec<CheckView> {
    let samples = |keys| match keys {
        HTTP => vec![sample(&http::STATUS_CODE, &[], 200.0)],
        SYSTEMD => vec![sample(&systemd::UNIT_STATE, &["web.service", "active"], 1.0)],
        PROCESS => vec![sample(&process::PROCESSES, &[], 1.0)],
        _ => Vec::new(),
    };
    let view = |keys: &'static str| {
        let good = Outcome {
            response_time: [HTTP, TCP]
                .contains(&keys)
                .then_some(Duration::from_micros(4_837)),
            samples: samples(keys),
            pids: if keys == PROCESS { vec![7] } else { Vec::new() },
            ..Outcome::default()
        };
        match last {
            Last::Never => check("x", config::check(keys).kind),
            Last::Good => ran(keys, Status::Up, good),
            Last::Bad => ran(
                keys,
                Status::Down,
                Outcome {
                    conclusion: failure(Reason::Refused, "it failed"),
                    duration: Duration::from_micros(700),
                    ..Outcome::default()
                },
            ),
            Last::TooOld => ran(keys, Status::Unknown, good),
        }
    };
    [
        (parts.http, HTTP),
        (parts.tcp, TCP),
        (parts.systemd, SYSTEMD),
        (parts.process, PROCESS),
    ]
    .into_iter()
    .filter(|(is_there, _)| *is_there)
    .map(|(_, keys)| view(keys))
    .collect()
}

#[tokio::test]
async fn every_field_is_present_in_every_configuration() {
    for last in [Last::Never, Last::Good, Last::Bad, Last::TooOld] {
        let make = move || {
            let services = Parts::all()
                .map(|parts| service(&parts.key(), "S", "g", Tier::Critical, checks(parts, last)));
            snapshot(services.collect())
        };
        let server = Server::start(state(make)).await;
        let document = parsed(&server.get("/api/status", &[]).await);
        openapi::assert_is("Document", &document);
        assert_document(&document);
        for parts in Parts::all() {
            let service = &document["services"][parts.key()];
            assert_readable(service, parts);
            let is_configured = parts.http || parts.tcp || parts.systemd || parts.process;
            if is_configured {
                let is_ok = matches!(last, Last::Good);
                assert_eq!(service["ok"], json!(is_ok), "{last:?} {parts:?}");
            }
        }
    }
}

/// The `http` and `port` parts after one run of an http check.
async fn after(outcome: Outcome) -> (Value, Value) {
    let make = move || {
        let view = ran(HTTP, Status::Down, outcome.clone());
        snapshot(vec![service("s", "S", "g", Tier::Critical, vec![view])])
    };
    let server = Server::start(state(make)).await;
    let service = parsed(&server.get("/api/status/s", &[]).await);
    (service["http"].clone(), service["port"].clone())
}

fn timed_out(phase: Phase) -> Outcome {
    let mut outcome = Outcome {
        conclusion: failure(Reason::Timeout, "timed out"),
        response_time: Some(Duration::from_secs(3)),
        ..Outcome::default()
    };
    outcome.phases.add(Phase::Connect, Duration::from_millis(1));
    outcome.phases.add(phase, Duration::from_secs(2));
    outcome
}

#[tokio::test]
async fn the_port_of_a_url_is_open_if_the_run_got_past_connecting() {
    let open = json!({ "ok": true, "error": "" });
    let closed = json!({ "ok": false, "error": "timed out" });
    for (phase, expected) in [
        (Phase::Connect, &closed),
        (Phase::Tls, &open),
        (Phase::Processing, &open),
        (Phase::Transfer, &open),
    ] {
        let (http, port) = after(timed_out(phase)).await;
        assert_eq!(port, *expected, "{phase}");
        assert_eq!(
            http,
            json!({
                "ok": false, "status_code": null, "latency_ms": 3000, "error": "timed out",
                "expected_status": 200,
            })
        );
    }
}

#[tokio::test]
async fn the_port_behind_a_proxy_is_unknown() {
    let keys = "kind: http, url: \"http://web/\", proxy_url: \"http://127.0.0.1:3128\"";
    let make = move || {
        let mut view = check("http", config::check(keys).kind);
        view.status = Status::Down;
        view.last_run = Some(LastRun {
            ended: crate::snapshots::NOW,
            outcome: Arc::new(Outcome {
                conclusion: Conclusion::Failure(Problem::new(Reason::Refused, "the proxy is away")),
                ..Outcome::default()
            }),
        });
        snapshot(vec![service("s", "S", "g", Tier::Critical, vec![view])])
    };
    let server = Server::start(state(make)).await;
    let service = parsed(&server.get("/api/status/s", &[]).await);
    assert_eq!(service["port"], json!({ "ok": null, "error": "" }));
    assert_eq!(service["http"]["ok"], json!(false));
}

#[tokio::test]
async fn latencies_are_whole_milliseconds_and_exact_in_checks() {
    let outcome = Outcome {
        response_time: Some(Duration::from_micros(4_837)),
        ..Outcome::default()
    };
    let make = move || {
        let view = ran(HTTP, Status::Up, outcome.clone());
        snapshot(vec![service("s", "S", "g", Tier::Critical, vec![view])])
    };
    let server = Server::start(state(make)).await;
    let service = parsed(&server.get("/api/status/s", &[]).await);
    assert_eq!(service["http"]["latency_ms"], json!(5));
    assert_eq!(service["checks"][0]["latency_ms"], json!(4.837));
}
