//! Suppression: reasons why no condition of a service becomes confirmed for now.

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
