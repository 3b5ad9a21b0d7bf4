//! The growing minimum time between two actions.

use crate::config::heal::Backoff;
use crate::model::Moment;

/// The maximum exponent of a backoff. 2^31 times the minimum is above every maximum.
const MAX_LEVEL: u32 = 31;

/// The growing minimum time between two actions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackoffState {
    /// How often it doubled.
    pub level: u32,
    /// The next action may begin from this moment on.
    pub not_before: Option<Moment>,
}

impl BackoffState {
    /// Doubles the backoff from `now` on. The jitter spreads the actions of services that fail together.
    pub fn grow(&mut self, limits: Backoff, jitter: f64, now: Moment) {
        let doubled = limits
            .min
            .saturating_mul(1_u32 << self.level.min(MAX_LEVEL))
            .min(limits.max);
        let spread = doubled.mul_f64(0.8 + 0.4 * jitter.clamp(0.0, 1.0));
        self.level = self.level.saturating_add(1).min(MAX_LEVEL);
        self.not_before = Some(now + spread.clamp(limits.min, limits.max));
    }
}
