//! Reading what `/api/status` serves: leniently, since the exporter may be older or newer than this program.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use crate::cli::show::{CheckRow, Document, ServiceRow, clean, now};
use crate::model::{Phase, Status, Tier};

#[derive(serde::Deserialize)]
struct Served {
    generated_at: Option<String>,
    services: Services,
}

/// The services by key, in the order in which they are served.
struct Services(Vec<(String, ServedService)>);

#[derive(serde::Deserialize)]
struct ServedService {
    name: Option<String>,
    group: Option<String>,
    tier: Option<String>,
    /// What documents of the monitors before us say instead of a status.
    ok: Option<bool>,
    status: Option<String>,
    since: Option<String>,
    reason: Option<String>,
    message: Option<String>,
    advice: Option<String>,
    #[serde(default)]
    checks: Vec<ServedCheck>,
}

#[derive(serde::Deserialize)]
struct ServedCheck {
    name: Option<String>,
    kind: Option<String>,
    target: Option<String>,
    status: Option<String>,
    since: Option<String>,
    latency_ms: Option<f64>,
    reason: Option<String>,
    message: Option<String>,
    #[serde(default)]
    phases_ms: HashMap<String, f64>,
}

impl<'de> Deserialize<'de> for Services {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Services;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("services by key")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Services, A::Error> {
                let mut services = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    services.push(entry);
                }
                Ok(Services(services))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

/// What is shown of a served document.
///
/// # Errors
/// When it is not the status of an exporter.
pub fn document(body: &[u8]) -> Result<Document, String> {
    let served: Served = serde_json::from_slice(body).map_err(|error| {
        format!(
            "what it serves at /api/status is not the status of an exporter: {}",
            clean(&error.to_string())
        )
    })?;
    let generated_at = served.generated_at.as_deref().map_or_else(now, clean);
    let at = generated_at.parse().ok();
    let services = served.services.0.into_iter();
    let services = services.map(|(key, one)| service(&key, one, at)).collect();
    Ok(Document::new(generated_at, services))
}

fn service(key: &str, served: ServedService, at: Option<Timestamp>) -> ServiceRow {
    let since = cleaned(served.since);
    let status = match (served.status.as_deref(), served.ok) {
        (Some(word), _) => status(Some(word)),
        (None, Some(true)) => Status::Up,
        (None, Some(false)) => Status::Down,
        (None, None) => Status::Unknown,
    };
    let mut row = ServiceRow {
        name: served.name.as_deref().map_or_else(|| clean(key), clean),
        key: clean(key),
        group: served
            .group
            .as_deref()
            .map_or_else(|| "default".to_owned(), clean),
        tier: served.tier.as_deref().and_then(Tier::from_word),
        status,
        age: since.as_deref().and_then(|since| age(since, at?)),
        since,
        advice: cleaned(served.advice),
        checks: served.checks.into_iter().map(check).collect(),
    };
    // Where no check tells what is wrong, the service may.
    if row.troubles().is_empty() && (served.reason.is_some() || served.message.is_some()) {
        row.checks.push(CheckRow {
            name: row.key.clone(),
            kind: String::new(),
            target: String::new(),
            status,
            since: None,
            latency_seconds: None,
            reason: cleaned(served.reason),
            message: cleaned(served.message),
            phases: Vec::new(),
        });
    }
    row
}

/// In whole nanoseconds, without what the division leaves behind them.
fn seconds(milliseconds: f64) -> f64 {
    let seconds = milliseconds / 1e3;
    Duration::try_from_secs_f64(seconds).map_or(seconds, |duration| duration.as_secs_f64())
}

fn check(served: ServedCheck) -> CheckRow {
    let text = |text: Option<String>| cleaned(text).unwrap_or_default();
    CheckRow {
        name: text(served.name),
        kind: text(served.kind),
        target: text(served.target),
        status: status(served.status.as_deref()),
        since: cleaned(served.since),
        latency_seconds: served.latency_ms.map(seconds),
        reason: cleaned(served.reason),
        message: cleaned(served.message),
        phases: Phase::ALL
            .iter()
            .filter_map(|phase| {
                let spent = served.phases_ms.get(phase.as_str())?;
                Some((phase.as_str(), seconds(*spent)))
            })
            .collect(),
    }
}

/// Statuses that a newer exporter may come to know are unknown to us.
fn status(word: Option<&str>) -> Status {
    word.and_then(Status::from_word).unwrap_or(Status::Unknown)
}

/// What is empty is as good as absent.
fn cleaned(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty()).map(|text| clean(&text))
}

fn age(since: &str, at: Timestamp) -> Option<Duration> {
    let since: Timestamp = since.parse().ok()?;
    Duration::try_from(at.duration_since(since)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_of_little_is_read() {
        let read = document(br#"{"services": {"b": {"ok": true, "new": []}, "a": {"ok": false}}}"#).unwrap();
        let keys: Vec<_> = read.services.iter().map(|one| (&*one.key, one.status)).collect();
        assert_eq!(keys, [("b", Status::Up), ("a", Status::Down)]);
        assert_eq!(read.exit_code(), 2);
    }

    #[test]
    fn what_is_wrong_is_told_by_the_service_where_no_check_does() {
        let text =
            br#"{"services": {"a": {"status": "degraded", "reason": "slow", "message": "late\u001b[2J",
            "checks": [{"name": "http", "status": "up", "latency_ms": 1500}]}}}"#;
        let read = document(text).unwrap();
        let trouble = read.services[0].troubles()[0];
        assert_eq!(trouble.message.as_deref(), Some("late [2J"));
        assert_eq!(read.services[0].latency(), Some(1.5));
    }

    #[test]
    fn what_is_no_status_is_told() {
        for text in [&b"<html>"[..], b"[]", b"{}", br#"{"services": []}"#, b""] {
            let error = document(text).unwrap_err();
            assert!(error.contains("not the status of an exporter"), "{error}");
        }
    }
}
