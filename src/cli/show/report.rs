//! What is shown of services, wherever it comes from: made by a run of all checks, or read from a running exporter.

use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::model::{Status, Tier};

/// All that is shown. Every text in it has gone through `clean`.
#[derive(Debug, Serialize)]
pub struct Document {
    /// When it was true: RFC 3339, UTC.
    pub generated_at: String,
    /// The worst of the services' statuses.
    #[serde(serialize_with = "word")]
    pub status: Status,
    /// The services, in the order of the configuration.
    pub services: Vec<ServiceRow>,
    /// How many of them are how.
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
    /// How loudly its failure is told, where known.
    #[serde(serialize_with = "tier_word")]
    pub tier: Option<Tier>,
    /// Its status.
    #[serde(serialize_with = "word")]
    pub status: Status,
    /// Since when: RFC 3339; absent after a single run, which can't know it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// How long that is.
    #[serde(skip)]
    pub age: Option<Duration>,
    /// What to do about it, where the exporter says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// Its checks, in the order of the configuration.
    pub checks: Vec<CheckRow>,
}

/// A check.
#[derive(Debug, Serialize)]
pub struct CheckRow {
    /// Its name within the service.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// What it looks at.
    pub target: String,
    /// Its status.
    #[serde(serialize_with = "word")]
    pub status: Status,
    /// Since when: RFC 3339; absent after a single run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// How long the answer took, for kinds that have a response time.
    pub latency_seconds: Option<f64>,
    /// Why it is not up.
    pub reason: Option<String>,
    /// The same in words.
    pub message: Option<String>,
    /// How many seconds each part of the run took, for kinds that use the network.
    #[serde(serialize_with = "entries")]
    pub phases: Vec<(&'static str, f64)>,
}

/// How many services are how.
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
    /// Of all services.
    #[serde(flatten)]
    pub all: Counts,
    /// Of each group, in the order in which they first appear.
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

impl Document {
    /// The document of these services.
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

    /// 0 all up, 1 degraded, 2 down, 3 unknown.
    pub const fn exit_code(&self) -> u8 {
        match self.status {
            Status::Up => 0,
            Status::Degraded => 1,
            Status::Down => 2,
            Status::Unknown => 3,
        }
    }
}

impl ServiceRow {
    /// The slowest answer of its checks.
    pub fn latency(&self) -> Option<f64> {
        self.checks
            .iter()
            .filter_map(|check| check.latency_seconds)
            .max_by(f64::total_cmp)
    }

    /// The checks that keep it from being up, the worst first.
    pub fn troubles(&self) -> Vec<&CheckRow> {
        let mut bad: Vec<_> = self
            .checks
            .iter()
            .filter(|check| check.status != Status::Up)
            .collect();
        bad.sort_by_key(|check| check.status.rank());
        bad
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

    /// The count of one status.
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
fn word<S: Serializer>(status: &Status, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(status.as_str())
}

#[allow(clippy::ref_option, reason = "serde passes references")]
fn tier_word<S: Serializer>(tier: &Option<Tier>, serializer: S) -> Result<S::Ok, S::Error> {
    tier.map(Tier::as_str).serialize(serializer)
}

fn entries<S: Serializer>(phases: &[(&'static str, f64)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(phases.iter().copied())
}
