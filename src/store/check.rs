//! The state of one check.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::histogram::ResponseTimes;
use super::observation::ResponseTotals;
use super::recent::Recent;
use super::saved::SavedCheck;
use super::snapshot::{CheckView, LastRun};
use crate::config::CheckSettings;
use crate::model::{Catalog, Conclusion, Moment, Outcome, Problem, Shortage, Status, WallAnchor};
use crate::verdict::{Counts, Judgement, Rules, Run, judge};

/// The minimum time between two log lines about problems of a check with the same status.
const PROBLEM_LOG_GAP: Duration = Duration::from_secs(60);

/// Identifies a check with one version of its settings, unique within the process. So runs of removed or changed checks are
/// recognized.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CheckHandle(pub(super) u64);

/// How the counters and the histogram of a check start.
#[derive(Clone, Copy, Debug)]
pub struct CountsStart {
    /// Since when they count.
    pub since: Moment,
    /// Whether the histogram has native buckets too.
    pub has_native_histogram: bool,
}

/// One check's state.
#[derive(Debug)]
pub struct CheckState {
    pub handle: CheckHandle,
    pub settings: Arc<CheckSettings>,
    pub saved: SavedCheck,
    pub recent: Recent,
    target: Arc<str>,
    rules: Rules,
    counts: CountsStart,
    runs: u64,
    failures: u64,
    missed_runs: u64,
    consecutive_failures: u64,
    inconclusive_runs: u64,
    consecutive_inconclusive_runs: u64,
    /// Why the last run was inconclusive. `None` if it was conclusive.
    pub shortage: Option<Arc<Problem>>,
    last_run: Option<(Moment, Arc<Outcome>)>,
    /// The last catalog of any run. It stays when later runs fail.
    catalog: Option<Arc<Catalog>>,
    response_times: Option<ResponseTimes>,
    /// When a problem was last logged.
    logged_at: Option<Moment>,
    /// The problem that was last logged, or the saved problem of an earlier process.
    logged_problem: Option<Arc<Problem>>,
    /// Requests a run before the next tick.
    pub wakeup: Arc<Notify>,
    /// The response times since the last observation.
    pub observed: ResponseTotals,
}

/// The changes that a recorded run causes.
#[derive(Debug)]
pub struct Recorded {
    pub judgement: Judgement,
    /// The verdict changed in a way that must be saved soon; see [`crate::verdict::CheckVerdict::differs`].
    pub verdict_changed: bool,
    /// It is the first known run.
    pub is_first: bool,
    /// If the status from the runs changed, its new since-time.
    pub status_since: Option<Moment>,
    /// The problem should be logged.
    pub is_new_problem: bool,
}

impl CheckState {
    /// Creates a check that has not run in this process, with its `saved` state.
    pub fn new(
        handle: CheckHandle,
        settings: Arc<CheckSettings>,
        saved: SavedCheck,
        counts: CountsStart,
    ) -> Self {
        let is_timed = settings.kind.kind().is_timed();
        Self {
            logged_problem: saved.problem.clone(),
            handle,
            target: settings.kind.target().into(),
            rules: rules(&settings),
            response_times: is_timed.then(|| ResponseTimes::new(counts.since, counts.has_native_histogram)),
            counts,
            settings,
            saved,
            recent: Recent::default(),
            runs: 0,
            failures: 0,
            missed_runs: 0,
            consecutive_failures: 0,
            inconclusive_runs: 0,
            consecutive_inconclusive_runs: 0,
            shortage: None,
            last_run: None,
            catalog: None,
            logged_at: None,
            wakeup: Arc::default(),
            observed: ResponseTotals::default(),
        }
    }

    /// Changes the settings. The status and the counters stay, measurements are removed, and the next run alone decides the
    /// status.
    pub fn with_settings(
        mut self,
        handle: CheckHandle,
        settings: Arc<CheckSettings>,
        fingerprint: u64,
        now: Moment,
    ) -> Self {
        self.saved.verdict.let_next_run_decide();
        self.saved.verdict.forget_evidence();
        self.saved.fingerprint = fingerprint;
        let is_same_kind = self.settings.kind.kind() == settings.kind.kind();
        let counts = CountsStart {
            since: now,
            ..self.counts
        };
        let fresh = Self::new(handle, settings, self.saved, counts);
        Self {
            counts: self.counts,
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
            observed: self.observed,
            ..fresh
        }
    }

    /// Handles the saved result after a restart: if it is stale at `now`, the next run alone decides the status.
    pub fn restore(&mut self, now: Moment) {
        let stale_after = self.rules.stale_after;
        if self
            .saved
            .last_ended
            .is_some_and(|ended| now.since(ended) > stale_after)
        {
            self.saved.verdict.let_next_run_decide();
        }
    }

    /// Records a run. Returns `None` if it was inconclusive: then only counts change.
    pub fn record(&mut self, run: Run, outcome: Arc<Outcome>, missed: u64) -> Option<Recorded> {
        self.runs += 1;
        self.missed_runs += missed;
        if outcome.catalog.is_some() {
            self.catalog.clone_from(&outcome.catalog);
        }
        if let Conclusion::Inconclusive(problem) = &outcome.conclusion {
            // A program that can't tell is not a fault of the exporter, which these numbers show.
            if problem.shortage != Some(Shortage::Undecided) {
                self.inconclusive_runs += 1;
                self.consecutive_inconclusive_runs += 1;
            }
            self.shortage = Some(Arc::new(problem.clone()));
        }
        let judgement = judge(&outcome, &self.rules)?;
        self.shortage = None;
        self.consecutive_inconclusive_runs = 0;
        let before = self.saved.verdict;
        self.saved
            .verdict
            .record(&judgement, run, self.saved.last_ended, &self.rules);
        if matches!(outcome.conclusion, Conclusion::Failure(_)) {
            self.failures += 1;
            self.consecutive_failures += 1;
        } else {
            self.consecutive_failures = 0;
            self.saved.last_success = Some(run.ended);
        }
        if let (Some(times), Some(time)) = (&mut self.response_times, outcome.response_time) {
            times.observe(time);
            self.observed.add(time);
        }
        self.saved.last_ended = Some(run.ended);
        let is_new_problem = self.store_problem(judgement.problem.as_ref(), run.ended);
        let problem = judgement.problem.as_ref().and(self.saved.problem.clone());
        self.recent.record(run.ended, &outcome, &judgement, problem);
        self.last_run = Some((run.ended, outcome));
        let after = self.saved.verdict;
        Some(Recorded {
            verdict_changed: after.differs(&before),
            is_first: before.grade.grade.is_none(),
            status_since: (before.grade.grade != after.grade.grade).then_some(after.grade.since),
            is_new_problem,
            judgement,
        })
    }

    /// Stores the problem of a run. Returns whether it should be logged: it differs from the last logged problem in more than
    /// numbers (such as the seconds of a slow response), and the last log line is old enough.
    fn store_problem(&mut self, problem: Option<&Problem>, now: Moment) -> bool {
        let Some(problem) = problem else {
            return false;
        };
        let is_other = self.logged_problem.as_deref().is_none_or(|old| {
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
            .logged_at
            .is_none_or(|logged| now.since(logged) >= PROBLEM_LOG_GAP);
        self.saved.problem = Some(Arc::new(problem.clone()));
        is_other && is_quiet
    }

    /// Records that the problem is logged.
    pub fn record_logged(&mut self, now: Moment) {
        self.logged_at = Some(now);
        self.logged_problem.clone_from(&self.saved.problem);
    }

    /// Requests a run at once: a service that depends on the check's service failed, or a suppression ended. Nothing happens if the last run ended less than
    /// a recheck interval ago: many services may fail at the same time. A check that has not run yet runs soon anyway.
    pub fn request_run(&self, now: Moment) {
        let is_old = |ended: Moment| now.since(ended) >= self.settings.recheck_interval;
        if self.saved.last_ended.is_some_and(is_old) {
            self.wakeup.notify_one();
        }
    }

    /// How long after the start of the run at `started` the next one can complete a recovery. `None` if the usual recheck does.
    pub fn recovers_after(&self, started: Moment) -> Option<Duration> {
        self.saved.verdict.recovers_after(started, self.rules.counts)
    }

    /// Whether the check has run since the exporter started.
    pub fn has_run(&self) -> bool {
        self.runs > 0
    }

    /// The status at `now`.
    pub fn status(&self, now: Moment) -> Status {
        let stale_after = self.rules.stale_after;
        self.saved.verdict.status(self.saved.last_ended, stale_after, now)
    }

    /// Whether the status at `now` may be out of date: the last run failed, or there was none since the moment `since`.
    pub fn may_be_down(&self, since: Moment, now: Moment) -> bool {
        let is_old = self.saved.last_ended.is_none_or(|ended| ended <= since);
        self.status(now) != Status::Unknown && (self.consecutive_failures > 0 || is_old)
    }

    /// The problem behind a `status` of degraded or down.
    pub fn problem(&self, status: Status) -> Option<Arc<Problem>> {
        match status {
            Status::Up | Status::Unknown => None,
            Status::Degraded | Status::Down => self.saved.problem.clone(),
        }
    }

    /// The view of the check at `now`.
    pub fn view(&self, now: Moment, wall: WallAnchor) -> CheckView {
        let status = self.status(now);
        let grade = &self.saved.verdict.grade;
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
            catalog: self.catalog.clone(),
            last_ended: self.saved.last_ended.map(|ended| wall.seconds(ended)),
            last_success: self.saved.last_success.map(|ended| wall.seconds(ended)),
            counts_since: wall.seconds(self.counts.since),
            response_times: self.response_times.as_ref().map(|times| times.view(wall)),
        }
    }
}

/// The rules for judging runs.
fn rules(settings: &CheckSettings) -> Rules {
    Rules {
        thresholds: settings.kind.kind().is_timed().then_some(settings.thresholds),
        severity: settings.severity,
        counts: Counts {
            worse: settings.failures_before_down,
            better: settings.successes_before_up,
            better_span: settings.recheck_interval * settings.successes_before_up.saturating_sub(1),
        },
        deadline: settings.timeout,
        stale_after: settings.stale_after(),
    }
}
