//! The resolved configuration, as the rest of the exporter uses it.

use std::sync::Arc;
use std::time::Duration;

use super::probe::ProbeSettings;
use crate::model::{CheckKind, CheckName, ServiceKey, Severity, Thresholds, Tier, Tolerance, with_kinds};

/// A valid and complete configuration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// The services, in the order of the file.
    pub services: Vec<Arc<Service>>,
    /// The modules and limits of `/probe`.
    pub probe: ProbeSettings,
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
    /// The checks, at least one.
    pub checks: Vec<Arc<CheckSettings>>,
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
    /// The settings of the kind.
    pub kind: KindSettings,
}

impl CheckSettings {
    /// The age from which on a result is stale and the status unknown: max(90 s, 3 intervals, interval + 2 timeouts).
    pub fn stale_after(&self) -> Duration {
        Duration::from_secs(90)
            .max(self.interval * 3)
            .max(self.interval + self.timeout * 2)
    }
}

/// Facts about a kind that other parts of the exporter need, so that those parts do not name kinds.
pub trait KindFacts {
    /// Whether checks of this kind with the same interval run at the same time, so that they share work.
    const SHARES_PHASE: bool = false;

    /// Whether a run can fail with the reason `missing` because the exporter did not run in time to receive responses.
    const MISSES_WHEN_LATE: bool = false;

    /// The maximum number of values that this label has at the same time: one per configured item, or the limit for values
    /// from the target. `None` for labels that the kind does not have.
    fn values_at_once(&self, label: &str) -> Option<u64> {
        let _ = label;
        None
    }

    /// Whether the check uses more than its target shows, such as a query or credentials.
    fn is_target_shortened(&self) -> bool {
        false
    }
}

macro_rules! kind_settings {
    ($($(#[$doc:meta])* $variant:ident $name:ident $timed:ident $options:ident $settings:ident $check:ident;)+) => {
        /// The settings of one kind of check.
        #[derive(Clone, Debug, PartialEq)]
        pub enum KindSettings {
            $($(#[$doc])* $variant(Box<super::$name::$settings>)),+
        }

        impl KindSettings {
            /// The kind.
            pub const fn kind(&self) -> CheckKind {
                match self {
                    $(Self::$variant(_) => CheckKind::$variant),+
                }
            }

            /// The target, for the `target` label and for people. Never contains a secret.
            pub fn target(&self) -> String {
                match self {
                    $(Self::$variant(settings) => settings.target()),+
                }
            }

            /// See [`KindFacts::SHARES_PHASE`].
            pub const fn shares_phase(&self) -> bool {
                match self {
                    $(Self::$variant(_) => <super::$name::$settings as KindFacts>::SHARES_PHASE),+
                }
            }

            /// See [`KindFacts::MISSES_WHEN_LATE`].
            pub const fn misses_when_late(&self) -> bool {
                match self {
                    $(Self::$variant(_) => <super::$name::$settings as KindFacts>::MISSES_WHEN_LATE),+
                }
            }

            /// See [`KindFacts::values_at_once`].
            pub fn values_at_once(&self, label: &str) -> Option<u64> {
                match self {
                    $(Self::$variant(settings) => settings.values_at_once(label)),+
                }
            }

            /// See [`KindFacts::is_target_shortened`].
            pub fn is_target_shortened(&self) -> bool {
                match self {
                    $(Self::$variant(settings) => settings.is_target_shortened()),+
                }
            }
        }
    };
}
with_kinds!(kind_settings);
