//! The data that `/metrics` shows: the snapshot of the store, and the state of the parts that the store does not know.

use std::time::Duration;

use super::own_process::OwnProcess;
use crate::store::Snapshot;

/// Everything that one scrape shows, except the exporter's own process.
#[derive(Clone, Debug)]
pub struct Input {
    /// The results of the checks.
    pub snapshot: Snapshot,
    /// The state of the other parts.
    pub views: Views,
}

impl From<Snapshot> for Input {
    fn from(snapshot: Snapshot) -> Self {
        Self {
            snapshot,
            views: Views::default(),
        }
    }
}

/// Everything that one scrape shows.
#[derive(Debug)]
pub(super) struct ScrapeData {
    /// The results of the checks.
    pub snapshot: Snapshot,
    /// The state of the other parts.
    pub views: Views,
    /// The exporter's own process; `None` if /proc can't be read.
    pub process: Option<OwnProcess>,
}

/// The state of the parts of the exporter that the store does not know. A part that is `None` has no series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Views {
    /// How long checks could not run since the exporter started, because it was frozen, throttled or short of CPU time.
    pub lost: Duration,
    /// Probes. `None` without modules.
    pub probes: Option<ProbeView>,
    /// The web configuration. `None` without one.
    pub web: Option<WebView>,
    /// Rejected beats of jobs, by reason. `None` without jobs that report.
    pub refused_beats: Option<Vec<(&'static str, u64)>>,
    /// The status file. `None` without one.
    pub status_file: Option<StatusFileView>,
}

/// The writes of the status file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StatusFileView {
    /// Whether the last write succeeded; true before the first one.
    pub is_written: bool,
    /// Unix time of the last successful write in seconds; 0 before the first one.
    pub last_written: f64,
}

/// The web configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebView {
    /// Whether the last attempt to load it succeeded.
    pub last_reload_successful: bool,
    /// Requests that were rejected since the exporter started, by reason.
    pub refused: Vec<(&'static str, u64)>,
}

/// Probes since the exporter started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProbeView {
    /// All probes.
    pub runs: u64,
    /// Probes that failed.
    pub failures: u64,
    /// Probes without a result because the exporter lacked a resource.
    pub inconclusive: u64,
    /// Probes in progress.
    pub in_flight: u64,
    /// Rejected requests and blocked connections, by reason.
    pub refused: Vec<(&'static str, u64)>,
}
