//! Takes observations.

use super::observation::{Observation, ResponseTotals, ServiceObservation};
use super::service::ServiceState;
use super::state::StoreState;
use crate::model::Moment;

impl StoreState {
    /// Takes what happened since the last observation.
    pub fn observe(&mut self, now: Moment) -> Observation {
        let services = self.services.iter_mut();
        Observation {
            now,
            wall: self.wall,
            services: services.map(ServiceState::observe).collect(),
        }
    }
}

impl ServiceState {
    fn observe(&mut self) -> ServiceObservation {
        let mut responses = ResponseTotals::default();
        for check in &mut self.checks {
            responses.merge(std::mem::take(&mut check.observed));
        }
        ServiceObservation {
            key: self.service.key.clone(),
            status: self.saved.status,
            has_verdict: self.saved.has_verdict,
            maintenance: self.maintenance.clone(),
            changes: std::mem::take(&mut self.observed.changes).into(),
            responses,
        }
    }
}
