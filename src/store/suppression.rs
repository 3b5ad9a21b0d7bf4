//! Suppression: reasons why no condition of a service becomes confirmed for now.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::state::StoreState;
use crate::model::{Maintenance, Moment, ServiceKey};

/// Why no condition of a service becomes confirmed for now. Confirmed conditions stay confirmed until they end. When the last reason
/// ends, the tolerances count from that moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Suppression {
    /// A service that it depends on, directly or not, is down.
    pub is_impacted: bool,
    /// It is in a maintenance window.
    pub in_maintenance: bool,
}

impl Suppression {
    /// Whether there is any reason.
    pub const fn is_active(self) -> bool {
        self.is_impacted || self.in_maintenance
    }
}

/// The services in maintenance.
#[derive(Debug, Default)]
pub struct MaintainedServices {
    /// The services in maintenance.
    pub active: BTreeMap<ServiceKey, Arc<Maintenance>>,
    /// When the maintenance of services that are no longer in it ended. This may have been before the exporter started.
    pub ended: BTreeMap<ServiceKey, Moment>,
}

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
