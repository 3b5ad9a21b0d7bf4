//! `/api/status`: services in every state, in the old fields of ChatStack and the new ones.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use flate2::read::GzDecoder;
use serde_json::{Value, json};
use upkeep_exporter::check::{http, process, systemd};
use upkeep_exporter::model::{
    Conclusion, Family, Finding, Outcome, Phase, Problem, Reason, Sample, ServiceKey, Severity, Status, Tier,
};
use upkeep_exporter::store::{CheckView, LastRun, Snapshot};

use crate::client::{Reply, Server, state};
use crate::config;
use crate::openapi;
use crate::snapshots::{NOW, answered, check, every_status, many, service, snapshot, tcp};

pub fn json(reply: &Reply) -> Value {
    assert_eq!(reply.header("content-type"), Some("application/json"));
    serde_json::from_slice(&reply.body).unwrap()
}

pub fn sample(family: &'static Family, labels: &[&'static str], value: f64) -> Sample {
    Sample {
        family,
        labels: labels.iter().map(|label| (*label).into()).collect(),
        value,
    }
}

/// A check with this configuration after a run with this outcome.
pub fn ran(keys: &str, status: Status, outcome: Outcome) -> CheckView {
    let settings = config::check(keys);
    let mut view = answered(check(settings.name.as_str(), settings.kind), 0.1);
    view.status = status;
    view.problem = match &outcome.conclusion {
        Conclusion::Success | Conclusion::Inconclusive(_) => None,
        Conclusion::Warning(problem) | Conclusion::Failure(problem) => Some(Arc::new(problem.clone())),
    };
    view.last_run = Some(LastRun {
        ended: NOW - 2.0,
        outcome: Arc::new(outcome),
    });
    view
}

pub fn failure(reason: Reason, message: &str) -> Conclusion {
    Conclusion::Failure(Problem::new(reason, message))
}

/// The service of the old system: a page with status 503, an open port, an active unit and two processes.
fn chatstack() -> Snapshot {
    let mut web = Outcome {
        conclusion: failure(Reason::Status, "status 503, expected 200"),
        response_time: Some(Duration::from_micros(12_345)),
        samples: vec![sample(&http::STATUS_CODE, &[], 503.0)],
        ..Outcome::default()
    };
    web.phases.add(Phase::Connect, Duration::from_micros(250));
    let unit = Outcome {
        samples: vec![
            sample(&systemd::UNIT_STATE, &["chatstack-web.service", "inactive"], 0.0),
            sample(&systemd::UNIT_STATE, &["chatstack-web.service", "active"], 1.0),
        ],
        ..Outcome::default()
    };
    let processes = Outcome {
        samples: vec![
            sample(&process::PROCESSES, &[], 2.0),
            sample(&process::CPU, &[], f64::NAN),
        ],
        pids: vec![11, 12],
        ..Outcome::default()
    };
    snapshot(vec![service(
        "chatstack_web",
        "ChatStack Web",
        "chatstack",
        Tier::Critical,
        vec![
            ran(
                "kind: http, url: \"http://user:hunter2@127.0.0.1:5000/health?token=hunter2\", valid_status_codes: [200, 204]",
                Status::Down,
                web,
            ),
            ran(
                "kind: tcp, address: \"127.0.0.1:5000\"",
                Status::Up,
                Outcome::default(),
            ),
            ran("kind: systemd, unit: chatstack-web.service", Status::Up, unit),
            ran("kind: process, match: [gunicorn]", Status::Up, processes),
        ],
    )])
}

#[tokio::test]
async fn the_fields_of_chatstack_are_present() {
    let server = Server::start(state(chatstack)).await;
    let document = json(&server.get("/api/status", &[]).await);
    let mut service = document["services"]["chatstack_web"].clone();
    let ours = [
        "group",
        "tier",
        "status",
        "since",
        "reason",
        "message",
        "advice",
        "impacted",
        "root_causes",
        "description",
        "runbook_url",
        "depends_on",
        "maintenance",
        "heal",
        "checks",
    ];
    for key in ours {
        service.as_object_mut().unwrap().remove(key).unwrap();
    }
    assert_eq!(
        service,
        json!({
            "name": "ChatStack Web",
            "key": "chatstack_web",
            "ok": false,
            "http": {
                "ok": false,
                "status_code": 503,
                "latency_ms": 12,
                "error": "status 503, expected 200",
                "expected_status": 200,
            },
            "port": { "ok": true, "error": "" },
            "systemd": { "state": "active", "ok": true },
            "process": { "count": 2, "pids": [11, 12] },
            "last_checked": "2023-11-14T22:13:18.250Z",
            "auto_restart_attempted": false,
            "auto_restart_result": null,
        })
    );
    for (key, value) in [
        ("ok_count", json!(0)),
        ("fail_count", json!(1)),
        ("total", json!(1)),
        ("version", json!(env!("CARGO_PKG_VERSION"))),
        ("generated_at", json!("2023-11-14T22:13:20.250Z")),
        ("mode", json!("production_monitoring")),
        ("stale_after_seconds", json!(90)),
    ] {
        assert_eq!(document[key], value, "{key}");
    }
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    assert_eq!(document["host"], json!(host.trim()));
}

/// The service that is down in [`every_status`] is healed.
#[tokio::test]
async fn healing_fills_the_old_fields_and_its_own_object() {
    let server = Server::start(state(every_status)).await;
    let service = json(&server.get("/api/status/api", &[]).await);
    assert_eq!(service["auto_restart_attempted"], true);
    assert_eq!(service["auto_restart_result"], "failed");
    let mut heal = service["heal"].clone();
    let decisions = heal["decisions"].take();
    assert_eq!(
        heal,
        json!({
            "mode": "act",
            "action": "restart",
            "target": "api.service",
            "gave_up": true,
            "paused": true,
            "paused_until": "2023-11-14T22:23:20.250Z",
            "paused_by": "root",
            "refusal": "gave_up",
            "budget_remaining": 3,
            "budget_limit": 5,
            "last_action": "2023-11-14T22:11:20.250Z",
            "last_result": "failed",
            "decisions": null,
        })
    );
    assert_eq!(decisions.as_array().unwrap().len(), 4);
    assert_eq!(
        decisions[3],
        json!({
            "at": "2023-11-14T22:11:20.250Z",
            "event": "acting",
            "detail": "restart",
            "check": "tcp",
            "runs": 2,
            "reason": "refused",
            "evidence": "connecting to 192.0.2.3:80: refused; active (running)",
        })
    );
    let document = json(&server.get("/api/status", &[]).await);
    assert!(document["services"]["api"]["heal"].get("decisions").is_none());
    assert_eq!(document["services"]["web"]["heal"], Value::Null);
}

#[tokio::test]
async fn an_action_long_ago_is_not_reported_as_a_restart() {
    let server = Server::start(state(|| {
        let mut snapshot = every_status();
        snapshot.taken += 900.0;
        snapshot
    }))
    .await;
    let service = json(&server.get("/api/status/api", &[]).await);
    assert_eq!(service["auto_restart_attempted"], false);
    assert_eq!(service["auto_restart_result"], Value::Null);
}

#[tokio::test]
async fn an_impacted_service_names_its_root_causes() {
    let server = Server::start(state(|| {
        let services = ["api", "db", "queue"].map(|key| {
            let keys = "kind: tcp, address: \"127.0.0.1:5000\"";
            let down = ran(keys, Status::Down, Outcome::default());
            service(key, &key.to_uppercase(), "g", Tier::Critical, vec![down])
        });
        let mut services = Vec::from(services);
        services[0].is_impacted = true;
        services[0].roots = ["db", "queue"].map(ServiceKey::new).to_vec();
        snapshot(services)
    }))
    .await;
    let services = json(&server.get("/api/status", &[]).await)["services"].take();
    assert_eq!(services["api"]["impacted"], true);
    assert_eq!(services["api"]["root_causes"], json!(["db", "queue"]));
    assert_eq!(services["db"]["impacted"], false);
    let link = |key: &str| format!("<a href=\"/service/{key}\"><bdi>{}</bdi></a>", key.to_uppercase());
    let expected = format!("impacted: {}, {} are ", link("db"), link("queue"));
    for page in ["/", "/service/api"] {
        let body = server.get(page, &[]).await.body;
        let body = String::from_utf8_lossy(&body);
        assert_eq!(body.matches(&expected).count(), 1, "{page}: {body}");
    }
}

/// Two parts that were started at these times, and one that has no start.
fn started(statuses: [Status; 2]) -> Snapshot {
    let outcome = |since| Outcome {
        running_since: since,
        ..Outcome::default()
    };
    let checks = vec![
        ran(
            "kind: systemd, unit: a.service",
            statuses[0],
            outcome(Some(NOW - 7_200.0)),
        ),
        ran(
            "kind: process, match: [a]",
            statuses[1],
            outcome(Some(NOW - 3_600.0)),
        ),
        ran("kind: tcp, address: \"127.0.0.1:1\"", Status::Up, outcome(None)),
    ];
    snapshot(vec![service("a", "A", "g", Tier::Critical, checks)])
}

#[tokio::test]
async fn a_service_runs_since_the_last_start_of_its_parts() {
    const EARLY: &str = "2023-11-14T20:13:20.250Z";
    const LATE: &str = "2023-11-14T21:13:20.250Z";
    for (statuses, service, parts) in [
        (
            [Status::Up, Status::Degraded],
            json!(LATE),
            [json!(EARLY), json!(LATE)],
        ),
        (
            [Status::Up, Status::Down],
            Value::Null,
            [json!(EARLY), json!(LATE)],
        ),
        (
            [Status::Unknown, Status::Up],
            Value::Null,
            [Value::Null, json!(LATE)],
        ),
    ] {
        let server = Server::start(state(move || started(statuses))).await;
        let document = json(&server.get("/api/status/a", &[]).await);
        assert_eq!(document["running_since"], service, "{statuses:?}");
        let checks = &document["checks"];
        assert_eq!(
            [&checks[0], &checks[1]].map(|check| check["running_since"].clone()),
            parts
        );
        assert_eq!(checks[2].get("running_since"), None);
        let metric = server.get("/metrics", &[]).await;
        let text = String::from_utf8_lossy(&metric.body).into_owned();
        let line = text
            .lines()
            .find(|line| line.starts_with("upkeep_service_start_time_seconds{"));
        assert_eq!(line.is_some(), !service.is_null(), "{statuses:?}: {line:?}");
        let page = server.get("/service/a", &[]).await;
        let page = String::from_utf8_lossy(&page.body).into_owned();
        let expected = parts
            .iter()
            .chain([&service])
            .filter(|time| !time.is_null())
            .count();
        assert_eq!(page.matches("<dt>Running</dt>").count(), expected, "{page}");
    }
}

#[tokio::test]
async fn every_problem_has_advice() {
    let server = Server::start(state(chatstack)).await;
    let service = json(&server.get("/api/status/chatstack_web", &[]).await);
    for (key, value) in [
        ("status", json!("down")),
        ("since", json!("2023-11-14T22:12:20.250Z")),
        ("reason", json!("status")),
        ("message", json!("status 503, expected 200")),
        ("tier", json!("critical")),
        ("description", json!("")),
        ("depends_on", json!([])),
        ("impacted", json!(false)),
        ("root_causes", json!([])),
    ] {
        assert_eq!(service[key], value, "{key}");
    }
    assert!(service["advice"].as_str().unwrap().contains("curl -i"));
    let http = &service["checks"][0];
    assert_eq!(http["target"], "http://127.0.0.1:5000/health");
    assert_eq!(http["phases_ms"], json!({ "connect": 0.25 }));
    assert_eq!(http["advice"], service["advice"]);
    assert_eq!(
        http["values"],
        json!([{ "metric": "upkeep_http_status_code", "labels": {}, "value": 503.0 }])
    );
    assert_eq!(service["checks"][1]["advice"], Value::Null);
    // Values that are not numbers are left out.
    assert_eq!(service["checks"][3]["values"].as_array().unwrap().len(), 1);
    assert!(!service.to_string().contains("hunter2"));
}

/// [`chatstack`] with findings about its processes.
fn with_findings() -> Snapshot {
    let mut snapshot = chatstack();
    let view = &mut snapshot.services[0].checks[3];
    let mut run = view.last_run.clone().unwrap();
    let mut outcome = Outcome::clone(&run.outcome);
    outcome.findings.push(Finding {
        subject: "<left-pad>".to_owned(),
        state: "missing",
        detail: "wanted ^1.0".to_owned(),
        fix: Some("npm install left-pad".to_owned()),
    });
    run.outcome = Arc::new(outcome);
    view.last_run = Some(run);
    snapshot
}

#[tokio::test]
async fn findings_and_their_fix_are_in_the_document_and_on_the_page() {
    let server = Server::start(state(with_findings)).await;
    let service = json(&server.get("/api/status/chatstack_web", &[]).await);
    openapi::assert_is("Service", &service);
    let check = &service["checks"][3];
    assert_eq!(check["fix"], "npm install left-pad");
    assert_eq!(
        check["findings"],
        json!({ "total": 1, "list": [{
            "subject": "<left-pad>",
            "state": "missing",
            "detail": "wanted ^1.0",
            "fix": "npm install left-pad",
        }] })
    );
    assert_eq!(service["checks"][0]["findings"], Value::Null);
    let page = server.get("/service/chatstack_web", &[]).await;
    let page = String::from_utf8_lossy(&page.body);
    for part in [
        "To fix it, run: <code>",
        "&lt;left-pad&gt;",
        "1 finding of the last run",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
}

#[tokio::test]
async fn the_old_verdict_is_that_of_the_last_runs_of_critical_checks() {
    let web = "kind: http, url: \"http://127.0.0.1:1\"";
    let failed = |reason| Outcome {
        conclusion: failure(reason, "it failed"),
        ..Outcome::default()
    };
    let down = |keys, reason| ran(keys, Status::Down, failed(reason));
    let up = |keys| ran(keys, Status::Up, Outcome::default());
    let activating = Outcome {
        conclusion: Conclusion::Warning(Problem::new(Reason::State, "it is activating")),
        samples: vec![sample(&systemd::UNIT_STATE, &["x", "activating"], 1.0)],
        ..Outcome::default()
    };
    let mut stale = up(web);
    stale.status = Status::Unknown;
    let mut slow = up(web);
    slow.status = Status::Down;
    let mut restored = up(web);
    restored.last_run = None;
    let mut process = down("kind: process, match: [x]", Reason::Missing);
    Arc::make_mut(&mut process.settings).severity = Severity::Warning;
    let cases = [
        ("up", vec![up(web)], true),
        (
            "processes of old files do not count",
            vec![up(web), process],
            true,
        ),
        (
            "containers count, and what else can take it down",
            vec![up(web), down("kind: docker, container: x", Reason::State)],
            false,
        ),
        (
            "not the first of a kind only",
            vec![up(web), down(web, Reason::Status)],
            false,
        ),
        (
            "the port counts",
            vec![up(web), down("kind: tcp, address: \"h:1\"", Reason::Refused)],
            false,
        ),
        (
            "the unit counts",
            vec![up(web), down("kind: systemd, unit: x.service", Reason::State)],
            false,
        ),
        (
            "a unit that starts is not active",
            vec![ran(
                "kind: systemd, unit: x.service",
                Status::Degraded,
                activating,
            )],
            false,
        ),
        ("slowness is no failure", vec![slow], true),
        ("an old result says nothing", vec![stale], false),
        ("no run yet", vec![check("http", config::check(web).kind)], false),
        (
            "what lasted over a restart holds until the first run",
            vec![restored],
            true,
        ),
        (
            "a service of other kinds has its status",
            vec![down("kind: process, match: [x]", Reason::Missing)],
            false,
        ),
    ];
    for (what, checks, expected) in cases {
        let make = move || snapshot(vec![service("s", "S", "g", Tier::Critical, checks.clone())]);
        let server = Server::start(state(make)).await;
        let document = json(&server.get("/api/status", &[]).await);
        assert_eq!(document["services"]["s"]["ok"], expected, "{what}");
        assert_eq!(document["ok_count"], usize::from(expected), "{what}");
        openapi::assert_is("Document", &document);
    }
}

#[tokio::test]
async fn groups_are_counted_and_the_worst_status_is_the_overall_one() {
    let server = Server::start(state(every_status)).await;
    let document = json(&server.get("/api/status", &[]).await);
    let keys: Vec<_> = document["services"].as_object().unwrap().keys().collect();
    assert_eq!(keys.len(), 5);
    assert_eq!(
        (&document["overall"], &document["total"]),
        (&json!("down"), &json!(5))
    );
    let group = |name: &str, up, degraded, down, unknown| {
        json!({
            "name": name, "total": up + degraded + down + unknown,
            "up": up, "degraded": degraded, "down": down, "unknown": unknown,
        })
    };
    assert_eq!(
        document["groups"],
        json!([
            group("front", 1, 1, 0, 0),
            group("größe", 0, 0, 1, 0),
            group("", 0, 0, 0, 1),
            group("back", 0, 0, 0, 1)
        ])
    );
    let front = json(&server.get("/api/status?group=front", &[]).await);
    assert_eq!(
        (&front["overall"], &front["total"]),
        (&json!("degraded"), &json!(2))
    );
    assert_eq!(front["groups"], json!([group("front", 1, 1, 0, 0)]));
    let encoded = json(&server.get("/api/status?group=gr%C3%B6%C3%9Fe", &[]).await);
    assert_eq!(
        (&encoded["total"], &encoded["overall"]),
        (&json!(1), &json!("down"))
    );
}

#[tokio::test]
async fn services_are_in_the_order_of_the_configuration() {
    let server = Server::start(state(every_status)).await;
    let reply = server.get("/api/status", &[]).await;
    let positions = ["web", "slow", "api", "restored", "unseen"]
        .map(|key| reply.text().find(&format!("\"key\":\"{key}\"")).unwrap());
    assert!(positions.is_sorted(), "{positions:?}");
}

#[tokio::test]
async fn errors_explain_what_is_wrong_with_a_request() {
    let server = Server::start(state(every_status)).await;
    for (path, status, error) in [
        (
            "/api/status?group=none",
            404,
            r#"no group "none"; existing groups: "", "back", "front", "größe""#,
        ),
        (
            "/api/status?group=front&group=back",
            400,
            "the query parameter group is given twice",
        ),
        (
            "/api/status?grp=front",
            400,
            r#"unknown query parameter "grp"; supported: group"#,
        ),
        (
            "/api/status?group=%zz",
            400,
            r#""%zz" is malformed: % must be followed by two hexadecimal digits; write a percent sign as %25"#,
        ),
        ("/api/status/webb", 404, r#"no service "webb": did you mean web?"#),
        (
            "/api/status/zzzzz",
            404,
            r#"no service "zzzzz": /api/status lists all services"#,
        ),
        (
            "/api/status/web?group=front",
            400,
            r#"unknown query parameter "group"; this endpoint has none"#,
        ),
        (
            "/api/status/%ff",
            400,
            r#""%ff" is malformed: the decoded text is not UTF-8"#,
        ),
        (
            "/api/status/",
            404,
            "no such endpoint; /api/openapi.yaml lists all of them",
        ),
        (
            "/api/status/web/tcp",
            404,
            "no such endpoint; /api/openapi.yaml lists all of them",
        ),
        (
            "/api/",
            404,
            "no such endpoint; /api/openapi.yaml lists all of them",
        ),
    ] {
        let reply = server.get(path, &[]).await;
        assert_eq!(
            (reply.status, json(&reply)),
            (status, json!({ "error": error })),
            "{path}"
        );
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        openapi::assert_is("Error", &json(&reply));
    }
    let reply = server.request("POST", "/api/status", &[]).await;
    assert_eq!((reply.status, reply.header("allow")), (405, Some("GET, HEAD")));
    assert_eq!(json(&reply), json!({ "error": "/api/status supports GET, HEAD" }));
}

#[tokio::test]
async fn responses_are_compressed_on_request_and_never_cached() {
    let server = Server::start(state(|| many(200))).await;
    let plain = server.get("/api/status", &[]).await;
    let gzip = server.get("/api/status", &["Accept-Encoding: gzip"]).await;
    assert_eq!(gzip.header("content-encoding"), Some("gzip"));
    assert!(gzip.body.len() * 5 < plain.body.len());
    let mut text = String::new();
    GzDecoder::new(gzip.body.as_slice())
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(text, plain.text());
    let head = server
        .request("HEAD", "/api/status", &["Origin: https://elsewhere"])
        .await;
    for reply in [&plain, &gzip, &head] {
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        assert_eq!(reply.header("vary"), Some("accept-encoding"));
        // Pages of other sites can't read it.
        assert_eq!(reply.header("access-control-allow-origin"), None);
    }
    assert_eq!(head.header("content-length"), plain.header("content-length"));
}

#[tokio::test]
async fn a_panic_becomes_a_json_error() {
    let server = Server::start(state(|| panic!("on purpose"))).await;
    let reply = server.get("/api/status", &[]).await;
    assert_eq!(reply.status, 500);
    openapi::assert_is("Error", &json(&reply));
    assert_eq!(server.get("/-/healthy", &[]).await.status, 200);
}

#[tokio::test]
async fn a_check_without_a_recent_result_is_marked() {
    let mut stale = answered(check("tcp", tcp("192.0.2.1")), 0.05);
    stale.status = Status::Unknown;
    let make = move || snapshot(vec![service("s", "S", "g", Tier::Critical, vec![stale.clone()])]);
    let server = Server::start(state(make)).await;
    let service = json(&server.get("/api/status/s", &[]).await);
    let check = &service["checks"][0];
    assert_eq!(
        (&check["status"], &check["since"]),
        (&json!("unknown"), &Value::Null)
    );
    assert_eq!(
        (&check["reason"], &check["message"]),
        (&Value::Null, &Value::Null)
    );
    assert!(check["advice"].as_str().unwrap().contains("no recent result"));
    assert_eq!(
        service["port"],
        json!({ "ok": false, "error": "no recent result" })
    );
}
