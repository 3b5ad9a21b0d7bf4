//! `docs/openapi.yaml`: it is valid, describes exactly the existing endpoints, and matches the responses.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use jsonschema::Validator;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};
use upkeep_exporter::model::{CheckName, Reason, ServiceKey, Status, Tier};
use upkeep_exporter::status;
use upkeep_exporter::store::{CheckView, ServiceView, Snapshot};

use crate::client::{Server, state};
use crate::snapshots::{aimed, answered, check, every_status, failed, many, process, service, snapshot, tcp};

/// The description in JSON.
static DESCRIPTION: LazyLock<Value> = LazyLock::new(|| {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.yaml");
    serde_yaml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
});

/// Returns the validator of one of its schemas. OpenAPI 3.1 schemas are JSON Schema, draft 2020-12.
fn validator(schema: &str) -> Validator {
    assert!(
        DESCRIPTION["components"]["schemas"][schema].is_object(),
        "{schema}"
    );
    let document = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$ref": format!("#/components/schemas/{schema}"),
        "components": DESCRIPTION["components"],
    });
    jsonschema::options()
        .should_validate_formats(true)
        .build(&document)
        .unwrap()
}

static DOCUMENT: LazyLock<Validator> = LazyLock::new(|| validator("Document"));

/// Panics unless `value` matches the schema.
pub fn assert_is(schema: &str, value: &Value) {
    let wrong: Vec<_> = validator(schema)
        .iter_errors(value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(wrong.is_empty(), "no {schema}: {}\n{value:#}", wrong.join("\n"));
}

#[test]
fn the_description_is_valid() {
    let spec: oas3::OpenApiV3Spec = serde_json::from_value(DESCRIPTION.clone()).unwrap();
    assert_eq!(spec.info.version, env!("CARGO_PKG_VERSION"));
    let mut ids = BTreeSet::new();
    for (path, method, operation) in spec.operations() {
        let id = operation.operation_id.clone().unwrap();
        assert!(ids.insert(id), "{method} {path} repeats an operation's id");
        assert!(operation.summary.is_some(), "{method} {path} has no summary");
    }
    for schema in DESCRIPTION["components"]["schemas"].as_object().unwrap().keys() {
        jsonschema::meta::validate(&DESCRIPTION["components"]["schemas"][schema]).unwrap();
        validator(schema);
    }
    let mut references = BTreeSet::new();
    collect_references(&DESCRIPTION, &mut references);
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(
            DESCRIPTION.pointer(pointer).is_some(),
            "{reference} leads nowhere"
        );
    }
}

fn collect_references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                match value.as_str() {
                    Some(reference) if key == "$ref" => drop(found.insert(reference.to_owned())),
                    _ => collect_references(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect_references(item, found)),
        _ => {}
    }
}

/// The response to an unknown path lists every endpoint.
#[tokio::test]
async fn it_describes_the_existing_endpoints() {
    let server = Server::start(state(every_status)).await;
    let reply = server.get("/nothing", &[]).await;
    let lines = reply.text().lines().skip(1);
    let served: BTreeSet<&str> = lines
        .map(|line| line.split_whitespace().next().unwrap())
        .collect();
    // Endpoints for Prometheus and for people are not described.
    let served: BTreeSet<&str> = served
        .difference(&BTreeSet::from([
            "/",
            "/badge/group/{group}.svg",
            "/badge/{service}.svg",
            "/metrics",
            "/models",
            "/service/{service}",
            "/widget",
            "/widget.js",
        ]))
        .copied()
        .collect();
    let described: BTreeSet<&str> = DESCRIPTION["paths"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(served, described);
    for (path, methods) in DESCRIPTION["paths"].as_object().unwrap() {
        let path = path.replace("{service}", "web");
        // An event stream does not end.
        if path == "/api/events" {
            continue;
        }
        let get = server.get(&path, &[]).await;
        assert_eq!(get.status != 405, methods.get("get").is_some(), "GET {path}");
    }
}

#[tokio::test]
async fn the_server_serves_it() {
    let server = Server::start(state(every_status)).await;
    let reply = server.get("/api/openapi.yaml", &[]).await;
    assert_eq!(reply.header("content-type"), Some("application/yaml"));
    let served: Value = serde_yaml::from_str(reply.text()).unwrap();
    assert_eq!(served, *DESCRIPTION);
}

#[tokio::test]
async fn responses_match_the_description() {
    for (what, source) in [
        ("every status", every_status as fn() -> Snapshot),
        ("many", || many(20)),
        ("nothing", || many(0)),
    ] {
        let server = Server::start(state(source)).await;
        let document: Value = serde_json::from_slice(&server.get("/api/status", &[]).await.body).unwrap();
        assert_is("Document", &document);
        let services = document["services"].as_object().unwrap();
        assert_eq!(services.len(), source().services.len(), "{what}");
        for (key, in_document) in services {
            let reply = server.get(&format!("/api/status/{key}"), &[]).await;
            let alone: Value = serde_json::from_slice(&reply.body).unwrap();
            assert_is("Service", &alone);
            let mut alone = alone;
            if let Some(heal) = alone["heal"].as_object_mut() {
                assert!(heal.remove("decisions").is_some(), "{what}: {key}");
            }
            assert_eq!(&alone, in_document, "{what}: {key}");
        }
    }
}

#[test]
fn the_schemas_reject_invalid_documents() {
    let source = every_status();
    let document = serde_json::to_value(status::document(&source, "host", |_| true)).unwrap();
    assert!(DOCUMENT.is_valid(&document));
    for (pointer, wrong) in [
        ("/overall", json!("ok")),
        ("/generated_at", json!("yesterday")),
        ("/total", json!(-1)),
        ("/services/web/status", Value::Null),
        ("/services/web/port/ok", json!("yes")),
        ("/services/web/checks/0/latency_ms", json!("1")),
        ("/services/web/checks/0/phases_ms", json!({ "think": 1 })),
        ("/services/web/http", json!({})),
    ] {
        let mut document = document.clone();
        *document.pointer_mut(pointer).unwrap() = wrong;
        assert!(!DOCUMENT.is_valid(&document), "{pointer}");
    }
}

fn any_check() -> impl Strategy<Value = CheckView> {
    let status = prop::sample::select(Status::ALL);
    let reason = prop::sample::select(Reason::ALL);
    (
        any::<(bool, u8, bool)>(),
        ".{0,12}",
        status,
        reason,
        0.0..20.0_f64,
        any::<[f64; 3]>(),
    )
        .prop_map(
            |((is_timed, history, is_restored), target, status, reason, seconds, times)| {
                let kind = if is_timed { tcp("h") } else { process("p") };
                let mut view = aimed(check("c", kind), &target);
                view = match history % 3 {
                    0 => view,
                    1 => answered(view, seconds),
                    _ => failed(view, reason),
                };
                view.status = status;
                [view.last_success, view.last_ended, view.status_since] = times.map(Some);
                if is_restored {
                    view.last_run = None;
                }
                view
            },
        )
}

fn any_service() -> impl Strategy<Value = ServiceView> {
    let tier = prop::sample::select(Tier::ALL);
    let status = prop::sample::select(Status::ALL);
    (
        [".{0,12}", ".{0,4}"],
        tier,
        status,
        vec(any_check(), 0..4),
        any::<Option<f64>>(),
    )
        .prop_map(|([name, group], tier, status, checks, since)| {
            let mut view = service("", &name, &group, tier, checks);
            view.status = status;
            view.status_since = since;
            view
        })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn every_snapshot_makes_a_valid_document(services in vec(any_service(), 0..5), taken in any::<f64>()) {
        let mut snapshot = snapshot(services);
        snapshot.taken = taken;
        for (number, view) in snapshot.services.iter_mut().enumerate() {
            let mut service = (*view.service).clone();
            service.key = ServiceKey::new(number.to_string());
            view.service = service.into();
            for (number, check) in view.checks.iter_mut().enumerate() {
                let mut settings = (*check.settings).clone();
                settings.name = CheckName::new(format!("c{number}"));
                check.settings = settings.into();
            }
        }
        let text = serde_json::to_string(&status::document(&snapshot, "host", |_| true)).unwrap();
        let document: Value = serde_json::from_str(&text).unwrap();
        let wrong: Vec<_> = DOCUMENT.iter_errors(&document).map(|error| error.to_string()).collect();
        prop_assert!(wrong.is_empty(), "{wrong:?}\n{text}");
        let counted: u64 = document["groups"].as_array().unwrap().iter().map(|group| group["total"].as_u64().unwrap()).sum();
        prop_assert_eq!(counted, snapshot.services.len() as u64);
    }
}
