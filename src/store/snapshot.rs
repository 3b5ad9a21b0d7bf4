//! Snapshots: immutable copies of the state.

use std::sync::Arc;

use super::heal_state::{HealBudget, HealState};
use crate::config::{CheckSettings, ConfigFile, Service};
use crate::model::{Catalog, Condition, Maintenance, Outcome, Past, Problem, ServiceKey, Status};

/// The state at one moment. Wall-clock values are Unix times in seconds.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The time of the snapshot.
    pub taken: f64,
    /// The services, in the order of the configuration.
    pub services: Vec<ServiceView>,
    /// The state of the scheduler and the store.
    pub exporter: ExporterView,
}

/// A service at the time of the snapshot.
#[derive(Clone, Debug)]
pub struct ServiceView {
    /// Its settings.
    pub service: Arc<Service>,
    /// Its status.
    pub status: Status,
    /// Since when the service has its status. `None` before the first status.
    pub status_since: Option<f64>,
    /// The since-times of the conditions, in the order of `Condition::ALL`; 0 if a condition does not hold. `None` before the first
    /// status.
    pub conditions: Option<[f64; Condition::ALL.len()]>,
    /// Whether each condition is confirmed, in the same order: runs show that it lasted, so its alert may fire. `None` before the
    /// first status.
    pub confirmed: Option<[bool; Condition::ALL.len()]>,
    /// Whether a service that it depends on, directly or not, is down. Then no condition becomes confirmed.
    pub is_impacted: bool,
    /// The services that cause the impact: they are down, and no service that they depend on is. In the order of the configuration, at
    /// most [`super::MAX_ROOTS`].
    pub roots: Vec<ServiceKey>,
    /// The maintenance window that holds. Then no condition becomes confirmed.
    pub maintenance: Option<Arc<Maintenance>>,
    /// Its healing. `None` if its mode is off. The store does not know it; see [`HealState`].
    pub heal: Option<HealState>,
    /// Its past. `None` if it is not recorded. The store does not know it.
    pub past: Option<Arc<Past>>,
    /// The number of status changes since the exporter started.
    pub status_changes: u64,
    /// Since when they are counted.
    pub counts_since: f64,
    /// Its checks, in the order of the configuration.
    pub checks: Vec<CheckView>,
}

/// A check at the time of the snapshot.
#[derive(Clone, Debug)]
pub struct CheckView {
    /// Its settings.
    pub settings: Arc<CheckSettings>,
    /// `settings.kind.target()`, computed once.
    pub target: Arc<str>,
    /// Its status.
    pub status: Status,
    /// Since when its runs imply the status, even if the last one is stale. `None` before the first run.
    pub status_since: Option<f64>,
    /// Why it is degraded or down. `None` while it is up or unknown. Until a recovery is confirmed, the problem stays although the
    /// last run succeeded.
    pub problem: Option<Arc<Problem>>,
    /// Completed runs since the exporter started.
    pub runs: u64,
    /// Failed runs.
    pub failures: u64,
    /// Runs skipped because the previous run was still in progress.
    pub missed_runs: u64,
    /// Failed runs in a row, up to now.
    pub consecutive_failures: u64,
    /// Runs without a result because the exporter lacked a resource.
    pub inconclusive_runs: u64,
    /// Inconclusive runs in a row, up to now.
    pub consecutive_inconclusive_runs: u64,
    /// Why the last run was inconclusive. `None` if it was conclusive.
    pub shortage: Option<Arc<Problem>>,
    /// The last conclusive run since the exporter started, with these settings. `None` before the first one.
    pub last_run: Option<LastRun>,
    /// The last catalog that a run since the exporter started reported, with these settings. It stays when later runs fail, so it may be
    /// older than `last_run`: [`Catalog::fetched`] is its time.
    pub catalog: Option<Arc<Catalog>>,
    /// When the last run ended. Runs of an earlier process or with earlier settings count too.
    pub last_ended: Option<f64>,
    /// When the last successful run ended. Runs of an earlier process or with earlier settings count too.
    pub last_success: Option<f64>,
    /// Since when the runs are counted.
    pub counts_since: f64,
    /// Response times. Only for timed kinds.
    pub response_times: Option<HistogramView>,
}

impl ServiceView {
    /// Since when all of its units, containers and processes run: the last of their starts. `None` while the service is down or
    /// unknown, and if it has none of them.
    pub fn running_since(&self) -> Option<f64> {
        let is_running = matches!(self.status, Status::Up | Status::Degraded);
        let starts = self.checks.iter().filter_map(CheckView::running_since);
        starts.filter(|_| is_running).max_by(f64::total_cmp)
    }
}

impl CheckView {
    /// Since when its unit, container or process runs, according to the last run. `None` if it does not run or is not known, and for
    /// other targets.
    pub fn running_since(&self) -> Option<f64> {
        let run = self.last_run.as_ref().filter(|_| self.status != Status::Unknown);
        run.and_then(|run| run.outcome.running_since)
    }
}

/// The last run of a check.
#[derive(Clone, Debug)]
pub struct LastRun {
    /// When the run ended.
    pub ended: f64,
    /// The outcome.
    pub outcome: Arc<Outcome>,
}

/// A histogram with counts by bucket, not cumulative.
#[derive(Clone, Debug, PartialEq)]
pub struct HistogramView {
    /// The upper bounds of the buckets in seconds, in ascending order, without infinity.
    pub bounds: &'static [f64],
    /// One count per bound, and one for values above all bounds.
    pub counts: Vec<u64>,
    /// The sum of the observed values in seconds.
    pub sum: f64,
    /// Since when values are counted.
    pub start: f64,
    /// The native buckets of the same values, if they are enabled.
    pub native: Option<NativeView>,
}

/// The native buckets of a histogram.
#[derive(Clone, Debug, PartialEq)]
pub struct NativeView {
    /// The resolution: the bucket `i` ends at 2^(i / 2^schema), inclusive.
    pub schema: i32,
    /// Values up to this one are zeros.
    pub zero_threshold: f64,
    /// The number of zeros.
    pub zeros: u64,
    /// Index and count of each bucket with observations, sorted by index.
    pub buckets: Vec<(i32, u64)>,
}

impl HistogramView {
    /// The number of observed values.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// The scheduler and the store at the time of the snapshot.
#[derive(Clone, Debug)]
pub struct ExporterView {
    /// Whether the last attempt to load the configuration succeeded.
    pub last_reload_successful: bool,
    /// When it last succeeded.
    pub last_reload_success: f64,
    /// The configuration files at that attempt, by name.
    pub config_files: Arc<[ConfigFile]>,
    /// When the exporter started.
    pub started: f64,
    /// The delay from the planned to the actual start of runs.
    pub scheduler_lag: HistogramView,
    /// Runs in progress.
    pub runs_in_flight: u64,
    /// Whether every check has run at least once. Stays true if checks are added later.
    pub is_first_round_over: bool,
    /// Whether the last save of the state file succeeded. `None` without a state directory.
    pub state_saved: Option<bool>,
    /// Whether the last save of the history succeeded. `None` without a state directory. The store does not know it.
    pub history_saved: Option<bool>,
    /// The heal budget of all services. `None` if the mode of all services is off. The store does not know it.
    pub heal_budget: Option<HealBudget>,
}
