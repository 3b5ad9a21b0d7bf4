//! The state of one job: what its beats said so far. Pure.

use std::collections::VecDeque;
use std::time::Duration;

use crate::config::heartbeat::Reference;
use crate::model::{BeatKind, Moment};

/// The number of stored beats. They show how the last runs went.
pub const MAX_BEATS: usize = 5;

/// The maximum number of runs that have started and not finished. Then the oldest one is forgotten.
pub const MAX_OPEN_RUNS: usize = 16;

/// How soon after the end of its run a start is late: the job gave up waiting for the response, and sent the end. An exporter that hung
/// meanwhile receives both at once, in any order.
pub const LATE_START: Duration = Duration::from_secs(10);

/// How long a job repeats the end of a run whose response was lost.
pub const REPEATS: Duration = Duration::from_secs(600);

/// A beat as it arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beat {
    /// What it says.
    pub kind: BeatKind,
    /// The exit status that it reports.
    pub exit_status: Option<u8>,
    /// The id of the run that it belongs to.
    pub run_id: Option<String>,
}

/// A run that has started and not finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenRun {
    /// Its id.
    pub id: Option<String>,
    /// When it started.
    pub started: Moment,
}

/// A stored beat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBeat {
    /// Its number, unique in the job.
    pub number: u64,
    /// When it arrived.
    pub at: Moment,
    /// The beat.
    pub beat: Beat,
    /// The time since the start of its run, for a beat that ends a run.
    pub run_time: Option<Duration>,
    /// Its text, without secrets.
    pub message: String,
}

/// The state of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// When the exporter first saw the job.
    pub first_seen: Reference,
    /// The last success.
    pub last_success: Option<Reference>,
    /// The run time of the last success, if its run had a start.
    pub success_run_time: Option<Duration>,
    /// The last start.
    pub last_start: Option<Moment>,
    /// The run time of the last run that finished.
    pub last_run_time: Option<Duration>,
    /// The last exit status.
    pub exit_status: Option<u8>,
    /// Whether the last result is a failure.
    pub is_failed: bool,
    /// The first start since the last success. Later starts do not extend the time that the job has.
    pub started_since: Option<Moment>,
    /// The runs that have started and not finished, in the order of their starts.
    pub open_runs: Vec<OpenRun>,
    /// The last beats, in their order.
    pub beats: VecDeque<StoredBeat>,
    /// How many beats arrived, in the order of [`BeatKind::ALL`].
    pub counts: [u64; BeatKind::ALL.len()],
}

impl Job {
    /// A job that the exporter sees for the first time.
    pub fn new(first_seen: Reference) -> Self {
        Self {
            first_seen,
            last_success: None,
            success_run_time: None,
            last_start: None,
            last_run_time: None,
            exit_status: None,
            is_failed: false,
            started_since: None,
            open_runs: Vec::new(),
            beats: VecDeque::new(),
            counts: [0; BeatKind::ALL.len()],
        }
    }

    /// The moment from which the next success is expected.
    pub fn reference(&self) -> Reference {
        self.last_success.unwrap_or(self.first_seen)
    }

    /// Records a beat that arrives at `now`. `limit` is how long a run may take. Returns the number of the beat.
    pub fn record(&mut self, beat: Beat, now: Reference, limit: Duration) -> u64 {
        let run_time = match beat.kind {
            BeatKind::Start if self.is_late_start(&beat, now.at) => None,
            BeatKind::Start => {
                self.start_run(beat.run_id.clone(), now.at);
                None
            }
            BeatKind::Success | BeatKind::Fail => self.finish_run(&beat, now, limit),
        };
        if let Some(count) = self.counts.get_mut(beat.kind as usize) {
            *count += 1;
        }
        let number = self.beats.back().map_or(1, |last| last.number.saturating_add(1));
        if self.beats.len() >= MAX_BEATS {
            self.beats.pop_front();
        }
        self.beats.push_back(StoredBeat {
            number,
            at: now.at,
            beat,
            run_time,
            message: String::new(),
        });
        number
    }

    fn start_run(&mut self, id: Option<String>, now: Moment) {
        // A run without an id replaces the one before it, which must have ended silently.
        self.open_runs.retain(|run| run.id != id);
        if self.open_runs.len() >= MAX_OPEN_RUNS {
            self.open_runs.remove(0);
        }
        self.open_runs.push(OpenRun { id, started: now });
        self.last_start = Some(now);
        self.started_since.get_or_insert(now);
    }

    /// The last stored beat of the run of this one, if the run has an id.
    fn last_of_run(&self, beat: &Beat) -> Option<&StoredBeat> {
        beat.run_id.as_ref()?;
        self.beats
            .iter()
            .rev()
            .find(|stored| stored.beat.run_id == beat.run_id)
    }

    /// Whether the run has just ended without a start, so that nothing would end it again.
    fn is_late_start(&self, start: &Beat, now: Moment) -> bool {
        self.last_of_run(start).is_some_and(|end| {
            end.beat.kind != BeatKind::Start && end.run_time.is_none() && now.since(end.at) < LATE_START
        })
    }

    /// The run time of an end that arrives again.
    fn repeated_run_time(&self, end: &Beat, now: Moment) -> Option<Duration> {
        let first = self.last_of_run(end)?;
        (first.beat.kind == end.kind && now.since(first.at) < REPEATS)
            .then_some(first.run_time)
            .flatten()
    }

    /// Ends the run of a beat. Returns how long it took.
    fn finish_run(&mut self, beat: &Beat, now: Reference, limit: Duration) -> Option<Duration> {
        let position = self.open_runs.iter().position(|run| run.id == beat.run_id);
        let run_time = match position {
            Some(at) => Some(now.at.since(self.open_runs.remove(at).started)),
            None => self.repeated_run_time(beat, now.at),
        };
        self.last_run_time = run_time.or(self.last_run_time);
        self.is_failed = beat.kind == BeatKind::Fail;
        self.exit_status = beat.exit_status;
        if beat.kind == BeatKind::Success {
            self.last_success = Some(now);
            self.success_run_time = run_time;
            // Runs that took too long have ended silently. They were reported until this success.
            self.open_runs.retain(|run| now.at.since(run.started) < limit);
            self.started_since = self.open_runs.first().map(|run| run.started);
        }
        run_time
    }

    /// Sets the text of a stored beat. Does nothing if newer beats have replaced it.
    pub fn set_message(&mut self, number: u64, message: String) -> bool {
        let stored = self.beats.iter_mut().find(|stored| stored.number == number);
        match stored {
            Some(stored) => {
                stored.message = message;
                true
            }
            None => false,
        }
    }
}
