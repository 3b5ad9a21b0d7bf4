//! One round of healing: collects evidence, decides about every service, saves intents, and acts.

use std::sync::Arc;

use futures_util::stream::{self, StreamExt};

use super::evidence::{Evidence, FailedRun, FailingCheck, MachineEvidence, TargetEvidence};
use super::machine::Machine;
use super::policy::{Decision, Totals, Trigger, decide, is_storm, observe, refuse_by_target};
use super::record::HealEvent;
use super::shared::Shared;
use crate::config::heal::HealSettings;
use crate::model::{Moment, ServiceKey};
use crate::store::ServiceHealth;

/// The maximum number of states that are queried at the same time.
const MAX_QUERIES: usize = 8;

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
        let health = self.store.health();
        let mut services = health.services.iter();
        let current = services.find(|service| {
            service.service.key == before.service.key && service.service.heal == before.service.heal
        });
        let Some(service) = current else {
            return;
        };
        let evidence = Evidence {
            target,
            ..evidence_of(service, machine)
        };
        if let (Decision::Act(trigger), Some(settings)) =
            (self.decide(service, &evidence), &service.service.heal)
        {
            self.act(&service.service.key, settings, &trigger).await;
        }
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
        let totals = Totals {
            is_disabled: self.is_disabled,
            ..Totals::new(&state.history, settings.mode, state.limits.total, now)
        };
        let totals = Totals {
            can_save: totals.can_save && state.can_save,
            ..totals
        };
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

    /// Saves the intent, and starts the action. If the intent can't be saved, there is no action.
    async fn act(self: &Arc<Self>, key: &ServiceKey, settings: &HealSettings, trigger: &Trigger) {
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
        // Another exporter may have acted while this one saved. Its job, or the start of the unit, shows that.
        let target = self.query(settings).await;
        if let Some(refusal) = refuse_by_target(settings, &target) {
            let mut state = self.state();
            state.history.service(key).cancel(before);
            state.log.is_new(key, refusal, now);
            let (event, text) = (HealEvent::Refused, &trigger.evidence);
            state.record(key, event, refusal.as_str(), Some(trigger), text, now);
            return;
        }
        let (event, text) = (HealEvent::Acting, &trigger.evidence);
        self.state()
            .record(key, event, settings.action.as_str(), Some(trigger), text, now);
        let (shared, key, settings) = (Arc::clone(self), key.clone(), settings.clone());
        // The action continues if the loop is late. It ends with the runtime; then it counts as interrupted.
        tokio::spawn(async move {
            let result = shared.control.act(&key, &settings, &target).await;
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
        in_maintenance: service.in_maintenance,
        target: TargetEvidence::NotQueried,
        machine: *machine,
    }
}

/// A random number from 0 to 1. If the system has none, all backoffs are alike.
fn jitter() -> f64 {
    let random = getrandom::u32().unwrap_or(u32::MAX / 2);
    f64::from(random) / f64::from(u32::MAX)
}
