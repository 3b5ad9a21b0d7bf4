//! The alert that `notify-test` sends.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::config::Service;

/// The name of the alert. No rule has it.
pub const NAME: &str = "UpkeepNotifyTest";

/// Where the alert is explained.
const RUNBOOK: &str =
    "https://github.com/upkeep-exporter/upkeep_exporter/blob/main/docs/COMMAND-LINE.md#notify-test";

/// The severity of the alert, by which the shipped configuration routes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Severity {
    /// Pages somebody
    Critical,
    /// Read during working hours
    Warning,
    /// Read at any time
    Info,
}

impl Severity {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

/// A test alert.
#[derive(Debug)]
pub struct TestAlert {
    severity: Severity,
    /// The key of the service.
    pub service: String,
    name: String,
    group: String,
    tier: &'static str,
    length: Duration,
}

impl TestAlert {
    /// An alert with the labels of `service`.
    pub fn of(service: &Service, severity: Severity, length: Duration) -> Self {
        Self {
            severity,
            service: service.key.to_string(),
            name: service.name.clone(),
            group: service.group.clone(),
            tier: service.tier.as_str(),
            length,
        }
    }

    /// An alert of a service that does not exist.
    pub fn of_no_service(severity: Severity, length: Duration) -> Self {
        Self {
            severity,
            service: "notify_test".to_owned(),
            name: "notify_test".to_owned(),
            group: "test".to_owned(),
            tier: "critical",
            length,
        }
    }

    /// The alert for `POST /api/v2/alerts`, with the labels that the rules set.
    pub fn to_json(&self, host: &str, now: Timestamp) -> Value {
        let ends = now.saturating_add(self.length).unwrap_or(now);
        json!([{
            "labels": {
                "alertname": NAME, "severity": self.severity.as_str(), "service": self.service,
                "group": self.group, "tier": self.tier, "job": "upkeep", "instance": host,
            },
            "annotations": {
                "summary": format!("Test notification for {} ({}, {host})", self.name, self.group),
                "description": format!(
                    "Somebody ran `upkeep_exporter notify-test` on {host}. Nothing is wrong. The alert ends at {ends:.0}."
                ),
                "runbook_url": RUNBOOK,
            },
            "startsAt": now.to_string(),
            "endsAt": ends.to_string(),
        }])
    }
}

impl fmt::Display for TestAlert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { service, group, .. } = self;
        write!(
            f,
            "{NAME} (severity {}, service {service}, group {group})",
            self.severity.as_str()
        )
    }
}
