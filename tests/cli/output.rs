//! The three output formats, field by field.

use std::fs;
use std::path::Path;

use regex::Regex;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::common::targets::{Target, ok};
use crate::{REFUSING, Services, degraded, ends_with, errors, out, refused, tcp};

/// Compares with a golden file; `UPDATE=1` in the environment writes it.
#[track_caller]
pub fn assert_golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    if std::env::var_os("UPDATE").is_some_and(|value| value == "1") {
        fs::write(&path, text).unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, golden, "{name} differs; UPDATE=1 updates it");
}

/// Replaces the latencies, which differ in every run.
fn without_latencies(text: &str) -> String {
    let latency = Regex::new(r"(?m)  [ \d.]{5} ms$").unwrap();
    latency.replace_all(text, "    0.4 ms").into_owned()
}

/// Services with all kinds of problems. Only `target` answers.
fn mixed(target: &Target) -> Services {
    let down = format!("kind: tcp, address: \"{REFUSING}\"");
    Services::of(&[
        format!(
            "name: PostgreSQL, group: Infrastructure, {}",
            tcp("db", target.address)
        ),
        format!("name: Redis, group: Infrastructure, {}", refused("cache")),
        format!(
            "key: shop, name: \"東京 Webshop with a name that is so long that no terminal of eighty columns holds it\", \
             checks: [{{ {down}, name: spare, severity: warning }}, {{ kind: http, name: page, url: \"{}\", \
             valid_status_codes: [404] }}, {{ {down}, name: port }}]",
            target.url("/")
        ),
        format!("name: Search, group: Infrastructure, {}", degraded("search")),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_fits_into_eighty_columns() {
    let target = Target::answering(ok("fine")).await;
    let output = mixed(&target).command(&[]).env("COLUMNS", "80").output().unwrap();
    ends_with(2, &output);
    for line in out(&output).lines() {
        let columns = unicode_width::UnicodeWidthStr::width(line);
        assert!(columns <= 80, "{columns}: {line}");
    }
    assert_golden("check.txt", &without_latencies(out(&output)));
}

#[tokio::test(flavor = "multi_thread")]
async fn output_to_a_pipe_is_neither_wrapped_nor_coloured() {
    let target = Target::answering(ok("fine")).await;
    let services = mixed(&target);
    let output = services.check(&[]);
    assert!(
        out(&output).contains(
            "\n            port: refused: connecting to 127.0.0.1:1: Connection refused (os error 111)\n"
        ),
        "{}",
        out(&output)
    );
    assert!(!out(&output).contains('\u{1b}'));
    let coloured = services.check(&["--color=always"]);
    let without = anstream::adapter::strip_str(out(&coloured)).to_string();
    assert_ne!(without, out(&coloured));
    assert_eq!(without_latencies(&without), without_latencies(out(&output)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_json_document_is_complete() {
    let target = Target::answering(ok("fine")).await;
    let output = mixed(&target).check(&["-o", "json"]);
    ends_with(2, &output);
    let document: Value = serde_json::from_str(out(&output)).unwrap();
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&document), ["generated_at", "services", "status", "summary"]);
    assert_eq!(document["status"], "down");
    assert!(
        document["generated_at"]
            .as_str()
            .unwrap()
            .parse::<jiff::Timestamp>()
            .is_ok()
    );
    let summary = &document["summary"];
    assert_eq!(
        serde_json::json!({"total": 4, "up": 1, "degraded": 1, "down": 2, "unknown": 0}),
        serde_json::json!({"total": summary["total"], "up": summary["up"], "degraded": summary["degraded"],
            "down": summary["down"], "unknown": summary["unknown"]})
    );
    assert_eq!(
        summary["groups"][0],
        serde_json::json!({"name": "Infrastructure", "total": 3, "up": 1, "degraded": 1, "down": 1, "unknown": 0})
    );
    assert_eq!(summary["groups"][1]["name"], "default");
    let (db, cache, shop) = (
        &document["services"][0],
        &document["services"][1],
        &document["services"][2],
    );
    assert_eq!(keys(db), ["checks", "group", "key", "name", "status", "tier"]);
    assert_eq!(
        (&db["key"], &db["name"], &db["group"], &db["tier"], &db["status"]),
        (
            &"db".into(),
            &"PostgreSQL".into(),
            &"Infrastructure".into(),
            &"critical".into(),
            &"up".into()
        )
    );
    let check = &db["checks"][0];
    assert_eq!(
        keys(check),
        [
            "kind",
            "latency_seconds",
            "message",
            "name",
            "phases",
            "reason",
            "status",
            "target"
        ]
    );
    assert_eq!(check["target"], target.address.to_string().as_str());
    assert_eq!((&check["name"], &check["kind"]), (&"tcp".into(), &"tcp".into()));
    assert!(check["latency_seconds"].as_f64().unwrap() > 0.0);
    assert!(check["reason"].is_null() && check["message"].is_null());
    assert_eq!(
        keys(&check["phases"]),
        ["connect", "processing", "resolve", "tls", "transfer"]
    );
    assert!(check["phases"]["connect"].as_f64().unwrap() > 0.0);
    assert_eq!(cache["checks"][0]["reason"], "refused");
    assert_eq!(cache["checks"][0]["latency_seconds"], Value::Null);
    let statuses: Vec<_> = shop["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| check["status"].as_str().unwrap())
        .collect();
    assert_eq!(statuses, ["degraded", "down", "down"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn csv_has_a_row_per_check_and_escapes_formulas() {
    let target = Target::answering(ok("fine")).await;
    let services = Services::of(&[
        format!(
            "name: \"=1+1\", group: \"a, \\\"b\\\"\", {}",
            tcp("db", target.address)
        ),
        format!("name: \" @SUM(A1)\", {}", refused("cache")),
    ]);
    let output = services.check(&["--output=csv"]);
    ends_with(2, &output);
    assert_eq!(out(&output).matches("\r\n").count(), 3);
    let mut reader = csv::Reader::from_reader(out(&output).as_bytes());
    let headers = reader.headers().unwrap().clone();
    let expected = "generated_at,group,service,name,tier,service_status,check,kind,target,status,since,\
                    latency_seconds,reason,message,running_since";
    assert_eq!(headers, expected.split(',').collect::<Vec<_>>());
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let field = |row: usize, name: &str| {
        let column = headers.iter().position(|header| header == name).unwrap();
        rows[row][column].to_owned()
    };
    assert_eq!(rows.len(), 2);
    assert_eq!(
        (field(0, "group"), field(0, "name")),
        ("a, \"b\"".to_owned(), "'=1+1".to_owned())
    );
    assert_eq!((field(0, "status"), field(0, "reason")), ("up".into(), "".into()));
    assert!(field(0, "latency_seconds").parse::<f64>().unwrap() > 0.0);
    assert!(field(1, "name").starts_with('\''), "{}", field(1, "name"));
    assert_eq!(
        (field(1, "status"), field(1, "reason"), field(1, "since")),
        ("down".into(), "refused".into(), "".into())
    );
    assert_eq!(
        field(1, "message"),
        "connecting to 127.0.0.1:1: Connection refused (os error 111)"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn output_from_targets_can_not_control_a_terminal() {
    let evil = "-ERR \u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\u{202e}evil\r\n";
    let target = Target::serve(move |mut stream, _, _| async move {
        let mut request = [0; 1024];
        while let Ok(1..) = stream.read(&mut request).await {
            // It may have sent two commands at once.
            stream.write_all(evil.repeat(2).as_bytes()).await.ok()?;
        }
        Some(stream)
    })
    .await;
    let services = Services::of(&[format!(
        "key: a, checks: [{{ kind: redis, url: \"redis://{}\" }}]",
        target.address
    )]);
    for form in ["table", "json", "csv"] {
        let output = services.check(&["--debug", "--output", form]);
        ends_with(2, &output);
        for text in [out(&output), errors(&output)] {
            assert!(text.contains("evil"), "{text:?}");
            let is_harmful =
                |letter: char| letter == '\u{202e}' || letter.is_control() && !matches!(letter, '\r' | '\n');
            assert!(!text.chars().any(is_harmful), "{text:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn debug_shows_the_steps_the_phases_and_the_samples() {
    let target = Target::answering(ok("fine")).await;
    let service = format!(
        "key: a, checks: [{{ kind: http, url: \"http://localhost:{}/x\" }}]",
        target.address.port()
    );
    let output = Services::of(&[service]).check(&["--debug", "--output=json"]);
    ends_with(0, &output);
    assert!(
        serde_json::from_str::<Value>(out(&output)).is_ok(),
        "not mixed up"
    );
    let said = errors(&output);
    let steps = Regex::new(r"(?m)^ +[\d.]+ m?s  (.*)$").unwrap();
    let steps: Vec<&str> = steps
        .captures_iter(said)
        .map(|step| step.get(1).unwrap().as_str())
        .collect();
    assert!(said.starts_with("a/http (http http://localhost:"), "{said}");
    assert!(said.lines().next().unwrap().ends_with("/x): success"), "{said}");
    let mut left = steps.iter();
    for wanted in [
        "resolving localhost",
        "connecting to ",
        "waiting for the response",
        "end",
    ] {
        assert!(left.any(|step| step.starts_with(wanted)), "{wanted} in {said}");
    }
    assert!(
        Regex::new(r"phases: resolve [\d.]+ ms, connect ")
            .unwrap()
            .is_match(said)
    );
    assert!(said.contains("\n  upkeep_http_status_code 200\n"), "{said}");
}
