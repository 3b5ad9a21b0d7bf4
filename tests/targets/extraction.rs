//! Extraction of numbers and the version from bodies of responses, in every encoding of a body.

use super::*;

const EXTRACTED: &str = "upkeep_http_extracted";
const VERSION: &str = "upkeep_service_version_info";

/// A document about a model, as Heimdall returns it.
const MODEL_INFO: &str = r#"{"active_version": "v7", "version": "2.4.1", "uptime_seconds": 86400, "models": [
    {"version": "v6", "accuracy": 0.91, "predictions_total": 900},
    {"version": "v7", "accuracy": "0.94", "predictions_total": 120}],
    "metrics": {"latency_p95_ms": 12.5, "cache_hit_rate": 0.8, "ready": true}}"#;

/// The series of a family, with their labels joined.
fn series(ran: &Ran, family: &str) -> Vec<(String, f64)> {
    let samples = ran
        .report
        .samples
        .iter()
        .filter(|sample| sample.family.name == family);
    samples
        .map(|sample| (sample.labels.join(","), sample.value))
        .collect()
}

#[track_caller]
fn warned(ran: &Ran, reason: Reason, text: &str) {
    let warning = ran.succeeded().report.warning.as_ref().expect("a warning");
    assert_eq!(warning.reason, reason, "{warning}");
    assert!(warning.message().contains(text), "{warning}");
}

fn options(url: String) -> Value {
    json!({
        "url": url, "extract_version": "$.version",
        "extract": [
            {"path": "$.metrics.latency_p95_ms", "name": "latency_p95", "unit": "ms"},
            {"path": "$.metrics.cache_hit_rate", "name": "cache_hit_rate"},
            {"path": "$.metrics.ready", "name": "ready"},
            {"path": "$.uptime_seconds", "name": "uptime", "unit": "seconds"},
            {"path": "$.models[?@.version == $.active_version].accuracy", "name": "accuracy"},
            {"path": "$.models[-1].predictions_total", "name": "predictions"},
        ]
    })
}

#[tokio::test]
async fn numbers_and_the_version_are_extracted() {
    let expected = [
        ("latency_p95,ms", 12.5),
        ("cache_hit_rate,", 0.8),
        ("ready,", 1.0),
        ("uptime,seconds", 86400.0),
        ("accuracy,", 0.94),
        ("predictions,", 120.0),
    ]
    .map(|(labels, value)| (labels.to_owned(), value));
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(MODEL_INFO.as_bytes()).unwrap();
    let zipped = encoder.finish().unwrap();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        zipped.len()
    );
    let chunked = format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{MODEL_INFO}\r\n0\r\n\r\n",
        MODEL_INFO.len()
    );
    // Large bodies are evaluated on a worker thread.
    let padded = format!("{}{MODEL_INFO}", " ".repeat(100_000));
    for (answer, extra) in [
        (ok(MODEL_INFO), json!({})),
        (ok(&padded), json!({})),
        (chunked.into_bytes(), json!({})),
        (
            [head.into_bytes(), zipped].concat(),
            json!({"compression": "gzip"}),
        ),
        (
            ok(MODEL_INFO),
            json!({"fail_if_body_json_not_matches_cel": "body.metrics.ready"}),
        ),
        (
            ok(&padded),
            json!({"fail_if_body_json_not_matches_cel": "body.models.all(m, m.predictions_total > 0)"}),
        ),
    ] {
        let target = Target::answering(answer).await;
        let mut options = options(target.url("/"));
        options
            .as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        let ran = http(options).await;
        assert_eq!(ran.succeeded().report.warning, None);
        assert_eq!(series(&ran, EXTRACTED), expected, "{extra}");
        assert_eq!(series(&ran, VERSION), [("2.4.1".to_owned(), 1.0)]);
        assert_eq!(ran.status(), Some(200.0));
        assert!(ran.phase("transfer") >= 0.0);
    }
}

#[tokio::test]
async fn a_missing_value_is_a_warning_and_the_others_are_extracted() {
    let without = MODEL_INFO.replace("latency_p95_ms", "p95");
    let target = Target::answering(ok(&without)).await;
    let ran = http(options(target.url("/"))).await;
    warned(&ran, Reason::Missing, "$.metrics.latency_p95_ms matches nothing");
    assert_eq!(series(&ran, EXTRACTED).len(), 5);
    assert_eq!(series(&ran, VERSION).len(), 1);
    let twice = MODEL_INFO.replace("\"v6\"", "\"v7\"");
    let target = Target::answering(ok(&twice)).await;
    let ran = http(options(target.url("/"))).await;
    warned(&ran, Reason::Missing, "accuracy matches 2 values instead of one");
    for body in ["<html>", "", "{\"a\": "] {
        let target = Target::answering(ok(body)).await;
        let ran = http(options(target.url("/"))).await;
        warned(
            &ran,
            Reason::Assertion,
            "nothing can be extracted because the body can't be read as JSON",
        );
        assert_eq!(series(&ran, EXTRACTED), []);
    }
}

#[tokio::test]
async fn a_failed_run_extracts_nothing() {
    let answer = format!(
        "HTTP/1.1 500 x\r\nContent-Length: {}\r\n\r\n{MODEL_INFO}",
        MODEL_INFO.len()
    );
    let broken = Target::answering(answer).await;
    let cut = Target::answering(format!(
        "HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n{MODEL_INFO}"
    ))
    .await;
    let fine = Target::answering(ok(MODEL_INFO)).await;
    for (url, extra, reason) in [
        (broken.url("/"), json!({}), Reason::Status),
        (cut.url("/"), json!({}), Reason::Closed),
        (
            fine.url("/"),
            json!({"fail_if_body_json_matches_cel": "body.metrics.ready"}),
            Reason::Assertion,
        ),
        (fine.url("/"), json!({"body_size_limit": 100}), Reason::Limit),
    ] {
        let mut options = options(url);
        options
            .as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        let ran = http(options).await;
        ran.failed(reason, "");
        assert_eq!(ran.report.warning, None);
        assert_eq!((series(&ran, EXTRACTED), series(&ran, VERSION)), (vec![], vec![]));
    }
}

#[tokio::test]
async fn large_documents_are_a_warning_and_searches_are_bounded() {
    let many = Target::answering(ok(&format!("[{}0]", "0,".repeat(300_000)))).await;
    let ran = http(json!({"url": many.url("/"), "extract_version": "$[0]"})).await;
    warned(&ran, Reason::Assertion, "it has more than 200000 values");
    let items = "{\"a\": {\"b\": 1}},".repeat(60_000);
    let wide = format!("{{\"version\": 2, \"items\": [{items} {{\"last\": \"1.0\"}}]}}");
    let wide = Target::answering(ok(&wide)).await;
    let searching = async |count: u32, version: &str| {
        let search =
            |index| json!({"path": format!("$..[?@.a.b == {index}].none"), "name": format!("n{index}")});
        let searches: Vec<Value> = (0..count).map(search).collect();
        http(json!({"url": wide.url("/"), "extract": searches, "extract_version": version})).await
    };
    let ran = searching(5, "$..last").await;
    warned(&ran, Reason::Missing, "matches nothing");
    assert_eq!(series(&ran, VERSION), [("1.0".to_owned(), 1.0)]);
    let ran = searching(32, "$.version").await;
    warned(
        &ran,
        Reason::Limit,
        "is not evaluated: the searches would visit more than 2000000 values",
    );
    assert_eq!(series(&ran, VERSION), [("2".to_owned(), 1.0)]);
}
