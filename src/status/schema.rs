//! The types of the status document. Their fields are in the order of the JSON, and `docs/openapi.yaml` describes them. They
//! borrow from the snapshot.

use serde::{Serialize, Serializer};

use super::chatstack::ChatstackFields;
use super::heal::HealStatus;
use super::time::Time;
use super::word::Word;
use crate::model::{BeatKind, CheckKind, JobState, Severity, Status, Tier};

/// The value of `mode` that the ChatStack monitor uses for checks in the background.
pub const MODE: &str = "production_monitoring";

/// The age in seconds from which readers of the file should treat it as stale, as readers of the ChatStack monitor do.
pub const STALE_AFTER_SECONDS: u64 = 90;

/// The status of everything, or of a group.
#[derive(Debug, Serialize)]
pub struct Document<'a> {
    /// The services by key, in the order of the configuration.
    #[serde(serialize_with = "by_key")]
    pub services: Vec<ServiceStatus<'a>>,
    /// How many services are `ok`.
    pub ok_count: usize,
    /// How many services are not `ok`.
    pub fail_count: usize,
    /// How many services there are.
    pub total: usize,
    /// The name of the exporter's machine.
    pub host: &'a str,
    /// The exporter's version.
    pub version: &'static str,
    /// The time of the snapshot.
    pub generated_at: Time,
    /// [`MODE`].
    pub mode: &'static str,
    /// [`STALE_AFTER_SECONDS`].
    pub stale_after_seconds: u64,
    /// The worst status of the services.
    pub overall: Word<Status>,
    /// The groups, in the order of their first service in the configuration.
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
    /// How many are unknown.
    pub unknown: usize,
}

/// A service.
#[derive(Debug, Serialize)]
pub struct ServiceStatus<'a> {
    /// The display name.
    pub name: &'a str,
    /// Its key.
    pub key: &'a str,
    /// The fields of the ChatStack monitor.
    #[serde(flatten)]
    pub chatstack: ChatstackFields<'a>,
    /// Its group.
    pub group: &'a str,
    /// Its tier, which decides how alerts are routed.
    pub tier: Word<Tier>,
    /// The status.
    pub status: Word<Status>,
    /// Since when the service has its status.
    pub since: Option<Time>,
    /// Since when all of its units, containers and processes run. Absent while it is down or unknown, and without any of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub running_since: Option<Time>,
    /// Why it is not up: the problem of the check that causes the status.
    #[serde(flatten)]
    pub problem: ProblemDetails<'a>,
    /// Whether a service that it depends on, directly or not, is down.
    pub impacted: bool,
    /// The keys of the services that cause the impact.
    pub root_causes: Vec<&'a str>,
    /// The description; empty if not configured.
    pub description: &'a str,
    /// The URL of the runbook.
    pub runbook_url: Option<&'a str>,
    /// The objective of its `slo`, if it has one: the share of the time in which it must not be down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub objective_ratio: Option<f64>,
    /// The keys of the services it needs.
    pub depends_on: Vec<&'a str>,
    /// The maintenance window that holds.
    pub maintenance: Option<MaintenanceStatus<'a>>,
    /// Its healing. `None` if its mode is off.
    pub heal: Option<HealStatus<'a>>,
    /// Its checks, in the order of the configuration.
    pub checks: Vec<CheckStatus<'a>>,
}

/// A maintenance window.
#[derive(Debug, Serialize)]
pub struct MaintenanceStatus<'a> {
    /// The id of a window that a command started, or the name of one in the configuration.
    pub id: &'a str,
    /// When it started.
    pub started: Time,
    /// When it ends.
    pub ends: Time,
    /// Why; empty if not given.
    pub reason: &'a str,
    /// The user who started it. `None` for a window of the configuration.
    pub by: Option<&'a str>,
}

/// Why a service or a check is not up. Empty while it is up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ProblemDetails<'a> {
    /// The value of the `reason` label.
    pub reason: Option<&'static str>,
    /// The message of the problem.
    pub message: Option<&'a str>,
    /// What to do about the problem.
    pub advice: Option<&'static str>,
}

/// A check.
#[derive(Debug, Serialize)]
pub struct CheckStatus<'a> {
    /// Its name within the service.
    pub name: &'a str,
    /// Its kind.
    pub kind: Word<CheckKind>,
    /// Its target, which never contains a secret.
    pub target: &'a str,
    /// Its severity.
    pub severity: Word<Severity>,
    /// The status.
    pub status: Word<Status>,
    /// Since when the check has its status. `None` while unknown.
    pub since: Option<Time>,
    /// Since when its unit, container or process runs. Absent for other targets, and while it does not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub running_since: Option<Time>,
    /// The response time of the last run. `None` for kinds without one, and without a response.
    pub latency_ms: Option<Milliseconds>,
    /// Why it is not up.
    #[serde(flatten)]
    pub problem: ProblemDetails<'a>,
    /// When the last run ended.
    pub last_checked: Option<Time>,
    /// When the last successful run ended.
    pub last_success: Option<Time>,
    /// Failed runs in a row, up to now.
    pub consecutive_failures: u64,
    /// The duration of each phase that the last run reached.
    #[serde(serialize_with = "as_map")]
    pub phases_ms: Vec<(&'static str, Milliseconds)>,
    /// The values that the last run measured.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Value<'a>>,
    /// The command that fixes all findings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<&'a str>,
    /// What the last run found in detail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub findings: Option<FindingsStatus<'a>>,
    /// The job that a heartbeat check watches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<JobStatus<'a>>,
}

/// The job that a heartbeat check watches.
#[derive(Debug, Serialize)]
pub struct JobStatus<'a> {
    /// Its state.
    pub state: Word<JobState>,
    /// When the last success arrived.
    pub last_success: Option<Time>,
    /// When the last start arrived.
    pub last_start: Option<Time>,
    /// When the next success is due.
    pub due: Option<Time>,
    /// When the job is down without a success.
    pub deadline: Option<Time>,
    /// How many runs have started and not finished.
    pub open_runs: usize,
    /// The last beats, newest first.
    pub beats: Vec<BeatStatus<'a>>,
}

/// One beat of a job.
#[derive(Debug, Serialize)]
pub struct BeatStatus<'a> {
    /// When it arrived.
    pub at: Time,
    /// What it says.
    #[serde(rename = "type")]
    pub kind: Word<BeatKind>,
    /// The exit status that it reports.
    pub exit_status: Option<u8>,
    /// The id of its run.
    pub run_id: Option<&'a str>,
    /// The time since the start of its run.
    pub run_time_ms: Option<Milliseconds>,
    /// The text that it carries; empty if it has none.
    pub message: &'a str,
}

/// What a run found in detail.
#[derive(Debug, Serialize)]
pub struct FindingsStatus<'a> {
    /// How many there are, with those that are left out.
    pub total: usize,
    /// The first findings.
    pub list: Vec<FindingStatus<'a>>,
}

/// One finding.
#[derive(Debug, Serialize)]
pub struct FindingStatus<'a> {
    /// What it is about, such as a package.
    pub subject: &'a str,
    /// One word of the kind, such as `missing`.
    pub state: &'static str,
    /// What was expected and what was found.
    pub detail: &'a str,
    /// The command that fixes it.
    pub fix: Option<&'a str>,
}

/// A value that a run measured: a series of `/metrics` without the labels of its check.
#[derive(Debug, Serialize)]
pub struct Value<'a> {
    /// The metric's name.
    pub metric: &'static str,
    /// The metric's own labels.
    #[serde(serialize_with = "as_map")]
    pub labels: Vec<(&'static str, &'a str)>,
    /// The value, which is always finite.
    pub value: f64,
}

/// A duration, serialized in milliseconds with three decimals.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Milliseconds(pub std::time::Duration);

impl Serialize for Milliseconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64((self.0.as_secs_f64() * 1e6).round() / 1e3)
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
