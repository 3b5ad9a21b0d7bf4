//! What a heartbeat check knows about its job: the state, the last beats, and when the next one is due.

use std::time::Duration;

use super::status::words;

words! {
    /// The state of a job that reports with beats.
    JobState {
        /// No beat has arrived yet, and none is overdue.
        New = "new",
        /// The job has started and not finished.
        Running = "running",
        /// The last beat was a success, and the next one is not overdue.
        Up = "up",
        /// The next beat is overdue, but within its grace time.
        Late = "late",
        /// The next beat is overdue by more than its grace time, or the job took too long.
        Down = "down",
        /// The job reported a failure.
        Failed = "failed",
    }
}

words! {
    /// What a beat says.
    BeatKind {
        /// The job started.
        Start = "start",
        /// The job succeeded.
        Success = "success",
        /// The job failed.
        Fail = "fail",
    }
}

/// One beat. Times are Unix times in seconds.
#[derive(Clone, Debug, PartialEq)]
pub struct BeatView {
    /// When it arrived.
    pub at: f64,
    /// What it says.
    pub kind: BeatKind,
    /// The exit status that it reports.
    pub exit_status: Option<u8>,
    /// The id of the run that it belongs to.
    pub run_id: Option<String>,
    /// The time from the start of the run to this beat.
    pub run_time: Option<Duration>,
    /// The text that it carries, without secrets; empty if it has none.
    pub message: String,
}

/// A job at one moment. Times are Unix times in seconds.
#[derive(Clone, Debug, PartialEq)]
pub struct JobView {
    /// The state.
    pub state: JobState,
    /// When the last success arrived.
    pub last_success: Option<f64>,
    /// When the last start arrived.
    pub last_start: Option<f64>,
    /// When the next success is due.
    pub due: Option<f64>,
    /// When the job is down without a success.
    pub deadline: Option<f64>,
    /// How many runs have started and not finished.
    pub open_runs: usize,
    /// The last beats, newest first.
    pub beats: Vec<BeatView>,
}
