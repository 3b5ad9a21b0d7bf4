//! The resolved configuration, as the rest of the exporter uses it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::certificate::CertificateLimits;
use super::heal::{HealLimits, HealSettings};
use super::kinds::KindSettings;
use super::maintenance::MaintenanceWindow;
use super::probe::ProbeSettings;
use super::process_groups::ProcessGroupSettings;
use super::slo::Objective;
use crate::model::{CheckName, ServiceKey, Severity, Thresholds, Tier, Tolerance};

/// How much longer than an outage lasts Prometheus may see it: the scrape interval of `deploy/prometheus/prometheus.yml`.
const SEEN_LONGER: Duration = Duration::from_secs(5);

/// A valid and complete configuration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// The services, in the order of the file.
    pub services: Vec<Arc<Service>>,
    /// The maintenance windows, in the order of the file.
    pub maintenance: Vec<Arc<MaintenanceWindow>>,
    /// The modules and limits of `/probe`.
    pub probe: ProbeSettings,
    /// The limits of healing.
    pub heal: HealLimits,
    /// The groups of processes that have metrics.
    pub process_groups: Option<Arc<ProcessGroupSettings>>,
    /// The directories of the programs that exec checks may run.
    pub exec_directories: Arc<[PathBuf]>,
    /// The YAML without its secrets, for `/config`.
    pub shown: ShownConfig,
    /// The services and checks that are turned off, in the order of the file. Nothing else contains them.
    pub disabled: Vec<Disabled>,
    /// The keys of services that are made of names, in the order of the file.
    pub derived_keys: Vec<ServiceKey>,
}

/// The YAML of a configuration without its secrets. Configurations with the same settings are equal, however they are written.
#[derive(Clone, Debug, Default)]
pub struct ShownConfig(pub Arc<str>);

impl PartialEq for ShownConfig {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// A service or check that is turned off (`enabled: false`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disabled {
    /// The service.
    pub service: ServiceKey,
    /// The check; `None` for the whole service.
    pub check: Option<CheckName>,
}

/// As in "shop" or "shop/http".
impl fmt::Display for Disabled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.check {
            Some(check) => write!(f, "{}/{check}", self.service),
            None => self.service.fmt(f),
        }
    }
}

/// A service with its checks.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// The unique key.
    pub key: ServiceKey,
    /// The display name.
    pub name: String,
    /// The group on the status page and in metrics.
    pub group: String,
    /// The tier, which decides the severity of its alerts.
    pub tier: Tier,
    /// The description for people; empty if not given.
    pub description: String,
    /// The URL of instructions for when the service fails.
    pub runbook_url: Option<String>,
    /// The keys of the services that this service depends on. They exist and form no cycle.
    pub depends_on: Vec<ServiceKey>,
    /// How long each condition must last before its alert fires.
    pub tolerance: Tolerance,
    /// How the service is healed; `None` if healing is off.
    pub heal: Option<HealSettings>,
    /// For which share of the time the service must not be down.
    pub objective: Option<Objective>,
    /// How many of its critical checks must work, so that it is not down. `None`: all of them.
    pub any_of: Option<usize>,
    /// The checks, at least one.
    pub checks: Vec<Arc<CheckSettings>>,
}

impl Service {
    /// The checks whose failure can take the service down.
    pub fn critical_checks(&self) -> impl Iterator<Item = &Arc<CheckSettings>> {
        self.checks
            .iter()
            .filter(|check| check.severity == Severity::Critical)
    }

    /// The down time within an hour that the alerts on the objective do not count: what two failed runs of the slowest critical check
    /// cost, as scrapes see it.
    pub fn objective_allowance(&self) -> Duration {
        let costs = self
            .critical_checks()
            .map(|check| check.down_time_of_two_failures());
        costs.max().unwrap_or_default() + SEEN_LONGER * 2
    }

    /// How many checks must be down to take the service down; at least 1.
    pub fn checks_until_down(&self) -> usize {
        match self.any_of {
            Some(any_of) => (self.critical_checks().count() + 1).saturating_sub(any_of).max(1),
            None => 1,
        }
    }
}

/// The settings of a check: those of every check, and those of its kind.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckSettings {
    /// The name, unique in the service.
    pub name: CheckName,
    /// The effect of a failure on the service.
    pub severity: Severity,
    /// The time from the start of a run to the start of the next one.
    pub interval: Duration,
    /// The deadline of a run, including name resolution.
    pub timeout: Duration,
    /// The interval while the check fails or its recovery is being confirmed; at most `interval`.
    pub recheck_interval: Duration,
    /// The limits of the response time. Kinds without a response time ignore them.
    pub thresholds: Thresholds,
    /// The consecutive runs that change the status for the worse; at least 1.
    pub failures_before_down: u32,
    /// The consecutive runs that change the status for the better; at least 1.
    pub successes_before_up: u32,
    /// When an expiring certificate causes a warning or a failure. Kinds without certificates ignore it.
    pub certificate: CertificateLimits,
    /// The settings of the kind.
    pub kind: KindSettings,
}

impl CheckSettings {
    /// The longest time from the start of the first run that sees an outage to the change of the status, if the target hangs.
    pub fn longest_detection(&self) -> Duration {
        let step = self.recheck_interval.max(self.timeout);
        self.timeout + step * (self.failures_before_down - 1)
    }

    /// How long two failed runs take the check down at most, if all other runs succeed at once. The first one may be followed by the
    /// second one, or by a recovery.
    pub fn down_time_of_two_failures(&self) -> Duration {
        let recovery = self.recheck_interval * self.successes_before_up;
        match self.failures_before_down {
            1 => recovery + recovery.max(self.timeout),
            2 => recovery,
            _ => Duration::ZERO,
        }
    }

    /// The age from which on a result is stale and the status unknown: max(90 s, 3 intervals, interval + 2 timeouts).
    pub fn stale_after(&self) -> Duration {
        Duration::from_secs(90)
            .max(self.interval * 3)
            .max(self.interval + self.timeout * 2)
    }
}
