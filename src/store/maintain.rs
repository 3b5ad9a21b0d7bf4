//! Applies the maintenance of services.

use super::state::StoreState;
use super::suppression::{MaintainedServices, Suppression};
use crate::model::Moment;

impl StoreState {
    /// Sets which services are in maintenance. Returns whether that changed for any service.
    pub fn set_maintenance(&mut self, maintained: MaintainedServices, now: Moment) -> bool {
        self.maintained = maintained;
        let mut has_changed = false;
        for state in &mut self.services {
            let key = &state.service.key;
            let maintenance = self.maintained.active.get(key).cloned();
            if maintenance == state.maintenance {
                continue;
            }
            has_changed = true;
            let ended = self.maintained.ended.get(key).copied().unwrap_or(now);
            state.maintenance = maintenance;
            let suppression = Suppression {
                in_maintenance: state.maintenance.is_some(),
                ..state.suppression
            };
            self.needs_saving |= state.suppress(suppression, ended.min(now), now);
        }
        has_changed
    }
}
