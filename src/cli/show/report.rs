//! The report about services that `check` and `status` show.

use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::cli::exit::exit_code;
use crate::model::{Status, Tier};

/// A report about services. All texts are safe for terminals, see [`super::clean`].
#[derive(Debug, Serialize)]
pub struct StatusReport {
    /// The time of the report: RFC 3339, UTC.
    pub generated_at: String,
    /// The worst status of the services.
    #[serde(serialize_with = "serialize_status")]
    pub status: Status,
    /// The services, in the order of the configuration.
    pub services: Vec<ServiceRow>,
    /// The number of services with each status.
    pub summary: Summary,
}

/// A service.
#[derive(Debug, Serialize)]
pub struct ServiceRow {
    /// Its key.
    pub key: String,
    /// Its name.
    pub name: String,
    /// Its group.
    pub group: String,
    /// Its tier, if known.
    #[serde(serialize_with = "serialize_tier")]
    pub tier: Option<Tier>,
    /// Its status.
    #[serde(serialize_with = "serialize_status")]
    pub status: Status,
    /// Since when it has this status: RFC 3339. Absent after a single run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// How long it has had this status.
    #[serde(skip)]
    pub age: Option<Duration>,
    /// Since when all of its units, containers and processes run: RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub running_since: Option<String>,
    /// How long they have been running.
    #[serde(skip)]
    pub uptime: Option<Duration>,
    /// The keys of the services that impact it: they are down, and it depends on them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub root_causes: Vec<String>,
    /// What to do about it, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// The maintenance window that holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<MaintenanceRow>,
    /// Its checks, in the order of the configuration.
    pub checks: Vec<CheckRow>,
}

/// A maintenance window.
#[derive(Debug, Serialize)]
pub struct MaintenanceRow {
    /// When it ends: RFC 3339.
    pub ends: String,
    /// Why; empty if not given.
    pub reason: String,
    /// The user who started it. Absent for a window of the configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// A check.
#[derive(Debug, Serialize)]
pub struct CheckRow {
    /// Its name within the service.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// Its target.
    pub target: String,
    /// Its status.
    #[serde(serialize_with = "serialize_status")]
    pub status: Status,
    /// Since when it has this status: RFC 3339. Absent after a single run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Since when its unit, container or process runs: RFC 3339. Absent for other targets, and while it does not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub running_since: Option<String>,
    /// The response time, for kinds that have one.
    pub latency_seconds: Option<f64>,
    /// Why it is not up.
    pub reason: Option<String>,
    /// The message of the problem.
    pub message: Option<String>,
    /// What to do about the problem.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// The command that fixes what the run found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// The duration of each phase in seconds, for kinds that use the network.
    #[serde(serialize_with = "serialize_phases")]
    pub phases: Vec<(&'static str, f64)>,
}

/// The number of services with each status.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// All.
    pub total: usize,
    /// Up.
    pub up: usize,
    /// Degraded.
    pub degraded: usize,
    /// Down.
    pub down: usize,
    /// Unknown.
    pub unknown: usize,
}

/// The counts of all services and of each group.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// The counts of all services.
    #[serde(flatten)]
    pub all: Counts,
    /// The counts of each group, in the order of first appearance.
    pub groups: Vec<Group>,
}

/// The counts of one group.
#[derive(Debug, Serialize)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its counts.
    #[serde(flatten)]
    pub counts: Counts,
}

impl StatusReport {
    /// A report about these services.
    pub fn new(generated_at: String, services: Vec<ServiceRow>) -> Self {
        let mut all = Counts::default();
        let mut groups: Vec<Group> = Vec::new();
        for service in &services {
            all.add(service.status);
            let place = groups.iter().position(|group| group.name == service.group);
            let place = place.unwrap_or_else(|| {
                groups.push(Group {
                    name: service.group.clone(),
                    counts: Counts::default(),
                });
                groups.len() - 1
            });
            groups[place].counts.add(service.status);
        }
        Self {
            generated_at,
            status: Status::worst(services.iter().map(|service| service.status)),
            services,
            summary: Summary { all, groups },
        }
    }

    /// The exit code of the worst status.
    pub fn exit_code(&self) -> u8 {
        exit_code(self.status)
    }
}

impl ServiceRow {
    /// The slowest response time of its checks.
    pub fn latency(&self) -> Option<f64> {
        self.checks
            .iter()
            .filter_map(|check| check.latency_seconds)
            .max_by(f64::total_cmp)
    }

    /// The checks that are not up, worst first.
    pub fn failing_checks(&self) -> Vec<&CheckRow> {
        let mut failing: Vec<_> = self
            .checks
            .iter()
            .filter(|check| check.status != Status::Up)
            .collect();
        failing.sort_by_key(|check| check.status.rank());
        failing
    }
}

impl CheckRow {
    /// Its problem in one line.
    pub fn describe(&self) -> String {
        match (&self.reason, &self.message) {
            (Some(reason), Some(message)) => format!("{}: {reason}: {message}", self.name),
            (Some(text), None) | (None, Some(text)) => format!("{}: {text}", self.name),
            (None, None) if self.status == Status::Unknown => format!("{}: no recent result", self.name),
            (None, None) => format!("{}: {}", self.name, self.status),
        }
    }
}

impl Counts {
    fn add(&mut self, status: Status) {
        self.total += 1;
        *match status {
            Status::Up => &mut self.up,
            Status::Degraded => &mut self.degraded,
            Status::Down => &mut self.down,
            Status::Unknown => &mut self.unknown,
        } += 1;
    }

    /// The number of services with a status.
    pub const fn of(&self, status: Status) -> usize {
        match status {
            Status::Up => self.up,
            Status::Degraded => self.degraded,
            Status::Down => self.down,
            Status::Unknown => self.unknown,
        }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn serialize_status<S: Serializer>(status: &Status, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(status.as_str())
}

#[allow(clippy::ref_option, reason = "serde passes references")]
fn serialize_tier<S: Serializer>(tier: &Option<Tier>, serializer: S) -> Result<S::Ok, S::Error> {
    tier.map(Tier::as_str).serialize(serializer)
}

fn serialize_phases<S: Serializer>(phases: &[(&'static str, f64)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(phases.iter().copied())
}
