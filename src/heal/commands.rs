//! Carries out the requests of the command `heal`.

use std::time::Duration;

use super::healer::Healer;
use super::history::Pause;
use super::record::HealRecord;
use super::request::{DecisionRow, PauseRow, Request, Response, ServiceRow};
use super::snapshot::last_result;
use super::view::{HealView, ServiceHealView, Times};
use crate::config::suggest;
use crate::model::{ServiceKey, UtcTime, visible};

/// The longest pause. A longer one is a reason to set `mode: off`.
const MAX_PAUSE: Duration = Duration::from_secs(31 * 24 * 3600);

/// The maximum size of a reason in bytes.
const MAX_REASON: usize = 200;

/// The maximum size of a key that an error quotes, in bytes.
const MAX_QUOTED: usize = 100;

impl Healer {
    /// Carries out a request of the user `by`. It may wait for the disk.
    ///
    /// # Errors
    /// A description of the error, for the user.
    pub fn handle(&self, request: &Request, by: &str) -> Result<Response, String> {
        let service = match request {
            Request::Status { service } | Request::Pause { service, .. } | Request::Resume { service } => {
                service.as_deref().map(|name| self.find(name)).transpose()?
            }
        };
        let mut warnings = Vec::new();
        match request {
            Request::Status { .. } => {}
            Request::Pause { seconds, reason, .. } => {
                let length = seconds.map(Duration::from_secs);
                if length.is_some_and(|length| length.is_zero() || length > MAX_PAUSE) {
                    return Err(
                        "a pause lasts 1s to 31d; without --for, it lasts until you resume".to_owned(),
                    );
                }
                let reason = visible(reason.trim(), MAX_REASON);
                self.pause(service.as_ref(), length, by, &reason);
                warnings.extend(self.save_command());
            }
            Request::Resume { .. } => {
                self.resume(service.as_ref(), by);
                warnings.extend(self.save_command());
            }
        }
        let view = self.view();
        if view.cannot_save {
            let text = "the history of healing can't be saved, so no action is taken; set --state.dir, and check its disk";
            warnings.push(text.to_owned());
        }
        Ok(Response {
            warnings,
            ..response(view, service.as_ref(), self.times())
        })
    }

    /// Finds a service that is healed.
    fn find(&self, name: &str) -> Result<ServiceKey, String> {
        let view = self.view();
        let mut keys = view.services.iter().map(|service| &service.service);
        if let Some(key) = keys.find(|key| key.as_str() == name) {
            return Ok(key.clone());
        }
        let known = view.services.iter().map(|service| service.service.as_str());
        let quoted = visible(name, MAX_QUOTED);
        Err(match suggest::nearest(name, known) {
            Some(near) => format!("no service {quoted} is healed: did you mean {near}?"),
            None => format!(
                "no service {quoted} is healed: set heal.mode in the configuration; `heal status` lists all healed services"
            ),
        })
    }

    /// Saves the history, and returns a warning if that fails.
    fn save_command(&self) -> Option<String> {
        let is_saved = self.save_now();
        (!is_saved).then(|| "saving failed, so a restart of the exporter undoes this".to_owned())
    }
}

fn response(view: HealView, wanted: Option<&ServiceKey>, times: Times) -> Response {
    let services = view.services.into_iter();
    let services = services.filter(|service| wanted.is_none_or(|wanted| service.service == *wanted));
    Response {
        disabled: view.is_disabled,
        budget_remaining: view.budget_remaining,
        budget_limit: view.budget_limit,
        pause: view.pause.as_ref().map(|pause| pause_row(pause, times)),
        services: services
            .map(|service| service_row(service, wanted.is_some(), times))
            .collect(),
        warnings: Vec::new(),
    }
}

fn service_row(view: ServiceHealView, has_decisions: bool, times: Times) -> ServiceRow {
    let result = view.last_action.map(|(_, event)| last_result(event).to_owned());
    let records = view.records.into_iter().filter(|_| has_decisions);
    ServiceRow {
        service: view.service.as_str().to_owned(),
        mode: view.mode.to_string(),
        action: view.action.to_owned(),
        target: view.target,
        budget_remaining: view.budget_remaining,
        budget_limit: view.budget_limit,
        pause: view.pause.as_ref().map(|pause| pause_row(pause, times)),
        gave_up: view.has_given_up,
        acting: view.is_acting,
        refusal: view.refusal.map(|refusal| refusal.to_string()),
        last_action: view.last_action.map(|(at, _)| rfc3339(at)),
        last_result: result,
        decisions: records.map(decision_row).collect(),
    }
}

fn pause_row(pause: &Pause, times: Times) -> PauseRow {
    PauseRow {
        until: pause.until.map(|until| rfc3339(times.unix(until))),
        by: pause.by.clone(),
        reason: pause.comment.clone(),
    }
}

fn decision_row((at, record): (f64, HealRecord)) -> DecisionRow {
    let cause = record.cause;
    DecisionRow {
        at: rfc3339(at),
        event: record.event.to_string(),
        detail: record.detail,
        check: cause.as_ref().map(|(check, ..)| check.as_str().to_owned()),
        runs: cause.as_ref().map(|(_, runs, _)| *runs),
        reason: cause.as_ref().map(|(.., reason)| reason.to_string()),
        evidence: record.evidence,
    }
}

/// Formats a Unix time, without fractions of a second.
#[allow(clippy::cast_possible_truncation, reason = "it saturates, in the year 2262")]
fn rfc3339(seconds: f64) -> String {
    let text = UtcTime((seconds.floor() as i64).saturating_mul(1_000_000_000)).to_string();
    text.replace(".000Z", "Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_no_fractions() {
        assert_eq!(rfc3339(1_700_000_000.75), "2023-11-14T22:13:20Z");
    }
}
