//! The types of the status document. The order of their fields is the order in the JSON, and `docs/openapi.yaml` describes
//! them. They borrow from the snapshot that they are made of.

use serde::{Serialize, Serializer};

use super::chatstack::ChatstackFields;
use crate::model::{CheckKind, Severity, Status, Tier};
use crate::store::UtcTime;

/// The ChatStack monitor's word for a document whose checks ran in the background.
pub const MODE: &str = "production_monitoring";

/// How old a document may be before a reader of the file should doubt it, in seconds: what the old readers warned at.
pub const STALE_AFTER_SECONDS: u64 = 90;

/// The status of everything, or of a group.
#[derive(Debug, Serialize)]
pub struct Document<'a> {
    /// The services by key, in the order of the configuration.
    #[serde(serialize_with = "by_key")]
    pub services: Vec<ServiceStatus<'a>>,
    /// How many services are `ok`.
    pub ok_count: usize,
    /// How many are not.
    pub fail_count: usize,
    /// How many there are.
    pub total: usize,
    /// The name of the exporter's machine.
    pub host: &'a str,
    /// The exporter's version.
    pub version: &'static str,
    /// When this was true.
    pub generated_at: Time,
    /// [`MODE`].
    pub mode: &'static str,
    /// [`STALE_AFTER_SECONDS`].
    pub stale_after_seconds: u64,
    /// The worst status of the services.
    pub overall: Word<Status>,
    /// The groups, in the order in which the configuration first names them.
    pub groups: Vec<GroupStatus<'a>>,
}

/// A group of services.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GroupStatus<'a> {
    /// Its name.
    pub name: &'a str,
    /// How many services it has.
    pub total: usize,
    /// How many of them are up.
    pub up: usize,
    /// How many are degraded.
    pub degraded: usize,
    /// How many are down.
    pub down: usize,
    /// Of how many nothing is known.
    pub unknown: usize,
}

/// A service.
#[derive(Debug, Serialize)]
pub struct ServiceStatus<'a> {
    /// The name shown to people.
    pub name: &'a str,
    /// Its identity.
    pub key: &'a str,
    /// The fields of the ChatStack monitor.
    #[serde(flatten)]
    pub chatstack: ChatstackFields<'a>,
    /// The group it is counted in.
    pub group: &'a str,
    /// How loudly its failure is told.
    pub tier: Word<Tier>,
    /// The status.
    pub status: Word<Status>,
    /// Since when the status is what it is.
    pub since: Option<Time>,
    /// Why it is not up: the reason of the check that decides, and so on.
    #[serde(flatten)]
    pub trouble: Trouble<'a>,
    /// What it is, for people; empty where not configured.
    pub description: &'a str,
    /// Where it is written what to do.
    pub runbook_url: Option<&'a str>,
    /// The keys of the services it needs.
    pub depends_on: Vec<&'a str>,
    /// Its checks, in the order of the configuration.
    pub checks: Vec<CheckStatus<'a>>,
}

/// What keeps a service or a check from being up; nothing of it while it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Trouble<'a> {
    /// The word of the `reason` label.
    pub reason: Option<&'static str>,
    /// What happened.
    pub message: Option<&'a str>,
    /// What to do about it.
    pub advice: Option<&'static str>,
}

/// A check.
#[derive(Debug, Serialize)]
pub struct CheckStatus<'a> {
    /// Its name within the service.
    pub name: &'a str,
    /// Its kind.
    pub kind: Word<CheckKind>,
    /// What it looks at; never holds a secret.
    pub target: &'a str,
    /// How much its failure weighs.
    pub severity: Word<Severity>,
    /// The status.
    pub status: Word<Status>,
    /// Since when the status is what it is; `None` while unknown.
    pub since: Option<Time>,
    /// The response time of the last run, where its kind has one and there was an answer.
    pub latency_ms: Option<Milliseconds>,
    /// Why it is not up.
    #[serde(flatten)]
    pub trouble: Trouble<'a>,
    /// When the last run ended.
    pub last_checked: Option<Time>,
    /// When the last successful run ended.
    pub last_success: Option<Time>,
    /// Failures in a row, up to now.
    pub consecutive_failures: u64,
    /// How long the parts of the last run took, of those that it reached.
    #[serde(serialize_with = "as_map")]
    pub phases_ms: Vec<(&'static str, Milliseconds)>,
    /// What the last run measured.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Value<'a>>,
}

/// One number that a run measured: a series of `/metrics` without the labels of its check.
#[derive(Debug, Serialize)]
pub struct Value<'a> {
    /// The metric's name.
    pub metric: &'static str,
    /// The labels of the metric's own.
    #[serde(serialize_with = "as_map")]
    pub labels: Vec<(&'static str, &'a str)>,
    /// The number; always finite.
    pub value: f64,
}

/// A moment, written as RFC 3339 has it, in UTC.
#[derive(Clone, Copy, Debug)]
pub struct Time(UtcTime);

impl Time {
    /// The moment of a Unix time in seconds.
    #[allow(clippy::cast_possible_truncation, reason = "it saturates, in the year 2262")]
    pub fn new(seconds: f64) -> Self {
        // A double of our century is exact to a quarter of a microsecond; beyond that, it would cut 0.25 down to 0.249.
        Self(UtcTime(((seconds * 1e6).round() as i64).saturating_mul(1_000)))
    }
}

impl std::fmt::Display for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A duration in milliseconds, written with the microseconds as decimals.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Milliseconds(pub std::time::Duration);

impl Serialize for Milliseconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64((self.0.as_secs_f64() * 1e6).round() / 1e3)
    }
}

/// A value out of a closed list, written as its word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word<T>(pub T);

impl<T: std::fmt::Display> Serialize for Word<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

fn by_key<S: Serializer>(services: &[ServiceStatus<'_>], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(services.iter().map(|service| (service.key, service)))
}

fn as_map<S: Serializer, V: Serialize>(
    entries: &[(&'static str, V)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(entries.iter().map(|(key, value)| (key, value)))
}
