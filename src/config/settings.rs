//! The resolved configuration, as the rest of the exporter sees it.

use std::sync::Arc;
use std::time::Duration;

use super::probe::ProbeSettings;
use crate::model::{CheckKind, CheckName, ServiceKey, Severity, Thresholds, Tier, Tolerance, with_kinds};

/// A whole configuration, valid and complete.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// The services, in the order of the file.
    pub services: Vec<Arc<Service>>,
    /// What `/probe` may do.
    pub probe: ProbeSettings,
}

/// A service with its checks.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// Its identity.
    pub key: ServiceKey,
    /// The name shown to people.
    pub name: String,
    /// The group it is shown and counted in.
    pub group: String,
    /// How loudly its failure is told.
    pub tier: Tier,
    /// What it is, for people; empty where not given.
    pub description: String,
    /// What to do when it fails.
    pub runbook_url: Option<String>,
    /// Keys of the services it needs; they exist, and there is no cycle.
    pub depends_on: Vec<ServiceKey>,
    /// How long each condition is borne.
    pub tolerance: Tolerance,
    /// Its checks, at least one.
    pub checks: Vec<Arc<CheckSettings>>,
}

/// One check's settings: what every kind has, and the kind's own.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckSettings {
    /// Its name within the service.
    pub name: CheckName,
    /// How much its failure weighs.
    pub severity: Severity,
    /// From one run's start to the next one's.
    pub interval: Duration,
    /// A run's deadline, name resolution included.
    pub timeout: Duration,
    /// Start to start while the check fails or its recovery is being confirmed; at most `interval`.
    pub recheck_interval: Duration,
    /// Limits of the response time; kinds without one ignore them.
    pub thresholds: Thresholds,
    /// Runs in a row that it takes to change the status for the worse; at least 1.
    pub failures_before_down: u32,
    /// Runs in a row that it takes to change the status for the better; at least 1.
    pub successes_before_up: u32,
    /// What the kind itself needs.
    pub kind: KindSettings,
}

impl CheckSettings {
    /// How old a result may be before the check's status is unknown: max(90 s, 3 intervals, interval + 2 deadlines).
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
            /// Which kind it is.
            pub const fn kind(&self) -> CheckKind {
                match self {
                    $(Self::$variant(_) => CheckKind::$variant),+
                }
            }

            /// What is looked at, for the `target` label and for people; never holds a secret.
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
