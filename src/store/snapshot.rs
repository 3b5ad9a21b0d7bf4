//! What is known at one moment: immutable, and complete in itself.

use std::sync::Arc;
use std::time::Duration;

use crate::config::{CheckSettings, Service};
use crate::model::{Outcome, Problem, Status};

/// Everything that is known at one moment. Wall-clock values are Unix times in seconds.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// When it was taken.
    pub taken: f64,
    /// The services, in the order of the configuration.
    pub services: Vec<ServiceView>,
    /// The exporter itself.
    pub exporter: ExporterView,
}

/// A service at the moment of a snapshot.
#[derive(Clone, Debug)]
pub struct ServiceView {
    /// Its settings.
    pub service: Arc<Service>,
    /// Its status.
    pub status: Status,
    /// Since when the status is what it is; `None` before the first verdict.
    pub status_since: Option<f64>,
    /// The since-times of the conditions, in the order of `Condition::ALL`, 0 when clear; `None` before the first verdict.
    pub conditions: Option<[f64; 3]>,
    /// Whether each condition is confirmed, in the same order: there is evidence that it lasted, so its alert may fire.
    /// `None` before the first verdict.
    pub confirmed: Option<[bool; 3]>,
    /// How often the status changed since the exporter started.
    pub status_changes: u64,
    /// Its checks, in the order of the configuration.
    pub checks: Vec<CheckView>,
}

/// A check at the moment of a snapshot.
#[derive(Clone, Debug)]
pub struct CheckView {
    /// Its settings.
    pub settings: Arc<CheckSettings>,
    /// `settings.kind.target()`, made once.
    pub target: Arc<str>,
    /// Its status.
    pub status: Status,
    /// Since when its runs say so, however old the last one is; `None` before the first one.
    pub status_since: Option<f64>,
    /// What keeps it from being up; `None` while it is up or unknown. While a recovery is being confirmed, this is the
    /// problem it recovers from, though the last run succeeded.
    pub problem: Option<Arc<Problem>>,
    /// Runs that ended since the exporter started.
    pub runs: u64,
    /// Those of them that failed.
    pub failures: u64,
    /// Ticks that found the run before them still under way.
    pub missed_runs: u64,
    /// Failures in a row, up to now.
    pub consecutive_failures: u64,
    /// Runs that the exporter's own lack of something spoilt.
    pub inconclusive_runs: u64,
    /// Inconclusive runs in a row, up to now.
    pub consecutive_inconclusive_runs: u64,
    /// What the exporter lacked in the last run; `None` where that run was conclusive.
    pub shortage: Option<Arc<Problem>>,
    /// The last conclusive run since the exporter started and with these settings; `None` before it ended.
    pub last_run: Option<LastRun>,
    /// When the last run ended, as far as known: that of an earlier process or with earlier settings counts too.
    pub last_ended: Option<f64>,
    /// When the last successful run ended, likewise.
    pub last_success: Option<f64>,
    /// Response times; only for timed kinds.
    pub response_times: Option<HistogramView>,
}

/// The last run of a check.
#[derive(Clone, Debug)]
pub struct LastRun {
    /// When it ended.
    pub ended: f64,
    /// What came of it.
    pub outcome: Arc<Outcome>,
}

/// A histogram: counts by bucket (not cumulative), the last one for values beyond every bound.
#[derive(Clone, Debug, PartialEq)]
pub struct HistogramView {
    /// Upper bounds of the buckets in seconds, rising, without infinity.
    pub bounds: &'static [f64],
    /// One count a bound and one more.
    pub counts: Vec<u64>,
    /// Sum of the observed values in seconds.
    pub sum: f64,
}

impl HistogramView {
    /// How many values were observed.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// The exporter itself at the moment of a snapshot.
#[derive(Clone, Debug)]
pub struct ExporterView {
    /// Whether the last attempt to load the configuration succeeded.
    pub last_reload_successful: bool,
    /// When it last succeeded.
    pub last_reload_success: f64,
    /// From the planned to the actual start of runs.
    pub scheduler_lag: HistogramView,
    /// Runs under way.
    pub runs_in_flight: u64,
    /// Whether every check has run at least once; stays true when checks are added later.
    pub is_first_round_over: bool,
    /// Whether the last attempt to save the lasting state succeeded; `None` where it is kept in memory only.
    pub state_saved: Option<bool>,
}

impl ServiceView {
    /// How long the service has had its status at `taken`.
    pub fn status_age(&self, taken: f64) -> Option<Duration> {
        self.status_since
            .and_then(|since| Duration::try_from_secs_f64(taken - since).ok())
    }
}
