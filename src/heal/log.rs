//! Logs each decision as one line when it changes, and counts decisions. A refusal lasts for many rounds.

use std::collections::BTreeMap;
use std::time::Duration;

use tracing::{info, warn};

use super::policy::Refusal;
use super::record::{HealEvent, HealRecord};
use crate::model::{Moment, ServiceKey};

/// The minimum time between two records of the same refusal of a service. Refusals may alternate every second.
const REPEAT: Duration = Duration::from_secs(60);

/// What was logged and counted, by service.
#[derive(Debug, Default)]
pub struct Log {
    services: BTreeMap<ServiceKey, ServiceLog>,
}

#[derive(Debug, Default)]
struct ServiceLog {
    /// The refusal that lasts.
    current: Option<Refusal>,
    /// When each refusal was last recorded in this outage.
    recorded: BTreeMap<Refusal, Moment>,
    actions: BTreeMap<HealEvent, u64>,
    refusals: BTreeMap<Refusal, u64>,
}

impl Log {
    /// Notes a refusal. Returns whether it should be recorded: it is not the current one, and was not recorded within a minute.
    pub fn is_new(&mut self, key: &ServiceKey, refusal: Refusal, now: Moment) -> bool {
        let log = self.services.entry(key.clone()).or_default();
        let is_other = log.current.replace(refusal) != Some(refusal);
        let recorded = log.recorded.get(&refusal);
        if !is_other || recorded.is_some_and(|recorded| now.since(*recorded) < REPEAT) {
            return false;
        }
        log.recorded.insert(refusal, now);
        *log.refusals.entry(refusal).or_default() += 1;
        true
    }

    /// Notes that no refusal lasts. If the service works, the outage is over.
    pub fn end(&mut self, key: &ServiceKey, is_working: bool) {
        if let Some(log) = self.services.get_mut(key) {
            log.current = None;
            if is_working {
                log.recorded.clear();
            }
        }
    }

    /// Removes services that are not configured.
    pub fn clean(&mut self, is_configured: impl Fn(&ServiceKey) -> bool) {
        self.services.retain(|key, _| is_configured(key));
    }

    /// Logs a record and counts it.
    pub fn write(&mut self, key: &ServiceKey, record: &HealRecord) {
        if matches!(
            record.event,
            HealEvent::Acted | HealEvent::Failed | HealEvent::DryRun
        ) {
            let log = self.services.entry(key.clone()).or_default();
            *log.actions.entry(record.event).or_default() += 1;
        }
        let (event, detail, evidence) = (record.event.as_str(), &record.detail, &record.evidence);
        let (check, runs, reason) = match &record.cause {
            Some((check, runs, reason)) => (check.as_str(), *runs, reason.as_str()),
            None => ("", 0, ""),
        };
        match record.event {
            HealEvent::Acting => {
                warn!(service = %key, action = detail, check, runs, reason, evidence, "healing the service");
            }
            HealEvent::Acted => info!(service = %key, action = detail, "the action is complete"),
            HealEvent::Failed => {
                warn!(service = %key, action = detail, error = evidence, "the action failed")
            }
            HealEvent::DryRun => {
                info!(service = %key, action = detail, check, runs, reason, evidence, "would heal the service (dry run)");
            }
            HealEvent::Refused => {
                info!(service = %key, refusal = detail, check, runs, reason, evidence, "not healing the service");
            }
            HealEvent::Helped => info!(service = %key, action = detail, "the action helped"),
            HealEvent::DidNotHelp => warn!(service = %key, action = detail, "the action did not help"),
            HealEvent::GaveUp => {
                warn!(service = %key, "giving up healing the service until it is up or a person resumes it");
            }
            HealEvent::Interrupted | HealEvent::Paused | HealEvent::Resumed => {
                info!(service = %key, event, detail, evidence, "healing");
            }
        }
    }

    /// The refusal that lasts.
    pub fn current(&self, key: &ServiceKey) -> Option<Refusal> {
        self.services.get(key)?.current
    }

    /// The actions by their result.
    pub fn actions(&self, key: &ServiceKey) -> BTreeMap<HealEvent, u64> {
        self.services
            .get(key)
            .map(|log| log.actions.clone())
            .unwrap_or_default()
    }

    /// The recorded refusals by their reason.
    pub fn refusals(&self, key: &ServiceKey) -> BTreeMap<Refusal, u64> {
        self.services
            .get(key)
            .map(|log| log.refusals.clone())
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_recorded_when_it_changes_and_at_most_once_a_minute() {
        let mut log = Log::default();
        let key = ServiceKey::new("api");
        let at = |seconds| Moment::default() + Duration::from_secs(seconds);
        let mut recorded = |refusal, second| log.is_new(&key, refusal, at(second));
        assert!(recorded(Refusal::StartGrace, 0));
        assert!(!recorded(Refusal::StartGrace, 1));
        assert!(recorded(Refusal::AutoRestart, 2));
        assert!(!recorded(Refusal::StartGrace, 3));
        assert!(!recorded(Refusal::AutoRestart, 61), "within a minute");
        assert!(recorded(Refusal::StartGrace, 63));
        assert!(!recorded(Refusal::StartGrace, 500), "it lasts");
        assert_eq!(log.refusals(&key)[&Refusal::StartGrace], 2);
        log.end(&key, true);
        assert_eq!(log.current(&key), None);
        assert!(log.is_new(&key, Refusal::StartGrace, at(501)));
    }
}
