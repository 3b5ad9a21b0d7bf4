//! The state of one service.

use std::sync::Arc;
use std::time::Duration;

use super::check::{CheckState, Recorded};
use super::events::{Event, StatusChange};
use super::observation::Observed;
use super::saved::SavedService;
use super::snapshot::ServiceView;
use super::suppression::{MaintainedServices, Suppression};
use crate::config::Service;
use crate::model::{CheckId, Condition, Maintenance, Moment, ServiceKey, Status, WallAnchor};
use crate::verdict::{CheckInput, Confirmation, service_status};

/// If all results of a service are older than this at the start, its conditions are absent until a run confirms them. An alert for
/// an old condition would be wrong. The alert rules keep an alert for the same time without data, so a shorter time would end
/// alerts that should last.
pub const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);

/// One service's state.
#[derive(Debug)]
pub struct ServiceState {
    pub service: Arc<Service>,
    pub saved: SavedService,
    pub checks: Vec<CheckState>,
    pub status_changes: u64,
    /// Since when status changes are counted.
    pub counts_since: Moment,
    pub suppression: Suppression,
    /// The maintenance window that holds.
    pub maintenance: Option<Arc<Maintenance>>,
    /// The root causes of its impact; see [`crate::verdict::Impact`].
    pub roots: Vec<ServiceKey>,
    /// Its changes since the last observation.
    pub observed: Observed,
    /// Its saved state, apart from the times of runs, changed since it was last taken.
    pub needs_saving: bool,
}

impl ServiceState {
    /// Sets the reasons why no condition becomes confirmed. If none is left, they ended at `ended`: tolerances count from then, and checks
    /// that are not up run at once, because only their next runs are evidence. Returns whether state to save changed.
    pub fn suppress(&mut self, suppression: Suppression, ended: Moment, now: Moment) -> bool {
        self.suppression = suppression;
        let is_active = suppression.is_active();
        let was_active = std::mem::replace(&mut self.saved.is_suppressed, is_active);
        if was_active && !is_active {
            self.saved.counts_from = Some(ended);
            let failing = self.checks.iter().filter(|check| !check.saved.verdict.is_up());
            failing.for_each(|check| check.request_run(now));
        }
        self.needs_saving |= was_active != is_active;
        was_active != is_active
    }

    /// Updates the conditions from the checks. Returns whether they changed.
    pub fn update_conditions(&mut self) -> bool {
        let before = self.saved.conditions;
        let checks = self.checks.iter().map(|check| CheckInput {
            verdict: &check.saved.verdict,
            recheck_interval: check.settings.recheck_interval,
        });
        let confirmation = Confirmation {
            tolerance: self.service.tolerance,
            counts_from: self.saved.counts_from,
            is_suppressed: self.saved.is_suppressed,
        };
        let until_down = self.service.checks_until_down();
        self.saved.conditions.update(checks, until_down, &confirmation);
        before != self.saved.conditions
    }

    /// Whether the check at `position` should run before its next tick: its last run is evidence for an unconfirmed condition, and
    /// the next tick is after the tolerance. A degraded check has no rechecks otherwise, so a long interval would delay the
    /// alert.
    pub fn awaits_evidence(&self, position: usize, now: Moment) -> bool {
        let check = &self.checks[position];
        let interval = check.settings.interval;
        let conditions = &self.saved.conditions;
        if self.saved.is_suppressed {
            return false;
        }
        Condition::ALL.iter().any(|&condition| {
            let tolerance = self.service.tolerance.of(condition);
            interval * 2 > tolerance
                && !conditions.confirmed[condition as usize]
                && check.saved.verdict.held_until(condition).is_some()
                && conditions.since(condition).is_some_and(|since| {
                    let from = self.saved.counts_from.map_or(since, |from| from.max(since));
                    now + interval > from + tolerance
                })
        })
    }

    /// Updates the status at the start of the exporter. A status that became stale meanwhile is not a change to count or to log.
    /// `last_ended` is the end of the last run of any check of the service. After [`FORGOTTEN_AFTER`], the service has no
    /// conditions until its checks have run.
    pub fn restore(&mut self, last_ended: Option<Moment>, now: Moment) {
        for check in &mut self.checks {
            check.restore(now);
        }
        let changes = self.status_changes;
        self.update_status(now, now, None);
        self.status_changes = changes;
        self.observed = Observed::default();
        let is_recent = last_ended.is_some_and(|ended| now.since(ended) <= FORGOTTEN_AFTER);
        // A check with a long interval may have an older result that is not stale.
        let is_known = self
            .checks
            .iter()
            .any(|check| check.status(now) != Status::Unknown);
        if !is_recent && !is_known {
            self.saved.has_verdict = false;
            self.forget_evidence();
        }
        if let Some(change) = self.restored_change(now) {
            self.observed.add_change(&change);
        }
    }

    /// The change to the status that was restored. The history is saved less often than the state, so it may lack that change after a
    /// crash. It ignores a change that it has.
    fn restored_change(&self, now: Moment) -> Option<StatusChange> {
        let status = self.saved.status;
        let is_known = self.saved.has_verdict && status != Status::Unknown;
        let since = self.saved.status_since.filter(|_| is_known)?;
        let cause = self.cause(status, None, now);
        Some(StatusChange {
            service: self.service.key.clone(),
            old: status,
            new: status,
            since,
            is_first: false,
            check: cause.map(|check| check.settings.name.clone()),
            problem: cause.and_then(|check| check.problem(status)),
        })
    }

    /// The check that causes a status. The one at `recorded` is preferred.
    fn cause(&self, status: Status, recorded: Option<usize>, now: Moment) -> Option<&CheckState> {
        // A redundant service is degraded although its failing check is down.
        let is_cause = |of: Status| of == status || (status == Status::Degraded && of == Status::Down);
        recorded
            .into_iter()
            .chain(0..self.checks.len())
            .map(|position| &self.checks[position])
            .find(|check| is_cause(check.status(now)))
    }

    /// Restores the maintenance of a service that was not configured before. If it ended while the exporter did not run, tolerances
    /// count from its end.
    pub fn restore_maintenance(&mut self, maintained: &MaintainedServices) {
        let key = &self.service.key;
        self.maintenance = maintained.active.get(key).cloned();
        self.suppression.in_maintenance = self.maintenance.is_some();
        if self.maintenance.is_some() {
            self.saved.is_suppressed = true;
        } else if let Some(ended) = maintained.ended.get(key)
            && std::mem::take(&mut self.saved.is_suppressed)
        {
            self.saved.counts_from = self.saved.counts_from.max(Some(*ended));
        }
    }

    /// Discards the evidence after a time of more than [`FORGOTTEN_AFTER`] without runs. The rules have ended the alert meanwhile, so
    /// another one needs its own evidence.
    pub fn forget_evidence(&mut self) {
        self.saved.conditions.confirmed = [false; Condition::ALL.len()];
        for check in &mut self.checks {
            check.saved.verdict.forget_evidence();
        }
    }

    /// Updates the status from the checks. A new status is in effect since `since`. The check at `recorded` is preferred as the
    /// cause.
    pub fn update_status(
        &mut self,
        now: Moment,
        since: Moment,
        recorded: Option<usize>,
    ) -> Option<StatusChange> {
        let old = self.saved.status;
        let statuses = self.checks.iter().map(|check| check.status(now));
        let new = service_status(statuses, self.service.checks_until_down());
        if new == old {
            return None;
        }
        let is_first = !self.saved.has_verdict;
        self.saved.status = new;
        self.saved.status_since = Some(since);
        self.saved.has_verdict |= new != Status::Unknown;
        if !is_first {
            self.status_changes += 1;
        }
        let cause = self.cause(new, recorded, now);
        let change = StatusChange {
            service: self.service.key.clone(),
            old,
            new,
            since,
            is_first,
            check: cause.map(|check| check.settings.name.clone()),
            problem: cause.and_then(|check| check.problem(new)),
        };
        self.observed.add_change(&change);
        Some(change)
    }

    /// The event of a recorded run of the check at `position`: a status change of the service, or else a change of the check.
    pub fn event(
        &mut self,
        position: usize,
        recorded: &Recorded,
        change: Option<StatusChange>,
        now: Moment,
    ) -> Option<Event> {
        let check = &mut self.checks[position];
        if let Some(change) = change {
            if change.check.as_ref() == Some(&check.settings.name) {
                check.record_logged(now);
            }
            return Some(Event::Status(change));
        }
        let is_change = recorded.status_since.is_some();
        let status = check.status(now);
        let id = CheckId {
            service: self.service.key.clone(),
            check: check.settings.name.clone(),
        };
        match check.problem(status) {
            Some(problem) if is_change || recorded.is_new_problem => {
                check.record_logged(now);
                Some(Event::Problem {
                    check: id,
                    status,
                    problem,
                })
            }
            None if is_change && !recorded.is_first && status == Status::Up => {
                Some(Event::Recovered { check: id, status })
            }
            _ => None,
        }
    }

    /// The view of the service at `now`.
    pub fn view(&self, now: Moment, wall: WallAnchor) -> ServiceView {
        let saved = &self.saved;
        ServiceView {
            service: self.service.clone(),
            status: saved.status,
            status_since: saved
                .status_since
                .filter(|_| saved.has_verdict)
                .map(|since| wall.seconds(since)),
            conditions: saved.has_verdict.then(|| {
                let unix = |since: Option<Moment>| since.map_or(0.0, |since| wall.seconds(since));
                saved.conditions.since.map(unix)
            }),
            confirmed: saved.has_verdict.then_some(saved.conditions.confirmed),
            is_impacted: self.suppression.is_impacted,
            roots: self.roots.clone(),
            maintenance: self.maintenance.clone(),
            heal: None,
            past: None,
            status_changes: self.status_changes,
            counts_since: wall.seconds(self.counts_since),
            checks: self.checks.iter().map(|check| check.view(now, wall)).collect(),
        }
    }
}
