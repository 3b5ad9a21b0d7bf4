//! Keeps the impact of services that are down up to date in the services that depend on them.

use std::collections::HashMap;

use super::service::ServiceState;
use super::suppression::Suppression;
use crate::model::{Moment, ServiceKey, Status};
use crate::verdict::Impact;

/// The maximum number of services whose checks run early, or are waited for, because a service that depends on them failed.
const MAX_EARLY: usize = 64;

/// The impact of the configured services, by their position.
#[derive(Debug, Default)]
pub struct Impacts {
    impact: Impact,
}

impl Impacts {
    /// Computes the impact of all `services` at `now`, after their list or their dependencies changed.
    pub fn rebuild(&mut self, services: &mut [ServiceState], now: Moment) {
        let positions: HashMap<&ServiceKey, usize> = services
            .iter()
            .enumerate()
            .map(|(position, state)| (&state.service.key, position))
            .collect();
        let dependencies = services.iter().map(|state| {
            let keys = state.service.depends_on.iter();
            keys.filter_map(|key| positions.get(key).copied()).collect()
        });
        self.impact = Impact::new(dependencies.collect());
        for (position, state) in services.iter().enumerate() {
            self.impact.set_down(position, is_down(state));
        }
        for position in 0..services.len() {
            self.inform(services, position, now);
        }
    }

    /// Updates the services that depend on the service at `position`, whose status changed at `now`. Returns whether state to save changed.
    pub fn update(&mut self, services: &mut [ServiceState], position: usize, now: Moment) -> bool {
        let mut has_changed = false;
        for affected in self.impact.set_down(position, is_down(&services[position])) {
            has_changed |= self.inform(services, affected, now);
        }
        has_changed
    }

    /// Requests runs of the checks of all services that the failing service at `position` depends on. If one of them is the root cause, its
    /// status must show that before the tolerance of the failing service ends.
    pub fn request_runs(&self, services: &[ServiceState], position: usize, now: Moment) {
        for dependency in self.impact.all_dependencies(position, MAX_EARLY) {
            let state = &services[dependency];
            if !is_down(state) {
                state.checks.iter().for_each(|check| check.request_run(now));
            }
        }
    }

    /// The services that the service at `position` depends on, nearest first.
    pub fn dependencies(&self, position: usize) -> Vec<usize> {
        self.impact.all_dependencies(position, MAX_EARLY)
    }

    /// Sets the roots and the suppression of the service at `position`.
    fn inform(&self, services: &mut [ServiceState], position: usize, now: Moment) -> bool {
        let roots = self.impact.roots(position).iter();
        let roots = roots.map(|&root| services[root].service.key.clone()).collect();
        let state = &mut services[position];
        state.roots = roots;
        let suppression = Suppression {
            is_impacted: self.impact.is_impacted(position),
            ..state.suppression
        };
        state.suppress(suppression, now, now)
    }
}

fn is_down(state: &ServiceState) -> bool {
    state.saved.status == Status::Down
}
