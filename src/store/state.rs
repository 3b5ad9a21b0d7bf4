//! The state behind the store's lock: what is configured, what is known of it, and what a run changes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::check::{CheckHandle, CheckState, Recorded};
use super::events::{Event, StatusChange};
use super::fingerprint::fingerprint;
use super::saved::{SavedCheck, SavedChecks, SavedService, SavedState};
use super::service::{FORGOTTEN_AFTER, ServiceState};
use super::walltime::WallAnchor;
use crate::config::{CheckSettings, Config, Service};
use crate::model::{CheckId, CheckName, Moment, Outcome, ServiceKey, Status};
use crate::verdict::Run;

/// What is known, by service and check.
#[derive(Debug)]
pub struct State {
    pub wall: WallAnchor,
    pub services: Vec<ServiceState>,
    pub last_reload_successful: bool,
    pub last_reload_success: Moment,
    /// Something that lasts changed since it was collected last.
    pub needs_saving: bool,
    /// A run was recorded since what lasts was collected last.
    pub has_new_runs: bool,
    positions: HashMap<CheckHandle, (usize, usize)>,
    next_handle: u64,
    restored: SavedState,
    /// Checks that have not run yet; not counted any more once the first round is over.
    awaited: usize,
    is_first_round_over: bool,
    /// When the passing of time was last looked at.
    last_sweep: Moment,
}

/// What the scheduler learns from recording a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextRun {
    /// The next run should not wait for the check's next tick.
    pub recheck: bool,
}

/// A check of a longer interval does not wait for its next tick after an inconclusive run.
const SOON: Duration = Duration::from_secs(30);

impl State {
    /// A state without services; what was `restored` waits for the configuration.
    pub fn new(wall: WallAnchor, restored: SavedState, now: Moment) -> Self {
        Self {
            wall,
            services: Vec::new(),
            last_reload_successful: true,
            last_reload_success: now,
            needs_saving: false,
            has_new_runs: false,
            positions: HashMap::new(),
            next_handle: 0,
            restored,
            awaited: usize::MAX,
            is_first_round_over: false,
            last_sweep: now,
        }
    }

    /// Notes that the passing of time is looked at, once a second. A longer pause was a suspension or a freeze.
    pub fn swept(&mut self, now: Moment) {
        if now.since(self.last_sweep) > FORGOTTEN_AFTER {
            self.services.iter_mut().for_each(ServiceState::forget_evidence);
            self.needs_saving = true;
        }
        self.last_sweep = now;
    }

    /// Takes over a configuration: what did not change keeps all of its state, what is gone vanishes.
    pub fn apply(&mut self, config: &Config, now: Moment) -> Vec<Event> {
        let mut restored: HashMap<ServiceKey, _> = std::mem::take(&mut self.restored)
            .services
            .into_iter()
            .map(|(key, service, checks)| (key, (service, checks)))
            .collect();
        let mut old: HashMap<ServiceKey, ServiceState> = std::mem::take(&mut self.services)
            .into_iter()
            .map(|state| (state.service.key.clone(), state))
            .collect();
        self.services = config
            .services
            .iter()
            .map(
                |service| match (old.remove(&service.key), restored.remove(&service.key)) {
                    (Some(state), _) => self.keep_service(service, state),
                    (None, Some((kept, checks))) => self.restore_service(service, kept, checks, now),
                    (None, None) => self.restore_service(service, SavedService::default(), Vec::new(), now),
                },
            )
            .collect();
        self.positions.clear();
        for (place, service) in self.services.iter().enumerate() {
            let handles = service.checks.iter().enumerate();
            self.positions
                .extend(handles.map(|(position, check)| (check.handle, (place, position))));
        }
        let checks = self.services.iter().flat_map(|service| &service.checks);
        self.awaited = checks.filter(|check| !check.has_run()).count();
        self.is_first_round_over |= self.awaited == 0;
        self.last_reload_successful = true;
        self.last_reload_success = now;
        self.needs_saving = true;
        for service in &mut self.services {
            service.update_conditions();
        }
        self.update_statuses(now)
    }

    fn handle(&mut self) -> CheckHandle {
        self.next_handle += 1;
        CheckHandle(self.next_handle)
    }

    fn keep_service(&mut self, service: &Arc<Service>, old: ServiceState) -> ServiceState {
        let mut checks: HashMap<CheckName, CheckState> = old
            .checks
            .into_iter()
            .map(|check| (check.settings.name.clone(), check))
            .collect();
        let checks = service
            .checks
            .iter()
            .map(|settings| match checks.remove(&settings.name) {
                Some(check) if check.settings == *settings => check,
                Some(check) => check.with_settings(self.handle(), settings.clone(), fingerprint(settings)),
                None => self.new_check(settings, None),
            });
        ServiceState {
            service: service.clone(),
            kept: old.kept,
            checks: checks.collect(),
            status_changes: old.status_changes,
        }
    }

    fn restore_service(
        &mut self,
        service: &Arc<Service>,
        kept: SavedService,
        checks: SavedChecks,
        now: Moment,
    ) -> ServiceState {
        // Of the checks that have left the configuration too: somebody looked at the service.
        let last_ended = checks.iter().filter_map(|(_, check)| check.last_ended).max();
        let mut checks: HashMap<CheckName, SavedCheck> = checks.into_iter().collect();
        let checks = service.checks.iter().map(|settings| {
            let kept = checks.remove(&settings.name);
            self.new_check(settings, kept)
        });
        let mut state = ServiceState {
            service: service.clone(),
            kept,
            checks: checks.collect(),
            status_changes: 0,
        };
        state.begin(last_ended, now);
        state
    }

    fn new_check(&mut self, settings: &Arc<CheckSettings>, kept: Option<SavedCheck>) -> CheckState {
        let mut kept = kept.unwrap_or_default();
        let fingerprint = fingerprint(settings);
        if kept.fingerprint != fingerprint {
            kept.fingerprint = fingerprint;
            kept.verdict.let_next_run_decide();
        }
        CheckState::new(self.handle(), settings.clone(), kept)
    }

    /// Every check's handle and settings, in the order of the configuration.
    pub fn handles(&self) -> Vec<(CheckId, CheckHandle, Arc<CheckSettings>)> {
        let checks = self.services.iter().flat_map(|service| {
            service.checks.iter().map(|check| {
                let id = CheckId {
                    service: service.service.key.clone(),
                    check: check.settings.name.clone(),
                };
                (id, check.handle, check.settings.clone())
            })
        });
        checks.collect()
    }

    /// Takes one run into account; `None` where its check is no longer configured as it was.
    pub fn record(
        &mut self,
        handle: CheckHandle,
        run: Run,
        outcome: Arc<Outcome>,
        missed: u64,
    ) -> Option<(NextRun, Option<Event>)> {
        let (place, position) = *self.positions.get(&handle)?;
        let service = &mut self.services[place];
        let check = &mut service.checks[position];
        if !check.has_run() {
            self.awaited -= 1;
            self.is_first_round_over |= self.awaited == 0;
        }
        let Some(recorded) = check.record(run, outcome, missed) else {
            // What came to nothing is made up for soon, however seldom the check runs.
            let recheck = !check.kept.verdict.is_up() || check.settings.interval > SOON;
            return Some((NextRun { recheck }, None));
        };
        let needs_recheck = check.kept.verdict.needs_recheck(&recorded.judgement);
        let has_evidence = check.kept.verdict.evidence.iter().any(Option::is_some);
        let conditions_changed = (recorded.verdict_changed || has_evidence) && service.update_conditions();
        let since = recorded.status_since.unwrap_or(run.ended);
        let change = service.update_status(run.ended, since, Some(position));
        self.has_new_runs = true;
        self.needs_saving |= recorded.verdict_changed || conditions_changed || change.is_some();
        let advice = NextRun {
            recheck: needs_recheck || (has_evidence && service.awaits_evidence(position, run.ended)),
        };
        Some((advice, event(service, position, &recorded, change, run.ended)))
    }

    /// Finds out which statuses the passing of time changed.
    pub fn update_statuses(&mut self, now: Moment) -> Vec<Event> {
        let changes = self
            .services
            .iter_mut()
            .filter_map(|service| service.update_status(now, now, None));
        let events: Vec<Event> = changes.map(Event::Status).collect();
        self.needs_saving |= !events.is_empty();
        events
    }

    /// Whether every check has run; once that was so, it stays so.
    pub const fn is_first_round_over(&self) -> bool {
        self.is_first_round_over
    }

    /// Copies what lasts.
    pub fn collect(&mut self) -> SavedState {
        self.needs_saving = false;
        self.has_new_runs = false;
        let services = self.services.iter().map(|service| {
            let checks = service.checks.iter();
            let checks = checks.map(|check| (check.settings.name.clone(), check.kept.clone()));
            (
                service.service.key.clone(),
                service.kept.clone(),
                checks.collect(),
            )
        });
        SavedState {
            services: services.collect(),
        }
    }
}

/// What the log is told of a recorded run: the change of the service's status, else that of the check's.
fn event(
    service: &mut ServiceState,
    position: usize,
    recorded: &Recorded,
    change: Option<StatusChange>,
    now: Moment,
) -> Option<Event> {
    let check = &mut service.checks[position];
    if let Some(change) = change {
        if change.check.as_ref() == Some(&check.settings.name) {
            check.logged(now);
        }
        return Some(Event::Status(change));
    }
    let is_change = recorded.status_since.is_some();
    let status = check.status(now);
    let id = CheckId {
        service: service.service.key.clone(),
        check: check.settings.name.clone(),
    };
    match check.problem(status) {
        Some(problem) if is_change || recorded.problem_is_news => {
            check.logged(now);
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
