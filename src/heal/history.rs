//! What was done to heal services, and what is left of it: budgets, backoffs, pauses, and the last decisions.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::backoff::BackoffState;
use super::record::{HealEvent, HealRecord, MAX_DECISIONS};
use crate::config::Target;
use crate::config::heal::{HealMode, HealSettings};
use crate::model::{Moment, ServiceKey};

/// The time that budgets are for.
pub const BUDGET_WINDOW: Duration = Duration::from_secs(3600);

/// How long a service must be up until its backoff halves.
pub const DECAY: Duration = Duration::from_secs(600);

/// After this many actions in a row that did not help, healing gives up.
pub const UNHELPFUL_ACTIONS: u32 = 2;

/// An action or the decision of a dry run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// When it began.
    pub at: Moment,
    /// False in a dry run.
    pub is_real: bool,
}

/// An action whose effect is not known yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// When it began.
    pub began: Moment,
    /// When it ended. `None` while it is in progress.
    pub ended: Option<Moment>,
}

/// The last action on a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastAction {
    /// When it began.
    pub began: Moment,
    /// The last event of it: `Acting`, `Acted`, `Failed`, `Interrupted`, `Helped` or `DidNotHelp`.
    pub event: HealEvent,
}

/// A pause of healing, requested by a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// When it began.
    pub since: Moment,
    /// When it ends; `None` if a person must end it.
    pub until: Option<Moment>,
    /// Who requested it.
    pub by: String,
    /// Why.
    pub comment: String,
}

impl Pause {
    /// Whether it holds at `now`.
    pub fn holds(&self, now: Moment) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// The history of one service.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServiceHistory {
    /// The attempts that budgets depend on, oldest first.
    pub attempts: VecDeque<Attempt>,
    /// The last action, until its effect is known.
    pub pending: Option<Pending>,
    /// Actions in a row that did not help.
    pub unhelpful: u32,
    /// The backoff of actions.
    pub backoff: BackoffState,
    /// The backoff of dry runs.
    pub dry_backoff: BackoffState,
    /// Only failed runs that started after this moment count.
    pub counts_from: Option<Moment>,
    /// The pause of this service.
    pub pause: Option<Pause>,
    /// The number of actions since the history began.
    pub actions: u64,
    /// The full name of the unit or container of the last attempt.
    pub target: Option<String>,
    /// The last action, which the records may no longer contain.
    pub last_action: Option<LastAction>,
    /// The last decisions, oldest first.
    pub records: VecDeque<HealRecord>,
    /// When the service was last in maintenance or impacted, or the machine in trouble. Not saved, like the runs before it.
    pub held: Option<Moment>,
    /// Since when the service has been up. Not saved.
    pub working_since: Option<Moment>,
    /// When the backoff last halved, or the service became up. Not saved, so a restart of the exporter only delays it.
    pub decays_from: Option<Moment>,
}

impl ServiceHistory {
    /// Records the intent to act. It counts from now on, whatever happens to the action. `jitter` is between 0 and 1.
    pub fn begin(&mut self, settings: &HealSettings, jitter: f64, now: Moment) {
        self.attempt(true, settings, now);
        self.actions += 1;
        self.last_action = Some(LastAction {
            began: now,
            event: HealEvent::Acting,
        });
        self.pending = Some(Pending {
            began: now,
            ended: None,
        });
        self.backoff.grow(settings.backoff, jitter, now);
        self.counts_from = Some(now);
        self.working_since = None;
        self.decays_from = None;
    }

    /// Undoes [`Self::begin`], because the action was not taken. `before` is the history before it.
    pub fn cancel(&mut self, before: Self) {
        self.attempts = before.attempts;
        self.actions = before.actions;
        self.last_action = before.last_action;
        self.pending = before.pending;
        self.backoff = before.backoff;
        self.counts_from = before.counts_from;
    }

    /// Records the end of the action.
    pub fn end(&mut self, now: Moment) {
        if let Some(pending) = &mut self.pending
            && pending.ended.is_none()
        {
            pending.ended = Some(now);
            // The backoff counts from the end, because a restart may take minutes.
            let took = now.since(pending.began);
            self.backoff.not_before = self.backoff.not_before.map(|until| until + took);
            self.counts_from = Some(now);
        }
    }

    /// Records what a dry run would have done.
    pub fn record_dry_run(&mut self, settings: &HealSettings, jitter: f64, now: Moment) {
        self.attempt(false, settings, now);
        self.dry_backoff.grow(settings.backoff, jitter, now);
        self.counts_from = Some(now);
    }

    fn attempt(&mut self, is_real: bool, settings: &HealSettings, now: Moment) {
        self.forget_attempts(now);
        self.target = settings.target.as_ref().map(Target::full_name);
        self.attempts.push_back(Attempt { at: now, is_real });
    }

    /// Removes attempts that no budget depends on.
    pub fn forget_attempts(&mut self, now: Moment) {
        self.attempts
            .retain(|attempt| now.since(attempt.at) < BUDGET_WINDOW);
    }

    /// The actions or dry runs within the last hour.
    pub fn spent(&self, is_real: bool, now: Moment) -> u32 {
        let counted = self.attempts.iter();
        let counted =
            counted.filter(|attempt| attempt.is_real == is_real && now.since(attempt.at) < BUDGET_WINDOW);
        u32::try_from(counted.count()).unwrap_or(u32::MAX)
    }

    /// When the next action or dry run may begin.
    pub fn not_before(&self, is_real: bool) -> Option<Moment> {
        match is_real {
            true => self.backoff.not_before,
            false => self.dry_backoff.not_before,
        }
    }

    /// Whether an action is in progress.
    pub fn is_acting(&self) -> bool {
        self.pending.is_some_and(|pending| pending.ended.is_none())
    }

    /// Whether the effect of the last action can't be known yet at `now`: it had too little time to help.
    pub fn is_verifying(&self, settings: &HealSettings, now: Moment) -> bool {
        let ended = self.pending.and_then(|pending| pending.ended);
        ended.is_some_and(|ended| now.since(ended) < settings.verify_for.max(settings.start_grace))
    }

    /// Whether healing gave up.
    pub fn has_given_up(&self) -> bool {
        self.unhelpful >= UNHELPFUL_ACTIONS
    }

    /// Records that the service is up, or not. Its checks last ran at `checked`: one run at the start does not show that it stays up.
    /// Returns `Helped` if that proves that the last action helped.
    pub fn record_working(
        &mut self,
        is_working: bool,
        settings: &HealSettings,
        now: Moment,
        checked: Moment,
    ) -> Option<HealEvent> {
        if !is_working {
            self.working_since = None;
            self.decays_from = None;
            return None;
        }
        let since = *self.working_since.get_or_insert(now);
        let decays_from = self.decays_from.get_or_insert(since);
        while now.since(*decays_from) >= DECAY {
            *decays_from = *decays_from + DECAY;
            self.backoff.level = self.backoff.level.saturating_sub(1);
            self.dry_backoff.level = self.dry_backoff.level.saturating_sub(1);
            if self.backoff.level == 0 && self.dry_backoff.level == 0 {
                *decays_from = now;
            }
        }
        let since = match self.pending {
            Some(pending) => since.max(pending.ended?),
            None => since,
        };
        if checked.since(since) < settings.verify_for {
            return None;
        }
        self.unhelpful = 0;
        self.pending.take().map(|_| HealEvent::Helped)
    }

    /// Records that the last action did not help. Returns whether healing gives up now.
    pub fn record_unhelpful(&mut self) -> bool {
        self.pending = None;
        self.unhelpful = self.unhelpful.saturating_add(1);
        self.unhelpful == UNHELPFUL_ACTIONS
    }

    /// Ends a pause, and tries again after giving up. Budgets and backoffs stay.
    pub fn resume(&mut self) {
        self.pause = None;
        self.unhelpful = 0;
    }

    /// Adds a record and removes the oldest.
    pub fn record(&mut self, record: HealRecord) {
        if let Some(action) = &mut self.last_action
            && record.event.is_of_action()
        {
            action.event = record.event;
        }
        if self.records.len() >= MAX_DECISIONS {
            self.records.pop_front();
        }
        self.records.push_back(record.bounded());
    }

    /// Whether anything of it matters for future decisions at `now`.
    fn matters(&self, now: Moment) -> bool {
        let is_recent = self
            .attempts
            .iter()
            .any(|attempt| now.since(attempt.at) < BUDGET_WINDOW);
        is_recent || self.is_acting() || self.pause.as_ref().is_some_and(|pause| pause.holds(now))
    }
}

/// The history of all services.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// By service. Removed services stay while a budget depends on them.
    pub services: BTreeMap<ServiceKey, ServiceHistory>,
    /// The pause of all services.
    pub pause: Option<Pause>,
    /// When a storm was last seen.
    pub last_storm: Option<Moment>,
    /// No action before this moment: the history of the last hour was lost.
    pub lost_until: Option<Moment>,
}

impl History {
    /// A history to use if the saved one is lost, except for its `pauses`. Its budgets count as spent for an hour.
    pub fn lost(pauses: Self, now: Moment) -> Self {
        Self {
            lost_until: Some(now + BUDGET_WINDOW),
            ..pauses
        }
    }

    /// The actions or dry runs on all services within the last hour.
    pub fn spent(&self, is_real: bool, now: Moment) -> u32 {
        let services = self.services.values();
        services.map(|service| service.spent(is_real, now)).sum()
    }

    /// The actions or dry runs within the last hour on the unit or container of a service with these settings. Other services may
    /// have the same one.
    pub fn spent_on_target(&self, settings: &HealSettings, now: Moment) -> u32 {
        let Some(name) = settings.target.as_ref().map(Target::full_name) else {
            return 0;
        };
        let services = self.services.values();
        let services = services.filter(|service| service.target.as_ref() == Some(&name));
        let is_real = settings.mode == HealMode::Act;
        services.map(|service| service.spent(is_real, now)).sum()
    }

    /// The history of a service.
    pub fn service(&mut self, key: &ServiceKey) -> &mut ServiceHistory {
        self.services.entry(key.clone()).or_default()
    }

    /// Ends the actions that were in progress when the exporter was killed. They count, and may have continued until `now`.
    pub fn end_interrupted(&mut self, now: Moment) {
        for service in self.services.values_mut().filter(|service| service.is_acting()) {
            service.end(now);
            service.record(HealRecord {
                at: now,
                event: HealEvent::Interrupted,
                detail: String::new(),
                cause: None,
                evidence: "the exporter ended during the action".to_owned(),
            });
        }
    }

    /// Removes what nothing depends on at `now`: old attempts, and services that are not healed. If healing gave up on a service, that
    /// stays until the service itself is removed: switching healing off and on does not resume it.
    pub fn clean(
        &mut self,
        is_healed: impl Fn(&ServiceKey) -> bool,
        is_configured: impl Fn(&ServiceKey) -> bool,
        now: Moment,
    ) {
        for service in self.services.values_mut() {
            service.forget_attempts(now);
        }
        self.services.retain(|key, service| {
            is_healed(key) || service.matters(now) || (service.has_given_up() && is_configured(key))
        });
    }
}
