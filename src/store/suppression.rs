//! Suppression: reasons why no condition of a service becomes confirmed for now.

use std::collections::BTreeMap;
use std::sync::Arc;

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
