//! Tests of the policy, the history and its file.

mod properties;
mod safeguards;
mod saved;

use std::time::Duration;

use super::evidence::{Evidence, FailedRun, FailingCheck, MachineEvidence, TargetEvidence, TargetState};
use crate::config::heal::HealSettings;
use crate::config::parse;
use crate::model::{CheckName, Moment, Reason, ServiceKey, Status};

/// The settings of a service with these keys under `heal`.
pub fn settings(keys: &str) -> HealSettings {
    let text = format!("services: [{{ key: a, systemd: api, heal: {{ mode: act, {keys} }} }}]");
    let loaded = parse(&text, "test.yml").unwrap_or_else(|error| panic!("{text}\n{error}"));
    loaded.config.services[0].heal.clone().unwrap()
}

pub fn at(seconds: u64) -> Moment {
    Moment::default() + Duration::from_secs(seconds)
}

pub fn key(name: &str) -> ServiceKey {
    ServiceKey::new(name.to_owned())
}

/// A service that is down since runs at these seconds, newest first, and whose unit has been running for an hour.
pub fn down(runs: &[u64], reason: Reason) -> Evidence {
    Evidence {
        status: Some(Status::Down),
        failing: vec![FailingCheck {
            name: CheckName::new("http".to_owned()),
            runs: runs
                .iter()
                .map(|second| FailedRun {
                    started: at(*second),
                    reason: Some(reason),
                })
                .collect(),
            message: "connecting to 127.0.0.1:80: refused".to_owned(),
        }],
        target: TargetEvidence::Known(running_for(3600)),
        machine: MachineEvidence {
            down: 1,
            services: 1,
            ..MachineEvidence::default()
        },
        ..Evidence::default()
    }
}

pub fn running_for(seconds: u64) -> TargetState {
    TargetState {
        is_running: true,
        running_for: Some(Duration::from_secs(seconds)),
        text: "api.service is active".to_owned(),
        ..TargetState::default()
    }
}

/// A service that is up.
pub fn up() -> Evidence {
    Evidence {
        status: Some(Status::Up),
        machine: MachineEvidence {
            services: 1,
            ..MachineEvidence::default()
        },
        ..Evidence::default()
    }
}
