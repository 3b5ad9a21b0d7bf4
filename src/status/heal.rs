//! Healing in the status document.

use serde::Serialize;

use super::time::Time;
use super::word::Word;
use crate::config::heal::HealMode;
use crate::model::Reason;
use crate::store::{HealDecision, HealState};

/// The healing of a service.
#[derive(Debug, Serialize)]
pub struct HealStatus<'a> {
    /// Its mode.
    pub mode: Word<HealMode>,
    /// What an action does.
    pub action: &'static str,
    /// The unit or container. `None` for a command without one.
    pub target: Option<&'a str>,
    /// Whether healing gave up.
    pub gave_up: bool,
    /// Whether a person paused it.
    pub paused: bool,
    /// When the pause ends. `None` without a pause, or if a person must end it.
    pub paused_until: Option<Time>,
    /// Who paused it.
    pub paused_by: Option<&'a str>,
    /// Why no action is taken now. `None` if nothing is to be healed, or an action is in progress.
    pub refusal: Option<&'static str>,
    /// The actions that are left in this hour.
    pub budget_remaining: u32,
    /// The maximum number of actions within an hour.
    pub budget_limit: u32,
    /// When the last action began.
    pub last_action: Option<Time>,
    /// The result of the last action.
    pub last_result: Option<&'static str>,
    /// The last decisions, newest first. Only in the object of a single service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decisions: Option<Vec<DecisionStatus<'a>>>,
}

/// A decision or event.
#[derive(Debug, Serialize)]
pub struct DecisionStatus<'a> {
    /// When.
    pub at: Time,
    /// What happened.
    pub event: &'static str,
    /// The action, the reason of a refusal, or who paused or resumed healing.
    pub detail: &'a str,
    /// The check that caused it.
    pub check: Option<&'a str>,
    /// Its failed runs in a row since the last action.
    pub runs: Option<usize>,
    /// Why the last one failed.
    pub reason: Option<Word<Reason>>,
    /// The evidence for people.
    pub evidence: &'a str,
}

/// Builds the object of a service's healing, without its decisions.
pub fn heal(state: &HealState) -> HealStatus<'_> {
    let (pause, last) = (state.pause.as_ref(), state.last_action);
    HealStatus {
        mode: Word(state.mode),
        action: state.action,
        target: Some(state.target.as_str()).filter(|target| !target.is_empty()),
        gave_up: state.has_given_up,
        paused: pause.is_some(),
        paused_until: pause.and_then(|pause| pause.until).map(Time::new),
        paused_by: pause.map(|pause| pause.by.as_str()),
        refusal: state.refusal,
        budget_remaining: state.budget_remaining,
        budget_limit: state.budget_limit,
        last_action: last.map(|action| Time::new(action.at)),
        last_result: last.map(|action| action.result),
        decisions: None,
    }
}

/// Builds the object of a service's healing, with its decisions.
pub fn heal_with_decisions(state: &HealState) -> HealStatus<'_> {
    HealStatus {
        decisions: Some(state.decisions.iter().map(decision).collect()),
        ..heal(state)
    }
}

fn decision(decision: &HealDecision) -> DecisionStatus<'_> {
    let cause = decision.cause.as_ref();
    DecisionStatus {
        at: Time::new(decision.at),
        event: decision.event,
        detail: &decision.detail,
        check: cause.map(|(check, ..)| check.as_str()),
        runs: cause.map(|(_, runs, _)| *runs),
        reason: cause.map(|(.., reason)| Word(*reason)),
        evidence: &decision.evidence,
    }
}
