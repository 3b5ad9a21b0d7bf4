//! Facts about a kind of check, implemented by its settings.

use std::time::Duration;

use super::secret::SecretSource;
use crate::model::CheckId;

/// Timing settings of a kind whose checks run rarely, for example because each run is a request to a metered service. They replace
/// the settings of the service, its tier and the defaults. Only the keys of the check itself override them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnTimings {
    /// The time between runs.
    pub interval: Duration,
    /// The deadline of a run.
    pub timeout: Duration,
    /// The time until the next run after a failed one.
    pub recheck_interval: Duration,
    /// How many runs must fail in a row before the status gets worse.
    pub failures_before_down: u32,
    /// Whether the thresholds of the service, its tier and the defaults apply. They limit response times, which are much shorter than the
    /// times of jobs.
    pub inherits_thresholds: bool,
}

/// What a kind that keeps state over reloads and restarts needs of its check.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// The check.
    pub id: &'a CheckId,
    /// Its thresholds. `None` if they are not set and not inherited.
    pub degraded: Option<Duration>,
    /// See `degraded`.
    pub down: Option<Duration>,
}

/// Facts about a kind that other parts of the exporter need, so that those parts do not name kinds.
pub trait KindFacts {
    /// Whether checks of this kind with the same interval run at the same time, so that they share work.
    const SHARES_PHASE: bool = false;

    /// Whether the target is a database, broker or store, which healing must not touch without permission.
    const IS_STORE: bool = false;

    /// Whether a run can fail with the reason `missing` because the exporter did not run in time to receive responses.
    const MISSES_WHEN_LATE: bool = false;

    /// Whether checks of this kind can use TLS and report when certificates expire.
    const SEES_CERTIFICATES: bool = false;

    /// The timing settings of kinds that run rarely. `None` if those of the service apply.
    const OWN_TIMINGS: Option<OwnTimings> = None;

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

    /// Whether runs request tokens. A request that fails has the reason `auth`, whatever its cause.
    fn requests_tokens(&self) -> bool {
        false
    }

    /// Stores what the kind needs of its check. Called once, after the configuration was read.
    fn identify(&mut self, identity: &Identity<'_>) {
        let _ = identity;
    }

    /// The token of the job that the check waits for. No other check may have it.
    fn job_token(&self) -> Option<&SecretSource> {
        None
    }

    /// A short description of the check's secret for `check-config`, with at most its last four characters.
    fn secret_hint(&self) -> Option<String> {
        None
    }
}
