//! What the store keeps of one service.

use std::sync::Arc;
use std::time::Duration;

use super::check::CheckState;
use super::events::StatusChange;
use super::saved::SavedService;
use super::snapshot::ServiceView;
use super::walltime::WallAnchor;
use crate::config::Service;
use crate::model::{Condition, Moment, Status};
use crate::verdict::{Confirmation, Holder, service_status};

/// How old all results of a service are when the exporter starts for its conditions not to be told before a run
/// confirms them: a page for what was so days ago would be wrong. It is as long as the alert rules hold what they saw
/// last; up to then, conditions that vanish would end a page that goes on.
pub const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);

/// One service's state.
#[derive(Debug)]
pub struct ServiceState {
    pub service: Arc<Service>,
    pub kept: SavedService,
    pub checks: Vec<CheckState>,
    pub status_changes: u64,
}

impl ServiceState {
    /// Brings the conditions in line with the checks; says whether they changed.
    pub fn update_conditions(&mut self) -> bool {
        let before = self.kept.conditions;
        let checks = self.checks.iter().map(|check| Holder {
            verdict: &check.kept.verdict,
            recheck_interval: check.settings.recheck_interval,
        });
        let confirmation = Confirmation {
            tolerance: self.service.tolerance,
            counts_from: None,
        };
        self.kept.conditions.update(checks, &confirmation);
        before != self.kept.conditions
    }

    /// Whether the check at `position` should run before its next tick: its last run is evidence for a condition that is
    /// not confirmed, and at the next tick the tolerance would be over. A check that is only degraded keeps to its ticks
    /// otherwise, and an interval longer than half the tolerance would delay the page much.
    pub fn awaits_evidence(&self, position: usize, now: Moment) -> bool {
        let check = &self.checks[position];
        let interval = check.settings.interval;
        let conditions = &self.kept.conditions;
        Condition::ALL.iter().any(|&condition| {
            let tolerance = self.service.tolerance.of(condition);
            interval * 2 > tolerance
                && !conditions.confirmed[condition as usize]
                && check.kept.verdict.held_until(condition).is_some()
                && conditions
                    .since(condition)
                    .is_some_and(|since| now + interval > since + tolerance)
        })
    }

    /// Brings the status in line with the checks when the exporter starts: a status that is too old by now has changed
    /// while nobody looked, which is no change to count or to tell. `last_ended` is the end of the last run of any of
    /// its checks; after [`FORGOTTEN_AFTER`] the service is shown as one without a verdict until its checks have run.
    pub fn begin(&mut self, last_ended: Option<Moment>, now: Moment) {
        for check in &mut self.checks {
            check.begin(now);
        }
        let changes = self.status_changes;
        self.update_status(now, now, None);
        self.status_changes = changes;
        let is_recent = last_ended.is_some_and(|ended| now.since(ended) <= FORGOTTEN_AFTER);
        // A check that seldom runs may have an older result that is still good.
        let is_known = self
            .checks
            .iter()
            .any(|check| check.status(now) != Status::Unknown);
        if !is_recent && !is_known {
            self.kept.has_verdict = false;
            self.forget_evidence();
        }
    }

    /// Lets conditions need evidence again after nobody looked for more than [`FORGOTTEN_AFTER`]: the rules held the page for
    /// as long as that and ended it, so another one needs evidence of its own.
    pub fn forget_evidence(&mut self) {
        self.kept.conditions.confirmed = [false; Condition::ALL.len()];
        for check in &mut self.checks {
            check.kept.verdict.forget_evidence();
        }
    }

    /// Brings the status in line with the checks, which made it what it is at `since`.
    pub fn update_status(
        &mut self,
        now: Moment,
        since: Moment,
        recorded: Option<usize>,
    ) -> Option<StatusChange> {
        let old = self.kept.status;
        let new = service_status(self.checks.iter().map(|check| check.status(now)));
        if new == old {
            return None;
        }
        let is_first = !self.kept.has_verdict;
        self.kept.status = new;
        self.kept.status_since = Some(since);
        self.kept.has_verdict |= new != Status::Unknown;
        if !is_first {
            self.status_changes += 1;
        }
        let cause = recorded
            .into_iter()
            .chain(0..self.checks.len())
            .map(|position| &self.checks[position])
            .find(|check| check.status(now) == new);
        Some(StatusChange {
            service: self.service.key.clone(),
            old,
            new,
            since,
            is_first,
            check: cause.map(|check| check.settings.name.clone()),
            problem: cause.and_then(|check| check.problem(new)),
        })
    }

    /// The service as it is at `now`.
    pub fn view(&self, now: Moment, wall: WallAnchor) -> ServiceView {
        let kept = &self.kept;
        ServiceView {
            service: self.service.clone(),
            status: kept.status,
            status_since: kept
                .status_since
                .filter(|_| kept.has_verdict)
                .map(|since| wall.seconds(since)),
            conditions: kept.has_verdict.then(|| {
                let unix = |since: Option<Moment>| since.map_or(0.0, |since| wall.seconds(since));
                kept.conditions.since.map(unix)
            }),
            confirmed: kept.has_verdict.then_some(kept.conditions.confirmed),
            status_changes: self.status_changes,
            checks: self.checks.iter().map(|check| check.view(now, wall)).collect(),
        }
    }
}
