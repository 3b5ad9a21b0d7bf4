//! The state behind the lock of the store: the configured services and checks, and their results.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::check::{CheckHandle, CheckState, CountsStart};
use super::events::Event;
use super::fingerprint::fingerprint;
use super::health::Health;
use super::impacts::Impacts;
use super::observation::Observed;
use super::saved::{SavedCheck, SavedChecks, SavedService, SavedState};
use super::service::{FORGOTTEN_AFTER, ServiceState};
use super::suppression::{MaintainedServices, Suppression};
use crate::config::{CheckSettings, Config, ConfigFile, Service};
use crate::model::{CheckId, CheckName, Moment, Outcome, ServiceKey, Status, WallAnchor};
use crate::verdict::Run;

/// The state of all services and checks.
#[derive(Debug)]
pub struct StoreState {
    pub wall: WallAnchor,
    pub services: Vec<ServiceState>,
    pub last_reload_successful: bool,
    pub last_reload_success: Moment,
    pub config_files: Arc<[ConfigFile]>,
    /// When the store was opened.
    pub started: Moment,
    /// Whether response times are counted in native histograms too.
    pub has_native_histograms: bool,
    /// The saved state, apart from the times of runs, changed since it was last taken.
    pub needs_saving: bool,
    /// All services are to be saved, not only those that changed.
    pub needs_copy: bool,
    /// A run was recorded since the state of all services was last taken.
    pub has_new_runs: bool,
    positions: HashMap<CheckHandle, (usize, usize)>,
    impacts: Impacts,
    pub maintained: MaintainedServices,
    next_handle: u64,
    pub restored: SavedState,
    /// How many checks have not run yet. Not counted after the first round.
    awaited: usize,
    is_first_round_over: bool,
    /// When [`StoreState::record_sweep`] was last called.
    last_sweep: Moment,
}

/// When the next run should start, as decided by the recorded run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NextRun {
    /// The next run should not wait for the next tick.
    pub recheck: bool,
    /// How long after the start of this run the recheck can complete a recovery, if the recovery began with an earlier run. An extra run
    /// delays no recovery.
    pub recovers_after: Option<Duration>,
}

/// After an inconclusive run, a check with a longer interval runs again before its next tick.
const SOON: Duration = Duration::from_secs(30);

impl StoreState {
    /// Creates a state without services. The `restored` state is used when a configuration is applied.
    pub fn new(wall: WallAnchor, restored: SavedState, now: Moment) -> Self {
        Self {
            wall,
            services: Vec::new(),
            last_reload_successful: true,
            last_reload_success: now,
            config_files: Arc::default(),
            started: now,
            has_native_histograms: false,
            needs_saving: false,
            needs_copy: false,
            has_new_runs: false,
            positions: HashMap::new(),
            impacts: Impacts::default(),
            maintained: MaintainedServices::default(),
            next_handle: 0,
            restored,
            awaited: usize::MAX,
            is_first_round_over: false,
            last_sweep: now,
        }
    }

    /// Records a sweep. There is one every second, so after a long pause the machine was suspended or the process was stopped.
    pub fn record_sweep(&mut self, now: Moment) {
        if now.since(self.last_sweep) > FORGOTTEN_AFTER {
            self.services.iter_mut().for_each(ServiceState::forget_evidence);
            self.save_all();
        }
        self.last_sweep = now;
    }

    /// Applies a configuration. Unchanged checks keep their state, removed ones lose it.
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
                    (Some(state), _) => self.update_service(service, state, now),
                    (None, Some((saved, checks))) => self.restore_service(service, saved, checks, now),
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
        self.record_reload(restored, now);
        self.impacts.rebuild(&mut self.services, now);
        let events = self.update_statuses(now);
        // After the impact, so that a dependency that the configuration adds takes effect at once.
        for service in &mut self.services {
            service.update_conditions();
        }
        events
    }

    /// The health of the services that can be healed.
    pub fn health(&self, now: Moment) -> Health {
        Health::of(&self.services, &self.impacts, now)
    }

    fn new_handle(&mut self) -> CheckHandle {
        self.next_handle += 1;
        CheckHandle(self.next_handle)
    }

    fn update_service(&mut self, service: &Arc<Service>, old: ServiceState, now: Moment) -> ServiceState {
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
                Some(check) => {
                    let handle = self.new_handle();
                    check.with_settings(handle, settings.clone(), fingerprint(settings), now)
                }
                None => self.new_check(settings, None, now),
            });
        ServiceState {
            service: service.clone(),
            saved: old.saved,
            checks: checks.collect(),
            status_changes: old.status_changes,
            counts_since: old.counts_since,
            suppression: old.suppression,
            maintenance: old.maintenance,
            roots: Vec::new(),
            observed: old.observed,
            needs_saving: true,
        }
    }

    fn restore_service(
        &mut self,
        service: &Arc<Service>,
        saved: SavedService,
        checks: SavedChecks,
        now: Moment,
    ) -> ServiceState {
        // Removed checks count too: the service was monitored.
        let last_ended = checks.iter().filter_map(|(_, check)| check.last_ended).max();
        let mut checks: HashMap<CheckName, SavedCheck> = checks.into_iter().collect();
        let checks = service.checks.iter().map(|settings| {
            let saved = checks.remove(&settings.name);
            self.new_check(settings, saved, now)
        });
        let mut state = ServiceState {
            service: service.clone(),
            saved,
            checks: checks.collect(),
            status_changes: 0,
            counts_since: now,
            suppression: Suppression::default(),
            maintenance: None,
            roots: Vec::new(),
            observed: Observed::default(),
            needs_saving: true,
        };
        state.restore(last_ended, now);
        state.restore_maintenance(&self.maintained);
        state
    }

    fn new_check(
        &mut self,
        settings: &Arc<CheckSettings>,
        saved: Option<SavedCheck>,
        now: Moment,
    ) -> CheckState {
        let mut saved = saved.unwrap_or_default();
        let fingerprint = fingerprint(settings);
        if saved.fingerprint != fingerprint {
            saved.fingerprint = fingerprint;
            saved.verdict.let_next_run_decide();
        }
        let counts = CountsStart {
            since: now,
            has_native_histogram: self.has_native_histograms,
        };
        CheckState::new(self.new_handle(), settings.clone(), saved, counts)
    }

    /// The handle and the settings of every check, in the order of the configuration.
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

    /// What requests early runs of a check. `None` if the check was removed or changed.
    pub fn wakeup(&self, handle: CheckHandle) -> Option<Arc<Notify>> {
        let (place, position) = *self.positions.get(&handle)?;
        Some(self.services[place].checks[position].wakeup.clone())
    }

    /// Records a run. Returns `None` if its check was removed or changed.
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
            // Replace a run without a result soon, even if the interval is long.
            let recheck = !check.saved.verdict.is_up() || check.settings.interval > SOON;
            let next_run = NextRun {
                recheck,
                recovers_after: None,
            };
            return Some((next_run, None));
        };
        let needs_recheck = check.saved.verdict.needs_recheck(&recorded.judgement);
        let recovers_after = check.recovers_after(run.started);
        let has_evidence = check.saved.verdict.evidence.iter().any(Option::is_some);
        let conditions_changed = (recorded.verdict_changed || has_evidence) && service.update_conditions();
        let since = recorded.status_since.unwrap_or(run.ended);
        let change = service.update_status(run.ended, since, Some(position));
        self.has_new_runs = true;
        if recorded.verdict_changed || conditions_changed || change.is_some() {
            service.needs_saving = true;
            self.needs_saving = true;
        }
        let next_run = NextRun {
            recheck: needs_recheck || (has_evidence && service.awaits_evidence(position, run.ended)),
            recovers_after,
        };
        let status_before = change.as_ref().map(|change| change.old);
        let event = service.event(position, &recorded, change, run.ended);
        if let Some(before) = status_before {
            self.needs_saving |= self.impacts.update(&mut self.services, place, run.ended);
            let status = self.services[place].saved.status;
            let is_failing = matches!(status, Status::Degraded | Status::Down);
            if is_failing && status.rank() < before.rank() {
                self.impacts.request_runs(&self.services, place, run.ended);
            }
        }
        Some((next_run, event))
    }

    /// Updates statuses that change because results became stale.
    pub fn update_statuses(&mut self, now: Moment) -> Vec<Event> {
        let mut events = Vec::new();
        for position in 0..self.services.len() {
            if let Some(change) = self.services[position].update_status(now, now, None) {
                self.services[position].needs_saving = true;
                self.impacts.update(&mut self.services, position, now);
                self.needs_saving = true;
                events.push(Event::Status(change));
            }
        }
        events
    }

    /// Whether every check has run at least once. Once true, it stays true.
    pub const fn is_first_round_over(&self) -> bool {
        self.is_first_round_over
    }
}
