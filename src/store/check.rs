//! What the store keeps of one check.

use std::sync::Arc;
use std::time::Duration;

use super::histogram::ResponseTimes;
use super::recent::Recent;
use super::saved::SavedCheck;
use super::snapshot::{CheckView, LastRun};
use super::walltime::WallAnchor;
use crate::config::CheckSettings;
use crate::model::{Conclusion, Moment, Outcome, Problem, Status};
use crate::verdict::{Counts, Judgement, Rules, Run, judge};

/// How long after the log told a check's problem another one of the same status is not told.
const PROBLEM_LOG_GAP: Duration = Duration::from_secs(60);

/// Names one check with one version of its settings for as long as the exporter lives. Runs are recorded under it, so a
/// run that outlives its check, or the settings it was made with, is recognized.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CheckHandle(pub(super) u64);

/// One check's state.
#[derive(Debug)]
pub struct CheckState {
    pub handle: CheckHandle,
    pub settings: Arc<CheckSettings>,
    pub kept: SavedCheck,
    pub recent: Recent,
    target: Arc<str>,
    rules: Rules,
    runs: u64,
    failures: u64,
    missed_runs: u64,
    consecutive_failures: u64,
    inconclusive_runs: u64,
    consecutive_inconclusive_runs: u64,
    /// Why the last run was inconclusive; `None` where it was not.
    shortage: Option<Arc<Problem>>,
    last_run: Option<(Moment, Arc<Outcome>)>,
    response_times: Option<ResponseTimes>,
    problem_logged: Option<Moment>,
    /// The problem that the log told last, or that an earlier process kept.
    problem_told: Option<Arc<Problem>>,
}

/// What recording a run changed.
#[derive(Debug)]
pub struct Recorded {
    pub judgement: Judgement,
    /// What lasts beyond a restart is not what it was.
    pub verdict_changed: bool,
    /// No run before it is known.
    pub is_first: bool,
    /// The status the runs amount to is not what it was; its new since-time.
    pub status_since: Option<Moment>,
    /// The problem is another one than the log told last.
    pub problem_is_news: bool,
}

impl CheckState {
    /// A check that has not run; `kept` is what is known of it from before.
    pub fn new(handle: CheckHandle, settings: Arc<CheckSettings>, kept: SavedCheck) -> Self {
        Self {
            problem_told: kept.problem.clone(),
            handle,
            target: settings.kind.target().into(),
            rules: rules(&settings),
            response_times: settings.kind.kind().is_timed().then(ResponseTimes::default),
            settings,
            kept,
            recent: Recent::default(),
            runs: 0,
            failures: 0,
            missed_runs: 0,
            consecutive_failures: 0,
            inconclusive_runs: 0,
            consecutive_inconclusive_runs: 0,
            shortage: None,
            last_run: None,
            problem_logged: None,
        }
    }

    /// The same check with other settings: the status and the counters stay, what was measured goes, and the next run
    /// decides at once.
    pub fn with_settings(
        mut self,
        handle: CheckHandle,
        settings: Arc<CheckSettings>,
        fingerprint: u64,
    ) -> Self {
        self.kept.verdict.let_next_run_decide();
        self.kept.verdict.forget_evidence();
        self.kept.fingerprint = fingerprint;
        let is_same_kind = self.settings.kind.kind() == settings.kind.kind();
        let fresh = Self::new(handle, settings, self.kept);
        Self {
            runs: self.runs,
            failures: self.failures,
            missed_runs: self.missed_runs,
            consecutive_failures: self.consecutive_failures,
            inconclusive_runs: self.inconclusive_runs,
            consecutive_inconclusive_runs: self.consecutive_inconclusive_runs,
            response_times: if is_same_kind {
                self.response_times
            } else {
                fresh.response_times
            },
            ..fresh
        }
    }

    /// Makes a result from before a restart that is too old at `now` count as such: the next run decides at once.
    pub fn begin(&mut self, now: Moment) {
        let stale_after = self.settings.stale_after();
        if self
            .kept
            .last_ended
            .is_some_and(|ended| now.since(ended) > stale_after)
        {
            self.kept.verdict.let_next_run_decide();
        }
    }

    /// Takes one run into account; `None` where it was inconclusive, and so changed nothing but counts.
    pub fn record(&mut self, run: Run, outcome: Arc<Outcome>, missed: u64) -> Option<Recorded> {
        self.runs += 1;
        self.missed_runs += missed;
        if let Conclusion::Inconclusive(problem) = &outcome.conclusion {
            self.inconclusive_runs += 1;
            self.consecutive_inconclusive_runs += 1;
            self.shortage = Some(Arc::new(problem.clone()));
        }
        let judgement = judge(&outcome, &self.rules)?;
        self.shortage = None;
        self.consecutive_inconclusive_runs = 0;
        let before = self.kept.verdict;
        self.kept
            .verdict
            .record(&judgement, run, self.kept.last_ended, &self.rules);
        if matches!(outcome.conclusion, Conclusion::Failure(_)) {
            self.failures += 1;
            self.consecutive_failures += 1;
        } else {
            self.consecutive_failures = 0;
            self.kept.last_success = Some(run.ended);
        }
        if let (Some(times), Some(time)) = (&mut self.response_times, outcome.response_time) {
            times.observe(time);
        }
        self.kept.last_ended = Some(run.ended);
        let problem_is_news = self.take_problem(judgement.problem.as_ref(), run.ended);
        let problem = judgement.problem.as_ref().and(self.kept.problem.clone());
        self.recent.record(run.ended, &outcome, &judgement, problem);
        self.last_run = Some((run.ended, outcome));
        let after = self.kept.verdict;
        Some(Recorded {
            verdict_changed: after.differs(&before),
            is_first: before.grade.grade.is_none(),
            status_since: (before.grade.grade != after.grade.grade).then_some(after.grade.since),
            problem_is_news,
            judgement,
        })
    }

    /// Keeps the problem of the last run that had one. Says whether the log should tell it: it differs in more than
    /// numbers (a slow answer's seconds) from the one told last, and that one was not told just now.
    fn take_problem(&mut self, problem: Option<&Problem>, now: Moment) -> bool {
        let Some(problem) = problem else {
            return false;
        };
        let is_other = self.problem_told.as_deref().is_none_or(|old| {
            let text = |problem: &Problem| -> Vec<u8> {
                problem
                    .message()
                    .bytes()
                    .filter(|byte| !byte.is_ascii_digit())
                    .collect()
            };
            old.reason != problem.reason || (old != problem && text(old) != text(problem))
        });
        let is_quiet = self
            .problem_logged
            .is_none_or(|told| now.since(told) >= PROBLEM_LOG_GAP);
        self.kept.problem = Some(Arc::new(problem.clone()));
        is_other && is_quiet
    }

    /// Notes that the log has told of the check.
    pub fn logged(&mut self, now: Moment) {
        self.problem_logged = Some(now);
        self.problem_told.clone_from(&self.kept.problem);
    }

    /// Whether it has run since the exporter started.
    pub fn has_run(&self) -> bool {
        self.runs > 0
    }

    /// The status at `now`.
    pub fn status(&self, now: Moment) -> Status {
        let stale_after = self.settings.stale_after();
        self.kept.verdict.status(self.kept.last_ended, stale_after, now)
    }

    /// What keeps the check from being up, where its `status` says that something does.
    pub fn problem(&self, status: Status) -> Option<Arc<Problem>> {
        match status {
            Status::Up | Status::Unknown => None,
            Status::Degraded | Status::Down => self.kept.problem.clone(),
        }
    }

    /// The check as it is at `now`.
    pub fn view(&self, now: Moment, wall: WallAnchor) -> CheckView {
        let status = self.status(now);
        let grade = &self.kept.verdict.grade;
        CheckView {
            settings: self.settings.clone(),
            target: self.target.clone(),
            status,
            status_since: grade.grade.map(|_| wall.seconds(grade.since)),
            problem: self.problem(status),
            runs: self.runs,
            failures: self.failures,
            missed_runs: self.missed_runs,
            consecutive_failures: self.consecutive_failures,
            inconclusive_runs: self.inconclusive_runs,
            consecutive_inconclusive_runs: self.consecutive_inconclusive_runs,
            shortage: self.shortage.clone(),
            last_run: self.last_run.as_ref().map(|(ended, outcome)| LastRun {
                ended: wall.seconds(*ended),
                outcome: outcome.clone(),
            }),
            last_ended: self.kept.last_ended.map(|ended| wall.seconds(ended)),
            last_success: self.kept.last_success.map(|ended| wall.seconds(ended)),
            response_times: self.response_times.as_ref().map(ResponseTimes::view),
        }
    }
}

/// The settings that runs are judged by.
fn rules(settings: &CheckSettings) -> Rules {
    Rules {
        thresholds: settings.kind.kind().is_timed().then_some(settings.thresholds),
        severity: settings.severity,
        counts: Counts {
            worse: settings.failures_before_down,
            better: settings.successes_before_up,
        },
        deadline: settings.timeout,
        stale_after: settings.stale_after(),
    }
}
