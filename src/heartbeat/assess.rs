//! What the state of a job means at a moment. Pure.

use std::time::Duration;

use super::away::{Away, AwayTimes};
use super::job::Job;
use crate::config::duration::DurationText;
use crate::config::heartbeat::{HeartbeatSettings, JobSchedule};
use crate::model::{BeatKind, JobState, Moment, Reason, WallAnchor};

/// How many times the exporter may be away and a success be missing because of that, until the job is down without one. Otherwise an
/// exporter that is often away would never report a job that has stopped.
const MAX_EXCUSES: usize = 3;

/// The longest part of a message that the problem of a failed job quotes, in bytes.
const MAX_QUOTED: usize = 200;

/// What is wrong with a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Up,
    /// It is degraded: the reason and the message.
    Degraded(Reason, String),
    /// It is down: the reason and the message.
    Down(Reason, String),
}

/// A job at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assessment {
    /// The state.
    pub state: JobState,
    /// What is wrong.
    pub verdict: Verdict,
    /// When the next success is due. `None` if the schedule has no more times.
    pub due: Option<Moment>,
    /// When the job is down without a success.
    pub deadline: Option<Moment>,
    /// When the assessment changes without a beat.
    pub next_change: Option<Moment>,
}

/// The rules for a job.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// When a success is due.
    pub schedule: JobSchedule,
    /// How much later it may arrive.
    pub grace: Duration,
    /// The run time from which the job is degraded.
    pub degraded: Option<Duration>,
    /// The run time from which the job is down.
    pub down: Option<Duration>,
}

impl Rules {
    /// The rules of a check.
    pub fn new(settings: &HeartbeatSettings) -> Self {
        Self {
            schedule: settings.schedule.clone(),
            grace: settings.grace,
            degraded: settings.degraded,
            down: settings.down,
        }
    }

    /// How long a run may take.
    pub fn run_limit(&self) -> Duration {
        self.down.unwrap_or(self.grace)
    }
}

/// When a success is expected.
#[derive(Clone, Copy, Debug)]
struct Expected {
    due: Moment,
    /// From when on the job is late.
    late: Moment,
    /// From when on it is down.
    deadline: Moment,
    /// Whether a success may have been lost while the exporter was away.
    is_excused: bool,
}

/// One moment, and what is known at it.
#[derive(Clone, Copy, Debug)]
pub struct Now<'a> {
    /// The moment.
    pub at: Moment,
    /// The wall clock.
    pub wall: WallAnchor,
    /// When the exporter was away.
    pub away: &'a AwayTimes,
}

/// Assesses a job.
pub fn assess(job: &Job, rules: &Rules, now: Now<'_>) -> Assessment {
    let expected = expect(job, rules, now);
    let verdict = judge(job, rules, expected.as_ref(), now);
    let is_late = expected.is_some_and(|expected| now.at >= expected.late);
    let state = match &verdict {
        _ if job.is_failed => JobState::Failed,
        Verdict::Down(..) => JobState::Down,
        _ if is_late => JobState::Late,
        _ if !job.open_runs.is_empty() => JobState::Running,
        _ if job.beats.is_empty() && job.last_success.is_none() => JobState::New,
        _ => JobState::Up,
    };
    Assessment {
        state,
        verdict,
        due: expected.map(|expected| expected.due),
        deadline: expected.map(|expected| expected.deadline),
        next_change: changes(job, rules, expected.as_ref())
            .filter(|change| *change > now.at)
            .min(),
    }
}

/// When the assessment may change without a beat.
fn changes(job: &Job, rules: &Rules, expected: Option<&Expected>) -> impl Iterator<Item = Moment> {
    let of_schedule = expected.map(|expected| [expected.late, expected.deadline]);
    let of_runs = job.open_runs.iter().flat_map(move |run| {
        let started = run.started;
        [rules.degraded, rules.down].map(|limit| limit.map(|limit| started + limit))
    });
    let of_runs = of_runs.flatten();
    of_schedule.into_iter().flatten().chain(of_runs)
}

/// When the next success is expected.
fn expect(job: &Job, rules: &Rules, now: Now<'_>) -> Option<Expected> {
    let (reference, grace) = (job.reference(), rules.grace);
    let next_due = |after| rules.schedule.next_due(reference, after, now.wall);
    let first = next_due(reference.at)?;
    // The due times of `every` do not depend on the wall clock.
    let skipped: &[Away] = match rules.schedule {
        JobSchedule::Every(_) => &[],
        JobSchedule::Cron { .. } => now.away.skipped(),
    };
    let skipped = skipped.iter().copied().filter(|away| away.until > reference.at);
    let away: Vec<Away> = now.away.after(reference.at).chain(skipped).collect();
    let (mut due, mut late) = (first, first);
    // A success that is due again after the exporter was back can't be lost in the same time. So each excuse counts once. Times that hide
    // no success are no excuses, and do not use them up.
    let started = job.started_since.filter(|_| !job.open_runs.is_empty());
    let run = started.map(|started| [started, started + rules.run_limit()]);
    for _ in 0..MAX_EXCUSES {
        // The success of a run in progress may come at any time of the run.
        let of_run = run.filter(|_| due == first);
        let Some(until) = hidden_until(&away, due, grace, of_run) else {
            break;
        };
        late = late.max(until + grace);
        due = next_due(due.max(until + grace))?;
    }
    let mut expected = Expected {
        due: first,
        late,
        deadline: due + grace,
        is_excused: due > first,
    };
    if let Some([_, end]) = run {
        // A job that runs is not late. It is down if it does not finish in time, or late if its success may be lost.
        let usual = (first + grace).max(end);
        expected.deadline = expected.deadline.max(end);
        expected.late = match expected.is_excused {
            true => expected.late.max(usual),
            false => expected.deadline,
        };
    }
    Some(expected)
}

/// When the exporter was back after the last time that may hide a success that was due at `due`, or the success of a run between two moments.
fn hidden_until(away: &[Away], due: Moment, grace: Duration, run: Option<[Moment; 2]>) -> Option<Moment> {
    let hiding = away.iter().filter(|away| {
        let hides_run = run.is_some_and(|[start, end]| away.from <= end && away.until >= start);
        hides_run || away.may_hide(due, grace)
    });
    hiding.map(|away| away.until).max()
}

/// What is wrong with the job.
fn judge(job: &Job, rules: &Rules, expected: Option<&Expected>, now: Now<'_>) -> Verdict {
    if job.is_failed {
        return Verdict::Down(Reason::Status, failure(job));
    }
    let overdue = expected.map_or(Verdict::Up, |expected| judge_schedule(job, rules, expected, now));
    let run = judge_runs(job, rules, now);
    match (overdue, run) {
        (down @ Verdict::Down(..), _) | (_, down @ Verdict::Down(..)) => down,
        (degraded @ Verdict::Degraded(..), _) | (_, degraded) => degraded,
    }
}

/// Whether a success is overdue.
fn judge_schedule(job: &Job, rules: &Rules, expected: &Expected, now: Now<'_>) -> Verdict {
    if now.at < expected.late {
        return Verdict::Up;
    }
    let since = || DurationText(whole_seconds(now.at.since(expected.due)));
    let what = match (&job.last_success, job.open_runs.first()) {
        (_, Some(run)) => {
            let age = DurationText(whole_seconds(now.at.since(run.started)));
            format!("the job started {age} ago and has not reported a result")
        }
        (Some(_), None) => format!("no success from the job, which was due {} ago", since()),
        (None, None) => format!(
            "the job has never reported a success, which was due {} ago",
            since()
        ),
    };
    let grace = DurationText(rules.grace);
    match now.at < expected.deadline {
        false => Verdict::Down(Reason::Timeout, format!("{what} (grace {grace})")),
        true if expected.is_excused => Verdict::Degraded(
            Reason::Timeout,
            format!(
                "{what}; it may have come while the exporter did not run, so the job is not down until it misses the next one"
            ),
        ),
        true => Verdict::Degraded(Reason::Timeout, format!("{what} (grace {grace})")),
    }
}

/// Whether a run takes too long, or the last one did.
fn judge_runs(job: &Job, rules: &Rules, now: Now<'_>) -> Verdict {
    // The oldest one last: of several equal verdicts, its message is shown.
    let open = job
        .open_runs
        .iter()
        .rev()
        .map(|run| (now.at.since(run.started), Some(run.started)));
    let finished = job.success_run_time.map(|time| (time, None));
    let verdicts = open.chain(finished).map(|(time, started)| {
        let message = |name: &str, limit: Duration| {
            let (time, limit) = (DurationText(whole_seconds(time)), DurationText(limit));
            match started {
                Some(_) => format!("the job has run for {time}, thresholds.{name} is {limit}"),
                None => format!("the job took {time}, thresholds.{name} is {limit}"),
            }
        };
        // The end of a run may have been lost while the exporter was away.
        let is_certain = started.is_none_or(|started| now.away.after(started).next().is_none());
        match (rules.down, rules.degraded) {
            (Some(limit), _) if time >= limit && is_certain => {
                Verdict::Down(Reason::Slow, message("down", limit))
            }
            (Some(limit), _) if time >= limit => Verdict::Degraded(Reason::Slow, message("down", limit)),
            (_, Some(limit)) if time >= limit => Verdict::Degraded(Reason::Slow, message("degraded", limit)),
            _ => Verdict::Up,
        }
    });
    verdicts
        .max_by_key(|verdict| match verdict {
            Verdict::Up => 0,
            Verdict::Degraded(..) => 1,
            Verdict::Down(..) => 2,
        })
        .unwrap_or(Verdict::Up)
}

/// Describes the last failure. Its last line says the most.
fn failure(job: &Job) -> String {
    let what = match job.exit_status {
        Some(status) => format!("the job failed with exit status {status}"),
        None => "the job reported a failure".to_owned(),
    };
    let last = job
        .beats
        .iter()
        .rev()
        .find(|stored| stored.beat.kind == BeatKind::Fail);
    let line = last.and_then(|stored| stored.message.lines().rev().find(|line| !line.trim().is_empty()));
    match line {
        Some(line) => {
            let mut line = line.trim().to_owned();
            crate::model::ellipsize(&mut line, MAX_QUOTED);
            format!("{what}: {line}")
        }
        None => what,
    }
}

/// Without the fraction of a second, from a second on.
fn whole_seconds(time: Duration) -> Duration {
    match time.as_secs() {
        0 => Duration::from_millis(u64::from(time.subsec_millis())),
        seconds => Duration::from_secs(seconds),
    }
}
