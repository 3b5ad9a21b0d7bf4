//! The configuration as it is written: every key is an `Option`. A mapping may have keys of several of these types (a service
//! has its own keys, the timing keys and those of the short form); it is split into one mapping per type before it is read.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::duration::DurationText;
use super::heal::HealOptions;
use super::http::StatusRange;
use super::monitor_options::MonitorOptions;
use super::schema_scalars::ANY_SCALAR;
use super::slo::SloOptions;
use crate::model::{Severity, Tier};

/// The pattern of a line of text that is not blank, for the JSON Schema. White space at the end is removed.
const VISIBLE_LINE: &str = r"^[^\x00-\x1f\x7f-\x9f]*[^\x00-\x1f\x7f-\x9f\s][^\x00-\x1f\x7f-\x9f]*\s*$";

/// The pattern of a line of text.
const LINE: &str = r"^[^\x00-\x1f\x7f-\x9f]*\s*$";

/// The group of a service without one.
pub const DEFAULT_GROUP: &str = "default";

/// The top-level keys.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RootOptions {
    /// Settings for all services and checks. Tiers, services and checks override them.
    pub defaults: Option<BTreeMap<String, String>>,
    /// Settings of the two tiers. They override the defaults; services and checks override them.
    pub tiers: Option<BTreeMap<String, String>>,
    /// Named sets of check options for /probe, in blackbox_exporter's format.
    pub modules: Option<BTreeMap<String, String>>,
    /// Limits of /probe.
    pub probe: Option<BTreeMap<String, String>>,
    /// Groups of processes by name, in process-exporter's format, for /metrics/processes: its process_names as a list, or a
    /// mapping with options.
    pub process_groups: Option<BTreeMap<String, String>>,
    /// Which programs exec checks may run.
    pub exec: Option<BTreeMap<String, String>>,
    /// Timing settings of ChatStack's monitor, for its files. New files set defaults instead.
    pub monitor: Option<MonitorOptions>,
    /// Log settings of ChatStack's monitor. Ignored: use the flags --log.level and --log.format.
    pub logging: Option<BTreeMap<String, String>>,
    /// Maintenance windows: times in which alerts of services do not start.
    pub maintenance: Option<Vec<String>>,
    /// The services to check.
    pub services: Option<Vec<String>>,
}

/// When checks run and how their results change the status. Allowed in a check, a service, a tier or the defaults.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TimingOptions {
    /// Time from the start of a run to the start of the next one; at least 100ms. Built in: 15s.
    pub interval: Option<DurationText>,
    /// Deadline of a run, including name resolution. Built in: 10s.
    pub timeout: Option<DurationText>,
    /// Interval while a check fails or its recovery is being confirmed; never longer than interval. Built in: 5s, or
    /// interval if that is shorter.
    pub recheck_interval: Option<DurationText>,
    /// Limits of the response time. Kinds without a response time (systemd, process, docker) ignore them.
    pub thresholds: Option<ThresholdOptions>,
    /// Consecutive runs that change a check's status for the worse. Built in: 1.
    #[schemars(range(min = 1, max = 1000))]
    pub failures_before_down: Option<u32>,
    /// Consecutive runs that change a check's status for the better. Built in: 2.
    #[schemars(range(min = 1, max = 1000))]
    pub successes_before_up: Option<u32>,
}

/// Limits of the response time.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ThresholdOptions {
    /// From this response time on, a successful run is degraded. Built in: 1s.
    pub degraded: Option<DurationText>,
    /// From this response time on, a run is down and slow. Built in: 5s.
    pub down: Option<DurationText>,
}

/// Settings of a service that are also allowed in a tier or the defaults.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SharedServiceOptions {
    /// How long a condition must last before its alert fires.
    pub tolerance: Option<ToleranceOptions>,
    /// What the exporter does about a service that is down.
    pub heal: Option<HealOptions>,
    /// For which share of the time the service must not be down, for alerts on its error budget.
    pub slo: Option<SloOptions>,
}

/// How long a condition must last before its alert fires.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ToleranceOptions {
    /// For a service that is down. Built in: 30s; 2m in the tier tolerant.
    pub down: Option<DurationText>,
    /// For a service that is not fully up. Built in: 1m; 2m in the tier tolerant.
    pub degraded: Option<DurationText>,
    /// For a service that responds too slowly. Built in: 2m.
    pub slow: Option<DurationText>,
}

/// The keys of a service.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceOptions {
    /// Unique identifier of the service, also used in labels: at most 64 characters of a-z, 0-9, _, . and -. Default: made of the
    /// name.
    pub key: Option<String>,
    /// Display name. Default: the key.
    #[schemars(regex(pattern = VISIBLE_LINE), length(max = 128), extend("$comment" = ANY_SCALAR))]
    pub name: Option<String>,
    /// false to turn the service off: its checks do not run, and it is neither on the page nor in metrics. Default: true.
    pub enabled: Option<bool>,
    /// Group of the service on the status page and in metrics. Default: default.
    #[schemars(regex(pattern = VISIBLE_LINE), length(max = 128), extend("$comment" = ANY_SCALAR))]
    pub group: Option<String>,
    /// Tier: the defaults of its settings, and the severity of its alerts. Default: critical.
    pub tier: Option<TierWord>,
    /// Description, for people.
    #[schemars(regex(pattern = LINE), length(max = 1024), extend("$comment" = ANY_SCALAR))]
    pub description: Option<String>,
    /// Instructions for when the service fails: an http or https URL.
    #[schemars(regex(pattern = r"^\s*[A-Za-z][A-Za-z0-9+.-]*:"))]
    pub runbook_url: Option<String>,
    /// Keys of the services that this service depends on. While one of them is down, this service does not page.
    pub depends_on: Option<Vec<String>>,
    /// Which of the checks of severity critical must work, so that the service is not down. any is the same as any_of: 1. Default: all.
    pub requires: Option<RequiresWord>,
    /// How many of the checks of severity critical must work, so that the service is not down. If fewer checks fail, it is degraded.
    #[schemars(range(min = 1))]
    pub any_of: Option<u32>,
}

/// The short form: keys of a service that each stand for a check, as in ChatStack's files.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShortFormOptions {
    /// Short form of an http check with a timeout of 3s.
    pub url: Option<String>,
    /// The status code that the URL must return, or a range of them: 200, 200-299, 2xx. Default: 200.
    pub expected_http: Option<StatusRange>,
    /// Short form of a tcp check with a timeout of 1s: the port to connect to. Default if host is given: the port of the
    /// URL.
    #[schemars(range(min = 1))]
    pub port: Option<u16>,
    /// The host of that port. Default: the host of the URL, or else 127.0.0.1.
    pub host: Option<String>,
    /// Short form of a systemd check: the unit. The suffix .service is added if there is none.
    pub systemd: Option<String>,
    /// Short form of a process check of severity warning: strings, of which a process must have one in its name or command
    /// line.
    #[schemars(schema_with = "super::schema_parts::text_or_texts")]
    pub process_match: Option<Vec<String>>,
    /// Short form of a docker check of severity warning: the name or id of a container.
    #[schemars(regex(pattern = "^[A-Za-z0-9][A-Za-z0-9_.-]*$"), length(max = 255), extend("$comment" = ANY_SCALAR))]
    pub container: Option<String>,
}

/// The keys of every check, whatever its kind.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckOptions {
    /// The kind of check.
    pub kind: Option<String>,
    /// Name of the check, unique in the service: at most 64 characters of a-z, 0-9, _, . and -. Default: the kind, with a
    /// number from the second unnamed check of a kind on (http, http_2).
    pub name: Option<String>,
    /// Whether a failure takes the service down (critical) or degrades it (warning). Default: critical.
    pub severity: Option<SeverityWord>,
    /// false to turn the check off: it does not run, and it is neither on the page nor in metrics. Default: true.
    pub enabled: Option<bool>,
}

/// A tier's name.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TierWord {
    /// Alerts page somebody.
    Critical,
    /// Alerts notify somebody.
    Tolerant,
}

/// Which checks a service requires.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RequiresWord {
    /// A failure of any critical check takes the service down.
    All,
    /// The service is down only if all critical checks fail.
    Any,
}

/// A severity's name.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SeverityWord {
    /// A failure takes the service down.
    Critical,
    /// A failure degrades the service.
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
