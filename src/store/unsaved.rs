//! Takes what is to be saved.

use super::saved::{SavedChecks, SavedService, SavedState};
use super::service::ServiceState;
use super::state::StoreState;
use crate::model::ServiceKey;

impl StoreState {
    /// Requests a save of all services, because more changed than single services.
    pub fn save_all(&mut self) {
        self.needs_saving = true;
        self.needs_copy = true;
    }

    /// Copies the state of all services, and marks it as saved.
    pub fn take_all(&mut self) -> SavedState {
        self.needs_saving = false;
        self.needs_copy = false;
        self.has_new_runs = false;
        let services = self.services.iter_mut().map(ServiceState::take_saved);
        SavedState {
            services: services.chain(self.restored.services.iter().cloned()).collect(),
        }
    }

    /// Copies the state of the services that changed, and marks it as saved. The times of the runs of the others are not saved.
    pub fn take_changed(&mut self) -> SavedState {
        self.needs_saving = false;
        let services = self.services.iter_mut();
        let changed = services.filter(|service| service.needs_saving);
        SavedState {
            services: changed.map(ServiceState::take_saved).collect(),
        }
    }
}

impl ServiceState {
    fn take_saved(&mut self) -> (ServiceKey, SavedService, SavedChecks) {
        self.needs_saving = false;
        let checks = self.checks.iter();
        let checks = checks.map(|check| (check.settings.name.clone(), check.saved.clone()));
        (self.service.key.clone(), self.saved.clone(), checks.collect())
    }
}
