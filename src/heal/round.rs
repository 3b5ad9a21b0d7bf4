//! One round of healing: collects evidence, decides about every service, saves intents, and acts.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::stream::{self, StreamExt};

use super::evidence::{Evidence, FailedRun, FailingCheck, MachineEvidence, TargetEvidence};
use super::history::ServiceHistory;
use super::machine::Machine;
use super::policy::{Decision, Refusal, Totals, Trigger, decide, is_storm, observe};
use super::record::HealEvent;
use super::shared::{Shared, State};
use crate::config::heal::HealSettings;
use crate::model::{Moment, ServiceKey};
use crate::store::ServiceHealth;

/// The maximum number of states that are queried at the same time.
const MAX_QUERIES: usize = 8;

/// The maximum time from an intent to its action. Normally it takes milliseconds, and a state that can't be queried 10 s.
const MAX_INTENT_AGE: Duration = Duration::from_secs(30);

impl Shared {
    /// Decides about every service once, and acts.
    pub async fn round(self: &Arc<Self>, machine: &mut Machine) {
        let now = self.clock.now();
        let health = self.store.health();
        let shortage = machine.shortage(now).or(health.shortage);
        if health.services.is_empty() {
            return;
        }
        let machine = MachineEvidence {
            down: health.down_count,
            services: health.service_count,
            shortage,
            pressure: machine.pressure(),
        };
        self.note_storm(&machine, now);
        let due = health.services.iter().filter(|service| {
            // An action without a target is due at once.
            let decision = self.decide(service, &evidence_of(service, &machine));
            matches!(decision, Decision::QueryTarget | Decision::Act(_))
        });
        let due = due.filter_map(|service| Some((service.clone(), service.service.heal.clone()?)));
        let due: Vec<(ServiceHealth, HealSettings)> = due.collect();
        let queries = due.into_iter().map(|(service, settings)| {
            let shared = Arc::clone(self);
            async move {
                let target = shared.query(&settings).await;
                (service, target)
            }
        });
        let mut queried = stream::iter(queries).buffer_unordered(MAX_QUERIES);
        while let Some((service, target)) = queried.next().await {
            self.act_if_due(&service, target, &machine).await;
        }
    }

    /// Decides again about a service that an action was due for, now that the state of its target is known.
    async fn act_if_due(
        self: &Arc<Self>,
        before: &ServiceHealth,
        target: TargetEvidence,
        machine: &MachineEvidence,
    ) {
        // The query took time: the service may have recovered, or may be gone.
        let Some((service, evidence)) = self.refresh(before, target, machine) else {
            return;
        };
        if let (Decision::Act(trigger), Some(settings)) =
            (self.decide(&service, &evidence), &service.service.heal)
        {
            self.act(&service, settings, &trigger, machine).await;
        }
    }

    /// What is known about a service now. `None` if it is gone, or its settings changed.
    fn refresh(
        &self,
        before: &ServiceHealth,
        target: TargetEvidence,
        machine: &MachineEvidence,
    ) -> Option<(ServiceHealth, Evidence)> {
        let mut health = self.store.health();
        let machine = MachineEvidence {
            down: health.down_count,
            services: health.service_count,
            ..*machine
        };
        let mut services = health.services.iter();
        let place = services.position(|service| {
            service.service.key == before.service.key && service.service.heal == before.service.heal
        });
        let service = health.services.swap_remove(place?);
        let target_of = |service: &ServiceHealth| service.service.heal.as_ref()?.target.clone();
        let own = target_of(&service);
        let sharing = health.services.iter();
        let mut sharing = sharing.filter(|other| own.is_some() && target_of(other) == own);
        let state = self.state();
        let is_acting = |key: &ServiceKey| {
            let history = state.history.services.get(key);
            history.is_some_and(ServiceHistory::is_acting)
        };
        let evidence = Evidence {
            target,
            is_target_busy: sharing.any(|other| is_acting(&other.service.key)),
            ..evidence_of(&service, &machine)
        };
        drop(state);
        Some((service, evidence))
    }

    /// Records a storm, which begins a cool-down.
    fn note_storm(&self, machine: &MachineEvidence, now: Moment) {
        let mut state = self.state();
        let evidence = Evidence {
            machine: *machine,
            ..Evidence::default()
        };
        if is_storm(&evidence) {
            state.history.last_storm = Some(now);
            state.needs_saving = true;
        }
    }

    async fn query(&self, settings: &HealSettings) -> TargetEvidence {
        let Some(target) = &settings.target else {
            return TargetEvidence::None;
        };
        match self.control.state(target).await {
            Ok(state) => TargetEvidence::Known(state),
            Err(error) => TargetEvidence::Failed(error),
        }
    }

    /// Decides about a service, and records the decision. An action is only returned.
    fn decide(&self, service: &ServiceHealth, evidence: &Evidence) -> Decision {
        let Some(settings) = &service.service.heal else {
            return Decision::Nothing;
        };
        let now = self.clock.now();
        let key = &service.service.key;
        let mut state = self.state();
        let events = observe(state.history.service(key), settings, evidence, now);
        for event in events {
            state.record(key, event, settings.action.as_str(), None, "", now);
        }
        let totals = self.totals(&state, settings, now);
        let decision = decide(state.history.service(key), &totals, settings, evidence, now);
        match &decision {
            Decision::Nothing => state.log.end(key, evidence.is_working()),
            Decision::QueryTarget => {}
            Decision::Refuse(refusal, trigger) => {
                if state.log.is_new(key, *refusal, now) {
                    let text = trigger.evidence.clone();
                    state.record(
                        key,
                        HealEvent::Refused,
                        refusal.as_str(),
                        Some(trigger),
                        &text,
                        now,
                    );
                }
            }
            Decision::DryRun(trigger) => {
                state.log.end(key, false);
                state.history.service(key).record_dry_run(settings, jitter(), now);
                let text = trigger.evidence.clone();
                state.record(
                    key,
                    HealEvent::DryRun,
                    settings.action.as_str(),
                    Some(trigger),
                    &text,
                    now,
                );
            }
            Decision::Act(_) => state.log.end(key, false),
        }
        decision
    }

    fn totals(&self, state: &State, settings: &HealSettings, now: Moment) -> Totals {
        let totals = Totals::new(&state.history, settings.mode, state.limits.total, now);
        Totals {
            spent_on_target: state.history.spent_on_target(settings, now),
            is_disabled: self.is_disabled,
            can_save: totals.can_save && state.can_save,
            ..totals
        }
    }

    /// Saves the intent, and starts the action. If the intent can't be saved, there is no action.
    async fn act(
        self: &Arc<Self>,
        service: &ServiceHealth,
        settings: &HealSettings,
        trigger: &Trigger,
        machine: &MachineEvidence,
    ) {
        let key = &service.service.key;
        let now = self.clock.now();
        let before = {
            let mut state = self.state();
            let history = state.history.service(key);
            let before = history.clone();
            history.begin(settings, jitter(), now);
            before
        };
        if !self.save().await {
            self.state().history.service(key).cancel(before);
            return;
        }
        let target = self.query(settings).await;
        let refreshed = self.refresh(service, target.clone(), machine);
        let now = self.clock.now();
        if !self.is_still_due(key, before, refreshed, now) {
            return;
        }
        let (event, text) = (HealEvent::Acting, &trigger.evidence);
        self.state()
            .record(key, event, settings.action.as_str(), Some(trigger), text, now);
        let (shared, key, settings) = (Arc::clone(self), key.clone(), settings.clone());
        // The action continues if the loop is late. It ends with the runtime; then it counts as interrupted.
        tokio::spawn(async move {
            let action = shared.control.act(&key, &settings, &target);
            // Otherwise the action would be in progress until the exporter restarts.
            let result = AssertUnwindSafe(action)
                .catch_unwind()
                .await
                .unwrap_or_else(|_| Err("the action panicked, which is a bug in the exporter".to_owned()));
            let now = shared.clock.now();
            let mut state = shared.state();
            state.history.service(&key).end(now);
            let (event, text) = match result {
                Ok(()) => (HealEvent::Acted, String::new()),
                Err(error) => (HealEvent::Failed, error),
            };
            state.record(&key, event, settings.action.as_str(), None, &text, now);
        });
    }

    /// Decides again about an action whose intent is saved, and cancels it if it is not due any more. Saving takes long if the disk
    /// hangs. Meanwhile a person may have acted, or another exporter: its job, or the start of the unit, shows that.
    fn is_still_due(
        &self,
        key: &ServiceKey,
        before: ServiceHistory,
        refreshed: Option<(ServiceHealth, Evidence)>,
        now: Moment,
    ) -> bool {
        let mut state = self.state();
        let begun = state.history.service(key).clone();
        state.history.service(key).cancel(before);
        state.needs_saving = true;
        let Some((service, evidence)) = refreshed else {
            return false;
        };
        let Some(settings) = &service.service.heal else {
            return false;
        };
        let totals = self.totals(&state, settings, now);
        let decision = decide(state.history.service(key), &totals, settings, &evidence, now);
        let began = begun.pending.map_or(now, |pending| pending.began);
        let decision = match decision {
            // The budget counts from the intent.
            Decision::Act(trigger) if now.since(began) > MAX_INTENT_AGE => {
                Decision::Refuse(Refusal::History, trigger)
            }
            decision => decision,
        };
        match decision {
            Decision::Act(_) => {
                *state.history.service(key) = begun;
                true
            }
            Decision::Refuse(refusal, trigger) => {
                state.log.is_new(key, refusal, now);
                let (event, text) = (HealEvent::Refused, &trigger.evidence);
                state.record(key, event, refusal.as_str(), Some(&trigger), text, now);
                false
            }
            Decision::Nothing | Decision::QueryTarget | Decision::DryRun(_) => false,
        }
    }
}

/// What the store knows about a service.
fn evidence_of(service: &ServiceHealth, machine: &MachineEvidence) -> Evidence {
    let failing = service.failing.iter().map(|check| FailingCheck {
        name: check.name.clone(),
        runs: check
            .failed_runs
            .iter()
            .map(|(started, reason)| FailedRun {
                started: *started,
                reason: *reason,
            })
            .collect(),
        message: check
            .problem
            .as_ref()
            .map_or_else(String::new, |problem| problem.message().to_owned()),
    });
    Evidence {
        status: Some(service.status),
        failing: failing.collect(),
        root: service.root.clone(),
        is_root_unknown: service.is_root_unknown,
        checked: service.checked,
        in_maintenance: service.in_maintenance,
        is_target_busy: false,
        target: TargetEvidence::NotQueried,
        machine: *machine,
    }
}

/// A random number from 0 to 1. If the system has none, all backoffs are alike.
fn jitter() -> f64 {
    let random = getrandom::u32().unwrap_or(u32::MAX / 2);
    f64::from(random) / f64::from(u32::MAX)
}
