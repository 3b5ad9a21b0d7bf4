//! The fields that readers of the ChatStack monitor's document rely on, with their types, for every configuration.

use std::collections::BTreeSet;

use serde_json::{Value, json};

/// Which parts of a service are configured.
#[derive(Clone, Copy, Debug)]
pub struct Parts {
    /// An http check, and so the port of its URL.
    pub http: bool,
    /// A tcp check.
    pub tcp: bool,
    /// A systemd check.
    pub systemd: bool,
    /// A process check.
    pub process: bool,
}

impl Parts {
    /// Every combination, including the empty one.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..16_u8).map(|bits| Self {
            http: bits & 1 != 0,
            tcp: bits & 2 != 0,
            systemd: bits & 4 != 0,
            process: bits & 8 != 0,
        })
    }

    /// The key of a service that has these parts.
    pub fn key(self) -> String {
        let parts = [
            (self.http, "http"),
            (self.tcp, "tcp"),
            (self.systemd, "systemd"),
            (self.process, "process"),
        ];
        let names: Vec<_> = parts
            .iter()
            .filter(|(is_there, _)| *is_there)
            .map(|(_, name)| *name)
            .collect();
        format!("parts.{}", names.join("-"))
    }
}

fn keys(value: &Value) -> BTreeSet<&str> {
    let object = value
        .as_object()
        .unwrap_or_else(|| panic!("not an object: {value}"));
    object.keys().map(String::as_str).collect()
}

/// Asserts that the service has every field of the old document with its type.
pub fn assert_readable(service: &Value, parts: Parts) {
    let what = format!("{parts:?}: {service:#}");
    for key in ["name", "key", "last_checked"] {
        assert!(
            service[key].is_string() || key == "last_checked",
            "{key} of {what}"
        );
        assert!(service.get(key).is_some(), "{key} of {what}");
    }
    assert!(service["ok"].is_boolean(), "ok of {what}");
    assert_eq!(service["auto_restart_attempted"], json!(false), "{what}");
    assert_eq!(service["auto_restart_result"], Value::Null, "{what}");

    let http = &service["http"];
    assert_eq!(
        keys(http),
        BTreeSet::from(["ok", "status_code", "latency_ms", "error", "expected_status"]),
        "{what}"
    );
    assert_eq!(http["ok"].is_boolean(), parts.http, "http.ok of {what}");
    assert!(
        http["status_code"].is_null() || (parts.http && http["status_code"].is_u64()),
        "http.status_code of {what}"
    );
    assert!(http["latency_ms"].is_u64(), "http.latency_ms of {what}");
    assert!(http["expected_status"].is_u64(), "http.expected_status of {what}");

    let port = &service["port"];
    assert_eq!(keys(port), BTreeSet::from(["ok", "error"]), "{what}");
    assert_eq!(
        port["ok"].is_boolean(),
        parts.tcp || parts.http,
        "port.ok of {what}"
    );
    for (part, is_there) in [(http, parts.http), (port, parts.tcp || parts.http)] {
        assert!(part["ok"].is_boolean() || part["ok"].is_null(), "ok of {what}");
        let error = part["error"].as_str().expect("error is a text");
        let is_failing = is_there && part["ok"] == json!(false);
        assert_eq!(!error.is_empty(), is_failing, "error of {what}");
    }

    let systemd = &service["systemd"];
    assert_eq!(keys(systemd), BTreeSet::from(["state", "ok"]), "{what}");
    assert_eq!(
        systemd["state"].is_string(),
        parts.systemd,
        "systemd.state of {what}"
    );
    assert_eq!(
        systemd["state"].is_null(),
        !parts.systemd,
        "systemd.state of {what}"
    );
    assert_eq!(systemd["ok"].is_boolean(), parts.systemd, "systemd.ok of {what}");
    assert_eq!(systemd["ok"].is_null(), !parts.systemd, "systemd.ok of {what}");

    let process = &service["process"];
    assert_eq!(keys(process), BTreeSet::from(["count", "pids"]), "{what}");
    assert_eq!(
        process["count"].is_u64(),
        parts.process,
        "process.count of {what}"
    );
    assert_eq!(
        process["count"].is_null(),
        !parts.process,
        "process.count of {what}"
    );
    let pids = process["pids"].as_array().expect("pids is a list");
    assert!(pids.iter().all(Value::is_u64), "process.pids of {what}");
    assert!(pids.is_empty() || parts.process, "process.pids of {what}");
}

/// Asserts that the document has the fields of the old one.
pub fn assert_document(document: &Value) {
    for count in ["ok_count", "fail_count", "total"] {
        assert!(document[count].is_u64(), "{count}: {document:#}");
    }
    for text in ["host", "version", "generated_at"] {
        assert!(document[text].is_string(), "{text}: {document:#}");
    }
    assert_eq!(document["mode"], json!("production_monitoring"));
}
