//! Log lines that others can cause at will: told at most once a minute.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long after a line another one is not told.
const GAP: Duration = Duration::from_secs(60);

/// When a line was last told, and how often it was left out since.
#[derive(Debug, Default)]
pub struct LogThrottle(Mutex<(Option<Instant>, u64)>);

impl LogThrottle {
    /// Whether to tell the line now: then how often it was left out since the last time.
    pub fn turn(&self) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if state.0.is_some_and(|told| now.duration_since(told) < GAP) {
            state.1 += 1;
            return None;
        }
        state.0 = Some(now);
        Some(std::mem::take(&mut state.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_line_is_told_once_a_minute_with_what_was_left_out() {
        let seldom = LogThrottle::default();
        assert_eq!(seldom.turn(), Some(0));
        assert_eq!((seldom.turn(), seldom.turn()), (None, None));
        tokio::time::advance(GAP).await;
        assert_eq!(seldom.turn(), Some(2));
        assert_eq!(seldom.turn(), None);
    }
}
