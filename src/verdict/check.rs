//! What a check's runs so far amount to.

use std::time::Duration;

use super::debounce::{Debounced, Level};
use super::grade::{Grade, Judgement, Rules};
use crate::model::{Condition, Moment, Status};

/// When a run took place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// When it started.
    pub started: Moment,
    /// When it ended.
    pub ended: Moment,
}

/// What a check's runs so far amount to. It is what outlives a restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckVerdict {
    /// How good the runs are.
    pub grade: Debounced,
    /// Whether they are slow: [`Grade::Down`] where they are, else [`Grade::Up`].
    pub slowness: Debounced,
    /// By condition: the end of the last run where that run held it, `None` where it spoke against it.
    pub evidence: [Option<Moment>; 3],
    /// The start of the first run after the last time that the check was not watched: its result before was stale.
    pub watched_since: Option<Moment>,
}

impl CheckVerdict {
    /// Takes one run into account; `last_ended` is the end of the run before it, as far as known.
    pub fn record(&mut self, judgement: &Judgement, run: Run, last_ended: Option<Moment>, rules: &Rules) {
        self.grade.record(judgement.grade, run.started, rules.counts);
        let slowness = if judgement.is_slow { Grade::Down } else { Grade::Up };
        self.slowness.record(slowness, run.started, rules.counts);
        if last_ended.is_some_and(|ended| run.started.since(ended) > rules.stale_after) {
            self.watched_since = Some(run.started);
        }
        // A process that was frozen during a run records it late. No run is evidence beyond its deadline.
        let until = run.ended.min(run.started + rules.deadline);
        for (&condition, evidence) in Condition::ALL.iter().zip(&mut self.evidence) {
            *evidence = judgement.holds(condition).then_some(until);
        }
    }

    /// Forgets the evidence for conditions: it was found with other settings, or long ago.
    pub fn forget_evidence(&mut self) {
        self.evidence = [None; 3];
    }

    /// The end of the last run, if the check holds its service in `condition` and that run held it too.
    pub fn held_until(&self, condition: Condition) -> Option<Moment> {
        self.holds_since(condition).and(self.evidence[condition as usize])
    }

    /// Whether the two differ in anything that matters later. Evidence that only goes on is not worth a write: the next
    /// run after a restart brings it up to date.
    pub fn differs(&self, other: &Self) -> bool {
        self.grade.essence() != other.grade.essence() || self.slowness.essence() != other.slowness.essence()
    }

    /// Lets the next run decide at once, as the very first does: what is known is of other settings, or of long ago. It
    /// stays until then.
    pub fn let_next_run_decide(&mut self) {
        self.grade.is_provisional = self.grade.grade.is_some();
        self.slowness.is_provisional = self.slowness.grade.is_some();
    }

    /// The check's status at `now`, its last run having ended at `last_ended`.
    pub fn status(&self, last_ended: Option<Moment>, stale_after: Duration, now: Moment) -> Status {
        match (self.grade.grade, last_ended) {
            (Some(grade), Some(ended)) if now.since(ended) <= stale_after => grade.into(),
            _ => Status::Unknown,
        }
    }

    /// Whether the next run should not wait for the check's next tick: `last`, its last run, failed, or was better than
    /// the status, so that a recovery is to be confirmed. A check that is steadily degraded keeps to its ticks.
    pub fn needs_recheck(&self, last: &Judgement) -> bool {
        last.is_failing || self.grade.grade.is_some_and(|status| last.grade < status)
    }

    /// Whether the runs so far say that the check is up.
    pub fn is_up(&self) -> bool {
        self.grade.grade == Some(Grade::Up)
    }

    /// Since when the check holds its service in `condition`; `None` where it does not. Age does not matter: it takes a
    /// run to end a condition.
    pub const fn holds_since(&self, condition: Condition) -> Option<Moment> {
        match condition {
            Condition::Down => self.grade.since_at_least(Level::Down),
            Condition::Degraded => self.grade.since_at_least(Level::Degraded),
            Condition::Slow => self.slowness.since_at_least(Level::Down),
        }
    }
}
