//! Facts about a kind of check, implemented by its settings.

use std::time::Duration;

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

    /// A short description of the check's secret for `check-config`, with at most its last four characters.
    fn secret_hint(&self) -> Option<String> {
        None
    }
}
