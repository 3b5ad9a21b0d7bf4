//! An immutable view of healing, for metrics, pages and commands.

use std::collections::BTreeMap;

use super::history::{History, Pause, ServiceHistory};
use super::log::Log;
use super::policy::Refusal;
use super::record::{HealEvent, HealRecord};
use crate::config::heal::{HealLimits, HealMode, HealSettings};
use crate::model::{Moment, ServiceKey};
use crate::store::Health;

/// Healing at one moment.
#[derive(Clone, Debug, Default)]
pub struct HealView {
    /// Whether the flag `--no-heal` is set.
    pub is_disabled: bool,
    /// Whether the last attempt to save the history failed, or there is no state directory.
    pub cannot_save: bool,
    /// The actions that the budget of all services has left in this hour.
    pub budget_remaining: u32,
    /// The maximum number of actions on all services within an hour.
    pub budget_limit: u32,
    /// The pause of all services.
    pub pause: Option<Pause>,
    /// The services that can be healed, in the order of the configuration.
    pub services: Vec<ServiceHealView>,
}

/// The healing of a service. Times are Unix times in seconds.
#[derive(Clone, Debug)]
pub struct ServiceHealView {
    /// The service.
    pub service: ServiceKey,
    /// Its mode.
    pub mode: HealMode,
    /// What an action does: `restart`, `start` or `command`.
    pub action: &'static str,
    /// The unit or container; empty for a command without one.
    pub target: String,
    /// The actions, or in a dry run the dry runs, that its budget has left in this hour.
    pub budget_remaining: u32,
    /// Its maximum number of actions within an hour.
    pub budget_limit: u32,
    /// Its own pause.
    pub pause: Option<Pause>,
    /// Whether healing gave up.
    pub has_given_up: bool,
    /// Whether an action is in progress.
    pub is_acting: bool,
    /// Why no action is taken now. `None` if nothing is to be healed, or an action is in progress.
    pub refusal: Option<Refusal>,
    /// When the last action began, and its last event.
    pub last_action: Option<(f64, HealEvent)>,
    /// Finished actions since the exporter started, by their result: acted, failed or dry_run.
    pub actions: BTreeMap<HealEvent, u64>,
    /// Refusals since the exporter started. A refusal that lasts counts once.
    pub refusals: BTreeMap<Refusal, u64>,
    /// The last decisions, newest first, each with its time.
    pub records: Vec<(f64, HealRecord)>,
}

/// The time of a view.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// The moment.
    pub now: Moment,
    /// The wall clock, in nanoseconds of Unix time.
    pub wall: i64,
}

impl Times {
    /// The Unix time of a moment in seconds.
    #[allow(
        clippy::cast_precision_loss,
        reason = "a quarter of a microsecond is lost in our century"
    )]
    pub(super) fn unix(self, moment: Moment) -> f64 {
        let since = moment.as_nanos().saturating_sub(self.now.as_nanos());
        self.wall.saturating_add(since) as f64 / 1e9
    }
}

impl HealView {
    /// The view of the services in `health`.
    pub(super) fn new(
        health: &Health,
        history: &History,
        log: &Log,
        limits: HealLimits,
        times: Times,
    ) -> Self {
        let services = health.services.iter().filter_map(|service| {
            let settings = service.service.heal.as_ref()?;
            Some(ServiceHealView::new(
                &service.service.key,
                settings,
                history,
                log,
                times,
            ))
        });
        Self {
            is_disabled: false,
            cannot_save: false,
            budget_remaining: limits.total.saturating_sub(history.spent(true, times.now)),
            budget_limit: limits.total,
            pause: history.pause.clone().filter(|pause| pause.holds(times.now)),
            services: services.collect(),
        }
    }
}

impl ServiceHealView {
    fn new(key: &ServiceKey, settings: &HealSettings, all: &History, log: &Log, times: Times) -> Self {
        let empty = ServiceHistory::default();
        let history = all.services.get(key).unwrap_or(&empty);
        let spent = history.spent(settings.mode == HealMode::Act, times.now);
        let spent = spent.max(all.spent_on_target(settings, times.now));
        let target = settings.target.as_ref();
        Self {
            service: key.clone(),
            mode: settings.mode,
            action: settings.action.as_str(),
            target: target.map_or_else(String::new, |target| target.name().to_owned()),
            budget_remaining: settings.budget.saturating_sub(spent),
            budget_limit: settings.budget,
            pause: history.pause.clone().filter(|pause| pause.holds(times.now)),
            has_given_up: history.has_given_up(),
            is_acting: history.is_acting(),
            refusal: log.current(key),
            last_action: history
                .last_action
                .map(|action| (times.unix(action.began), action.event)),
            actions: log.actions(key),
            refusals: log.refusals(key),
            records: history
                .records
                .iter()
                .rev()
                .map(|record| (times.unix(record.at), record.clone()))
                .collect(),
        }
    }
}
