//! The configuration as it is written: every key an `Option`. A mapping that bears keys of several of these types (a
//! service has its own, the timing keys and the short form's) is split into one piece a type before it is read.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::duration::DurationText;
use super::monitor::MonitorOptions;
use crate::model::{Severity, Tier};

/// The keys of the document itself.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DocumentOptions {
    /// Settings for every service and check that does not say otherwise.
    pub defaults: Option<BTreeMap<String, String>>,
    /// Settings of the two tiers; they stand between a service's own and the defaults.
    pub tiers: Option<BTreeMap<String, String>>,
    /// Named sets of check options for /probe, in blackbox_exporter's format.
    pub modules: Option<BTreeMap<String, String>>,
    /// What /probe may do.
    pub probe: Option<BTreeMap<String, String>>,
    /// The pace of ChatStack's monitor, as its files have it. New files set defaults instead.
    pub monitor: Option<MonitorOptions>,
    /// What ChatStack's files say of its log. It has no effect: use the flags --log.level and --log.format.
    pub logging: Option<BTreeMap<String, String>>,
    /// What is watched.
    pub services: Option<Vec<String>>,
}

/// When checks run and how their results are judged: in a check, a service, a tier or the defaults.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TimingOptions {
    /// From one run's start to the next one's; at least 100ms. Built in: 15s.
    pub interval: Option<DurationText>,
    /// A run's deadline, name resolution included. Built in: 10s.
    pub timeout: Option<DurationText>,
    /// Start to start while a check fails or its recovery is being confirmed; never longer than the interval. Built in:
    /// 5s, or the interval where that is shorter.
    pub recheck_interval: Option<DurationText>,
    /// Limits of the response time; kinds without one (systemd, process, docker) ignore them.
    pub thresholds: Option<ThresholdOptions>,
    /// Runs in a row that it takes to change a check's status for the worse. Built in: 1.
    pub failures_before_down: Option<u32>,
    /// Runs in a row that it takes to change a check's status for the better. Built in: 2.
    pub successes_before_up: Option<u32>,
}

/// Limits of the response time.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ThresholdOptions {
    /// At or above it, a successful run is degraded. Built in: 1s.
    pub degraded: Option<DurationText>,
    /// At or above it, a run counts as down, and as slow. Built in: 5s.
    pub down: Option<DurationText>,
}

/// What belongs to services and may also stand in a tier or the defaults.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SharedServiceOptions {
    /// How long each condition lasts before its alert fires.
    pub tolerance: Option<ToleranceOptions>,
}

/// How long each condition lasts before its alert fires.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ToleranceOptions {
    /// For a service that is down. Built in: 30s, in the tier tolerant 2m.
    pub down: Option<DurationText>,
    /// For a service that is not fully up. Built in: 1m, in the tier tolerant 2m.
    pub degraded: Option<DurationText>,
    /// For a service that answers too slowly. Built in: 2m.
    pub slow: Option<DurationText>,
}

/// A service's own keys.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceOptions {
    /// What identifies the service, in labels too: a-z, 0-9, _, . and -, at most 64; unique.
    pub key: Option<String>,
    /// The name shown to people. Default: the key.
    pub name: Option<String>,
    /// The group it is shown and counted in. Default: default.
    pub group: Option<String>,
    /// How long a failure is borne, and how loudly it is told. Default: critical.
    pub tier: Option<TierWord>,
    /// What it is, for people.
    pub description: Option<String>,
    /// What to do when it fails: an http or https URL.
    pub runbook_url: Option<String>,
    /// Keys of the services that it needs.
    pub depends_on: Option<Vec<String>>,
}

/// The short form: checks of a service told by keys of the service itself, as ChatStack's files do.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShortFormOptions {
    /// Short form of an http check with a deadline of 3s.
    pub url: Option<String>,
    /// The status that the URL has to answer with, exactly. Default: 200.
    pub expected_http: Option<u16>,
    /// Short form of a tcp check with a deadline of 1s: the port that has to be open. Default where only the host is
    /// given: the URL's port.
    pub port: Option<u16>,
    /// The host of that port. Default: the URL's host, or else 127.0.0.1.
    pub host: Option<String>,
    /// Short form of a systemd check: the unit; without a suffix, a .service.
    pub systemd: Option<String>,
    /// Short form of a process check of severity warning: texts, one of which a process bears in its name or command
    /// line.
    #[schemars(schema_with = "super::schema::text_or_texts")]
    pub process_match: Option<Vec<String>>,
    /// Short form of a docker check of severity warning: the name of a container, or its id.
    pub container: Option<String>,
}

/// The keys that a check of any kind has.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckOptions {
    /// The kind of check.
    pub kind: Option<String>,
    /// Its name within the service: a-z, 0-9, _, . and -, at most 64. Default: its kind, numbered from the second
    /// nameless one of a kind on (http, http_2).
    pub name: Option<String>,
    /// Whether its failure takes the service down (critical) or only degrades it (warning). Default: critical.
    pub severity: Option<SeverityWord>,
}

/// A tier's name.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TierWord {
    /// Somebody is paged.
    Critical,
    /// Somebody is told.
    Tolerant,
}

/// A severity's name.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SeverityWord {
    /// Its failure takes the service down.
    Critical,
    /// Its failure degrades the service.
    Warning,
}

impl From<TierWord> for Tier {
    fn from(word: TierWord) -> Self {
        match word {
            TierWord::Critical => Self::Critical,
            TierWord::Tolerant => Self::Tolerant,
        }
    }
}

impl From<SeverityWord> for Severity {
    fn from(word: SeverityWord) -> Self {
        match word {
            SeverityWord::Critical => Self::Critical,
            SeverityWord::Warning => Self::Warning,
        }
    }
}
