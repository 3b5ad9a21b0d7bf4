//! The rate limit.

use std::time::Duration;

use super::options::RateLimitOptions;
use crate::config::place::{Invalid, Place};

/// The longest interval. A longer one is likely a mistake.
const MAX_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);

/// The parameters of a token bucket: it holds `burst` tokens and regains one every `interval`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// The time to regain one token.
    pub interval: Duration,
    /// The maximum number of tokens.
    pub burst: u32,
}

impl RateLimitOptions {
    /// Resolves the options; `None` for no limit.
    pub(super) fn resolve(&self, place: &Place<'_>) -> Result<Option<Rate>, Invalid> {
        let interval = self.interval.map_or(Duration::ZERO, |interval| interval.0);
        if interval > MAX_INTERVAL {
            return Err(place
                .field("interval")
                .error("is longer than a day: set the time per request, such as 1s"));
        }
        match (interval.is_zero(), self.burst) {
            // An interval of zero disables the limit, as in the toolkit.
            (true, None) => Ok(None),
            (true, Some(_)) if self.interval.is_some() => Ok(None),
            (true, Some(_)) => {
                Err(place.error("burst requires interval: set it to the time per request, such as 1s"))
            }
            (false, None | Some(0)) => {
                Err(place.error("interval requires burst: set it to at least 1, or all requests are refused"))
            }
            (false, Some(burst)) => Ok(Some(Rate { interval, burst })),
        }
    }
}
