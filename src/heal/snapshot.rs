//! Adds the state of healing to a snapshot, for metrics, pages and the status document.

use std::collections::HashMap;

use super::healer::Healer;
use super::history::Pause;
use super::policy::Refusal;
use super::record::{HealEvent, HealRecord};
use super::view::{HealView, ServiceHealView, Times};
use crate::model::ServiceKey;
use crate::store::{HealBudget, HealDecision, HealPause, HealState, LastAction, Snapshot};

/// The results of finished actions, which the metric counts.
const RESULTS: [HealEvent; 3] = [HealEvent::Acted, HealEvent::Failed, HealEvent::DryRun];

impl Healer {
    /// Adds the healing of every service to `snapshot`.
    pub fn add_to(&self, snapshot: &mut Snapshot) {
        if snapshot.services.iter().any(|view| view.service.heal.is_some()) {
            self.view().add_to(snapshot, self.times());
        }
    }
}

impl HealView {
    fn add_to(self, snapshot: &mut Snapshot, times: Times) {
        snapshot.exporter.heal_budget = Some(HealBudget {
            remaining: self.budget_remaining,
            limit: self.budget_limit,
        });
        let pause = self.pause;
        let services = self.services.into_iter();
        let mut services: HashMap<ServiceKey, ServiceHealView> = services
            .map(|service| (service.service.clone(), service))
            .collect();
        for view in &mut snapshot.services {
            let service = services.remove(&view.service.key);
            view.heal = service.map(|service| state(service, pause.as_ref(), times));
        }
    }
}

/// The state of a service. `pause` is that of all services.
fn state(view: ServiceHealView, pause: Option<&Pause>, times: Times) -> HealState {
    let pause = view.pause.as_ref().or(pause).map(|pause| HealPause {
        until: pause.until.map(|until| times.unix(until)),
        by: pause.by.clone(),
    });
    let count = |result: HealEvent| view.actions.get(&result).copied().unwrap_or(0);
    let refusals = Refusal::ALL.iter().map(|reason| {
        let count = view.refusals.get(reason).copied().unwrap_or(0);
        (reason.as_str(), count)
    });
    HealState {
        mode: view.mode,
        action: view.action,
        target: view.target,
        budget_remaining: view.budget_remaining,
        budget_limit: view.budget_limit,
        pause,
        has_given_up: view.has_given_up,
        refusal: view.refusal.map(Refusal::as_str),
        last_action: view.last_action.map(|(at, event)| LastAction {
            at,
            result: last_result(event),
        }),
        actions: RESULTS.map(|result| (result.as_str(), count(result))).to_vec(),
        refusals: refusals.collect(),
        decisions: view.records.into_iter().map(decision).collect(),
    }
}

/// What the last event of an action says about it.
pub(super) fn last_result(event: HealEvent) -> &'static str {
    match event {
        HealEvent::Helped => "success",
        HealEvent::Failed | HealEvent::Interrupted | HealEvent::DidNotHelp => "failed",
        _ => "pending",
    }
}

fn decision((at, record): (f64, HealRecord)) -> HealDecision {
    HealDecision {
        at,
        event: record.event.as_str(),
        detail: record.detail,
        cause: record.cause,
        evidence: record.evidence,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heal::history::ServiceHistory;
    use crate::heal::record::MAX_DECISIONS;
    use crate::heal::tests::settings;
    use crate::model::Moment;

    #[test]
    fn the_result_of_an_action_is_that_of_its_verification() {
        use HealEvent::*;
        let at = Moment::default();
        let result = |events: &[HealEvent]| {
            let mut history = ServiceHistory::default();
            history.begin(&settings(""), 0.5, at);
            for event in events {
                history.record(record(*event));
            }
            last_result(history.last_action.unwrap().event)
        };
        assert_eq!(result(&[]), "pending");
        assert_eq!(result(&[Refused, Acting]), "pending");
        assert_eq!(result(&[Acting, Acted]), "pending");
        assert_eq!(result(&[Acting, Failed, Refused]), "failed");
        assert_eq!(result(&[Interrupted]), "failed");
        assert_eq!(result(&[Acting, Acted, Helped, Refused]), "success");
        assert_eq!(result(&[Acting, Acted, DidNotHelp, GaveUp, Resumed]), "failed");
        assert_eq!(result(&[Acting, Acted, Helped, Acting, Acted]), "pending");
        let refused = [Refused; MAX_DECISIONS];
        assert_eq!(
            result(&[&[Acting, Acted, Helped], &refused[..]].concat()),
            "success",
            "refusals pushed the records of the action out"
        );
    }

    fn record(event: HealEvent) -> HealRecord {
        HealRecord {
            at: Moment::default(),
            event,
            detail: String::new(),
            cause: None,
            evidence: String::new(),
        }
    }
}
