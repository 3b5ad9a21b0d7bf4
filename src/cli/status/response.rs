//! Parses the response of `/api/status`. Unknown and missing fields are accepted, because the exporter may be older or newer.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use crate::cli::show::{CheckRow, MaintenanceRow, ServiceRow, StatusReport, clean, now};
use crate::model::{Phase, Status, Tier};

#[derive(serde::Deserialize)]
struct StatusResponse {
    generated_at: Option<String>,
    services: Services,
}

/// The services by key, in the order of the response.
struct Services(Vec<(String, ServiceResponse)>);

#[derive(serde::Deserialize)]
struct ServiceResponse {
    name: Option<String>,
    group: Option<String>,
    tier: Option<String>,
    /// Older monitors send this instead of a status.
    ok: Option<bool>,
    status: Option<String>,
    since: Option<String>,
    running_since: Option<String>,
    reason: Option<String>,
    message: Option<String>,
    advice: Option<String>,
    maintenance: Option<MaintenanceResponse>,
    #[serde(default)]
    root_causes: Vec<String>,
    #[serde(default)]
    checks: Vec<CheckResponse>,
}

#[derive(serde::Deserialize)]
struct MaintenanceResponse {
    ends: Option<String>,
    reason: Option<String>,
    by: Option<String>,
}

#[derive(serde::Deserialize)]
struct CheckResponse {
    name: Option<String>,
    kind: Option<String>,
    target: Option<String>,
    status: Option<String>,
    since: Option<String>,
    running_since: Option<String>,
    latency_ms: Option<f64>,
    reason: Option<String>,
    message: Option<String>,
    advice: Option<String>,
    fix: Option<String>,
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

/// Parses a response.
///
/// # Errors
/// When it is not the status of an exporter.
pub fn parse(body: &[u8]) -> Result<StatusReport, String> {
    let response: StatusResponse = serde_json::from_slice(body).map_err(|error| {
        format!(
            "the response of /api/status is not the status of an exporter: {}",
            clean(&error.to_string())
        )
    })?;
    let generated_at = response.generated_at.as_deref().map_or_else(now, clean);
    let at = generated_at.parse().ok();
    let services = response.services.0.into_iter();
    let services = services.map(|(key, one)| service(&key, one, at)).collect();
    Ok(StatusReport::new(generated_at, services))
}

fn service(key: &str, served: ServiceResponse, at: Option<Timestamp>) -> ServiceRow {
    let since = clean_text(served.since);
    let running_since = clean_text(served.running_since);
    let age_of = |time: &Option<String>| time.as_deref().and_then(|time| age(time, at?));
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
        age: age_of(&since),
        since,
        uptime: age_of(&running_since),
        running_since,
        root_causes: served.root_causes.iter().map(|key| clean(key)).collect(),
        advice: clean_text(served.advice),
        maintenance: served.maintenance.map(|window| MaintenanceRow {
            ends: clean_text(window.ends).unwrap_or_default(),
            reason: clean_text(window.reason).unwrap_or_default(),
            by: clean_text(window.by),
        }),
        checks: served.checks.into_iter().map(check).collect(),
    };
    // If no check has a problem, the service may have one.
    if row.failing_checks().is_empty() && (served.reason.is_some() || served.message.is_some()) {
        row.checks.push(CheckRow {
            name: row.key.clone(),
            kind: String::new(),
            target: String::new(),
            status,
            since: None,
            running_since: None,
            latency_seconds: None,
            reason: clean_text(served.reason),
            message: clean_text(served.message),
            advice: None,
            fix: None,
            phases: Vec::new(),
        });
    }
    row
}

/// Converts to seconds, rounded to whole nanoseconds.
fn seconds(milliseconds: f64) -> f64 {
    let seconds = milliseconds / 1e3;
    Duration::try_from_secs_f64(seconds).map_or(seconds, |duration| duration.as_secs_f64())
}

fn check(served: CheckResponse) -> CheckRow {
    let text = |text: Option<String>| clean_text(text).unwrap_or_default();
    CheckRow {
        name: text(served.name),
        kind: text(served.kind),
        target: text(served.target),
        status: status(served.status.as_deref()),
        since: clean_text(served.since),
        running_since: clean_text(served.running_since),
        latency_seconds: served.latency_ms.map(seconds),
        reason: clean_text(served.reason),
        message: clean_text(served.message),
        advice: clean_text(served.advice),
        fix: clean_text(served.fix),
        phases: Phase::ALL
            .iter()
            .filter_map(|phase| {
                let spent = served.phases_ms.get(phase.as_str())?;
                Some((phase.as_str(), seconds(*spent)))
            })
            .collect(),
    }
}

/// A status that only a newer exporter knows is treated as unknown.
fn status(word: Option<&str>) -> Status {
    word.and_then(Status::from_word).unwrap_or(Status::Unknown)
}

/// Makes a text safe for terminals. An empty text is treated as absent.
fn clean_text(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty()).map(|text| clean(&text))
}

fn age(since: &str, at: Timestamp) -> Option<Duration> {
    let since: Timestamp = since.parse().ok()?;
    Duration::try_from(at.duration_since(since)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::show::{Look, format_table};

    #[test]
    fn a_minimal_response_is_parsed() {
        let read = parse(br#"{"services": {"b": {"ok": true, "new": []}, "a": {"ok": false}}}"#).unwrap();
        let keys: Vec<_> = read.services.iter().map(|one| (&*one.key, one.status)).collect();
        assert_eq!(keys, [("b", Status::Up), ("a", Status::Down)]);
        assert_eq!(read.exit_code(), 2);
    }

    #[test]
    fn the_problem_of_a_service_is_shown_if_no_check_has_one() {
        let text =
            br#"{"services": {"a": {"status": "degraded", "reason": "slow", "message": "late\u001b[2J",
            "checks": [{"name": "http", "status": "up", "latency_ms": 1500}]}}}"#;
        let read = parse(text).unwrap();
        let trouble = read.services[0].failing_checks()[0];
        assert_eq!(trouble.message.as_deref(), Some("late [2J"));
        assert_eq!(read.services[0].latency(), Some(1.5));
    }

    #[test]
    fn the_fix_of_a_check_is_shown() {
        let text = br#"{"services": {"a": {"checks": [{"name": "node", "fix": "npm ci\u0007"}]}}}"#;
        let read = parse(text).unwrap();
        assert_eq!(read.services[0].checks[0].fix.as_deref(), Some("npm ci "));
        let look = Look {
            width: None,
            is_coloured: false,
        };
        assert!(format_table(&read, look).contains("  fix: npm ci \n"));
    }

    #[test]
    fn other_responses_are_errors() {
        for text in [&b"<html>"[..], b"[]", b"{}", br#"{"services": []}"#, b""] {
            let error = parse(text).unwrap_err();
            assert!(error.contains("not the status of an exporter"), "{error}");
        }
    }
}
