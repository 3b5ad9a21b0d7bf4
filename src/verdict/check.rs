//! The verdict on a check: the result of all its runs so far.

use std::time::Duration;

use super::debounce::{Debounced, Level};
use super::grade::{Counts, Grade, Judgement, Rules};
use crate::model::{Condition, Moment, Status};

/// When a run started and ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// When it started.
    pub started: Moment,
    /// When it ended.
    pub ended: Moment,
}

/// The verdict on a check. It is saved over restarts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckVerdict {
    /// The debounced grade of the runs.
    pub grade: Debounced,
    /// Whether the runs are slow: [`Grade::Down`] if they are, otherwise [`Grade::Up`].
    pub slowness: Debounced,
    /// For each condition: the end of the last run if that run showed the condition, otherwise `None`.
    pub evidence: [Option<Moment>; Condition::ALL.len()],
    /// The start of the first run after the last gap in which the result became stale.
    pub watched_since: Option<Moment>,
}

impl CheckVerdict {
    /// Records a run. `last_ended` is the end of the run before it, if known. A run that repeats an earlier result counts only if the next
    /// run decides at once.
    pub fn record(&mut self, judgement: &Judgement, run: Run, last_ended: Option<Moment>, rules: &Rules) {
        if last_ended.is_some_and(|ended| run.started.since(ended) > rules.stale_after) {
            self.watched_since = Some(run.started);
        }
        if judgement.is_repeated && !self.grade.decides_at_once() {
            return;
        }
        self.grade.record(judgement.grade, run.started, rules.counts);
        let slowness = if judgement.is_slow { Grade::Down } else { Grade::Up };
        self.slowness.record(slowness, run.started, rules.counts);
        // A process that was frozen during a run records it late. A run is evidence only up to its deadline.
        let until = run.ended.min(run.started + rules.deadline);
        for (&condition, evidence) in Condition::ALL.iter().zip(&mut self.evidence) {
            *evidence = judgement.shows(condition).then_some(until);
        }
    }

    /// Removes the evidence for conditions: it is old, or from other settings.
    pub fn forget_evidence(&mut self) {
        self.evidence = [None; Condition::ALL.len()];
    }

    /// The end of the last run, if the check keeps its service in `condition` and that run showed it.
    pub fn held_until(&self, condition: Condition) -> Option<Moment> {
        self.holds_since(condition).and(self.evidence[condition as usize])
    }

    /// Whether the verdicts differ in a way that matters later. New evidence for the same state needs no write: the next run after a
    /// restart updates it.
    pub fn differs(&self, other: &Self) -> bool {
        self.grade.normalized() != other.grade.normalized()
            || self.slowness.normalized() != other.slowness.normalized()
    }

    /// Lets the next run decide at once, like the first one, because the verdict is old or from other settings. The verdict stays until
    /// then.
    pub fn let_next_run_decide(&mut self) {
        self.grade.is_provisional = self.grade.grade.is_some();
        self.slowness.is_provisional = self.slowness.grade.is_some();
    }

    /// The status of the check at `now`. `last_ended` is the end of its last run.
    pub fn status(&self, last_ended: Option<Moment>, stale_after: Duration, now: Moment) -> Status {
        match (self.grade.grade, last_ended) {
            (Some(grade), Some(ended)) if now.since(ended) <= stale_after => grade.into(),
            _ => Status::Unknown,
        }
    }

    /// Whether the next run should start before the next tick: the run `last` failed, or it was better than the status, so a recovery
    /// must be confirmed. A check that stays degraded runs at its ticks.
    pub fn needs_recheck(&self, last: &Judgement) -> bool {
        last.is_failing || self.grade.grade.is_some_and(|status| last.grade < status)
    }

    /// How long after the start of the last run, at `last`, one more run can complete a recovery. `None` if the usual recheck does.
    pub fn recovers_after(&self, last: Moment, counts: Counts) -> Option<Duration> {
        self.grade.recovers_after(last, counts)
    }

    /// Whether the check is up according to its runs.
    pub fn is_up(&self) -> bool {
        self.grade.grade == Some(Grade::Up)
    }

    /// Since when the check keeps its service in `condition`; `None` if it does not. A stale result does not matter: only a run ends a
    /// condition.
    pub const fn holds_since(&self, condition: Condition) -> Option<Moment> {
        match condition {
            Condition::Down => self.grade.since_at_least(Level::Down),
            Condition::Degraded => self.grade.since_at_least(Level::Degraded),
            Condition::Slow => self.slowness.since_at_least(Level::Down),
        }
    }
}
