//! A rate: so many at once, then one an interval.

use std::time::Duration;

use super::written::RateLimitOptions;
use crate::config::place::{Invalid, Place};

/// The longest interval.
const MAX_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);

/// A token bucket's measures: it holds `burst` tokens and gets one back each `interval`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// The time in which one token comes back.
    pub interval: Duration,
    /// The most tokens there are.
    pub burst: u32,
}

impl RateLimitOptions {
    /// Resolves the options; `None` where there is no limit.
    pub(super) fn resolve(&self, place: &Place<'_>) -> Result<Option<Rate>, Invalid> {
        let interval = self.interval.map_or(Duration::ZERO, |interval| interval.0);
        if interval > MAX_INTERVAL {
            return Err(place
                .field("interval")
                .error("is longer than a day: write how long one request takes to come back, such as 1s"));
        }
        match (interval.is_zero(), self.burst) {
            // The toolkit's way to switch it off.
            (true, None) => Ok(None),
            (true, Some(_)) if self.interval.is_some() => Ok(None),
            (true, Some(_)) => Err(place
                .error("burst needs interval: write how long one request takes to come back, such as 1s")),
            (false, None | Some(0)) => {
                Err(place.error("interval needs burst, at least 1: without it no request would be answered"))
            }
            (false, Some(burst)) => Ok(Some(Rate { interval, burst })),
        }
    }
}
