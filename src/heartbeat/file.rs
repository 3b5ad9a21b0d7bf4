//! The states of jobs in the state directory, in `heartbeats.json`. The file contains no token.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::away::{Away, AwayTimes};
use super::job::{Beat, Job, MAX_BEATS, MAX_OPEN_RUNS, OpenRun, StoredBeat};
use crate::config::heartbeat::Reference;
use crate::model::{BeatKind, CheckId, CheckName, Moment, ServiceKey, WallAnchor};
use crate::state_dir::{SaveError, SavedFile, StateDir};

/// The file. Texts have at most 16 MB, and JSON at most doubles them: invisible characters are replaced.
const FILE: SavedFile = SavedFile {
    name: "heartbeats.json",
    max_bytes: 64 * 1024 * 1024,
    content: "the saved heartbeats",
    if_lost: "all jobs count as new",
};
const FORMAT: &str = "upkeep_exporter heartbeats";
const VERSION: u32 = 1;

/// The saved jobs.
#[derive(Debug, Default)]
pub struct SavedJobs {
    /// The jobs.
    pub jobs: BTreeMap<CheckId, Job>,
    /// When the exporter was away.
    pub away: AwayTimes,
}

/// All times are Unix times in nanoseconds, all durations in nanoseconds.
#[derive(Serialize, Deserialize)]
struct Document {
    format: String,
    version: u32,
    /// When the exporter was last alive.
    alive: i64,
    away: Vec<[i64; 2]>,
    #[serde(default)]
    skipped: Vec<[i64; 2]>,
    jobs: Vec<JobEntry>,
}

#[derive(Serialize, Deserialize)]
struct JobEntry {
    service: String,
    check: String,
    first_seen: [i64; 2],
    last_success: Option<[i64; 2]>,
    success_run_time: Option<u64>,
    last_start: Option<i64>,
    last_run_time: Option<u64>,
    exit_status: Option<u8>,
    is_failed: bool,
    started_since: Option<i64>,
    open_runs: Vec<RunEntry>,
    beats: Vec<BeatEntry>,
    counts: [u64; BeatKind::ALL.len()],
}

#[derive(Serialize, Deserialize)]
struct RunEntry {
    id: Option<String>,
    started: i64,
}

#[derive(Serialize, Deserialize)]
struct BeatEntry {
    number: u64,
    at: i64,
    kind: String,
    exit_status: Option<u8>,
    run_id: Option<String>,
    run_time: Option<u64>,
    message: String,
}

/// The file.
#[derive(Debug)]
pub struct JobsFile {
    dir: Arc<StateDir>,
}

impl JobsFile {
    /// Reads the file. A missing file has no jobs. Also returns a warning for the operator.
    pub fn open(dir: Arc<StateDir>, wall: WallAnchor, now: Moment) -> (Self, SavedJobs, Option<String>) {
        let (saved, warning) = dir.load(&FILE, |text| decode(text, wall, now));
        (Self { dir }, saved, warning)
    }

    /// Atomically replaces the file.
    ///
    /// # Errors
    /// If a step fails. The old file stays.
    pub fn write(&self, text: &[u8]) -> Result<(), SaveError> {
        self.dir.replace(FILE.name, text)
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Encodes the file.
///
/// # Errors
/// If it can't be encoded as JSON.
pub fn encode<'a>(
    jobs: impl Iterator<Item = (&'a CheckId, &'a Job)>,
    away: &AwayTimes,
    wall: WallAnchor,
) -> Result<Vec<u8>, serde_json::Error> {
    let reference = |reference: Reference| [wall.nanos(reference.at), reference.wall];
    let time = |moment: Moment| wall.nanos(moment);
    let entries = jobs.map(|(id, job)| JobEntry {
        service: id.service.as_str().to_owned(),
        check: id.check.as_str().to_owned(),
        first_seen: reference(job.first_seen),
        last_success: job.last_success.map(reference),
        success_run_time: job.success_run_time.map(nanos),
        last_start: job.last_start.map(time),
        last_run_time: job.last_run_time.map(nanos),
        exit_status: job.exit_status,
        is_failed: job.is_failed,
        started_since: job.started_since.map(time),
        open_runs: job
            .open_runs
            .iter()
            .map(|run| RunEntry {
                id: run.id.clone(),
                started: time(run.started),
            })
            .collect(),
        beats: job
            .beats
            .iter()
            .map(|stored| BeatEntry {
                number: stored.number,
                at: time(stored.at),
                kind: stored.beat.kind.as_str().to_owned(),
                exit_status: stored.beat.exit_status,
                run_id: stored.beat.run_id.clone(),
                run_time: stored.run_time.map(nanos),
                message: stored.message.clone(),
            })
            .collect(),
        counts: job.counts,
    });
    let intervals = |intervals: &[Away]| {
        let times = |away: &Away| [time(away.from), time(away.until)];
        intervals.iter().map(times).collect::<Vec<_>>()
    };
    serde_json::to_vec(&Document {
        format: FORMAT.to_owned(),
        version: VERSION,
        alive: away.alive().map_or(i64::MIN, time),
        away: intervals(away.all()),
        skipped: intervals(away.skipped()),
        jobs: entries.collect(),
    })
}

/// Decodes the file.
///
/// If the wall clock was set back while the exporter did not run, times in the future count as now. Otherwise a job
/// would not be late until the wall clock reaches the old time again.
///
/// # Errors
/// What is wrong with the file.
pub fn decode(text: &[u8], wall: WallAnchor, now: Moment) -> Result<SavedJobs, String> {
    let document: Document = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    if document.format != FORMAT {
        return Err("it is not a file of heartbeats".to_owned());
    }
    if document.version != VERSION {
        return Err(format!("its version is {}, not {VERSION}", document.version));
    }
    let past = |nanos: i64| wall.moment(nanos).min(now);
    let interval = |[from, until]: &[i64; 2]| Away {
        from: past(*from),
        until: past(*until),
    };
    let away = match document.alive {
        i64::MIN => AwayTimes::default(),
        alive => AwayTimes::saved(document.away.iter().map(interval), past(alive))
            .with_skipped(document.skipped.iter().map(interval)),
    };
    let jobs = document.jobs.into_iter().map(|entry| {
        let id = CheckId {
            service: ServiceKey::new(entry.service.as_str()),
            check: CheckName::new(entry.check.as_str()),
        };
        Ok((id, decode_job(entry, wall, now)?))
    });
    Ok(SavedJobs {
        jobs: jobs.collect::<Result<_, String>>()?,
        away,
    })
}

fn decode_job(entry: JobEntry, wall: WallAnchor, now: Moment) -> Result<Job, String> {
    let past = |nanos: i64| wall.moment(nanos).min(now);
    let reference = |[at, recorded]: [i64; 2]| Reference {
        at: past(at),
        wall: recorded,
    };
    let mut open_runs: Vec<OpenRun> = entry
        .open_runs
        .into_iter()
        .map(|run| OpenRun {
            id: run.id,
            started: past(run.started),
        })
        .collect();
    open_runs.truncate(MAX_OPEN_RUNS);
    let beats = entry.beats.into_iter().map(|beat| {
        let kind = BeatKind::from_word(&beat.kind).ok_or_else(|| "a beat has an unknown kind".to_owned())?;
        Ok(StoredBeat {
            number: beat.number,
            at: past(beat.at),
            beat: Beat {
                kind,
                exit_status: beat.exit_status,
                run_id: beat.run_id,
            },
            run_time: beat.run_time.map(Duration::from_nanos),
            message: beat.message,
        })
    });
    Ok(Job {
        first_seen: reference(entry.first_seen),
        last_success: entry.last_success.map(reference),
        success_run_time: entry.success_run_time.map(Duration::from_nanos),
        last_start: entry.last_start.map(past),
        last_run_time: entry.last_run_time.map(Duration::from_nanos),
        exit_status: entry.exit_status,
        is_failed: entry.is_failed,
        started_since: entry.started_since.map(past),
        open_runs,
        beats: beats.take(MAX_BEATS).collect::<Result<_, String>>()?,
        counts: entry.counts,
    })
}
