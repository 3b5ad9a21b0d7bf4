//! How often a job may report. Pure.

use std::time::Duration;

use crate::model::Moment;

/// The time after which a job may send one more beat.
const INTERVAL: Duration = Duration::from_secs(1);

/// How many beats a job may send at once: the starts and ends of several runs in parallel, and their retries.
const BURST: u32 = 20;

/// The limit of one job, stored as the moment at which it may send a full burst again.
#[derive(Clone, Copy, Debug)]
pub struct BeatLimit(Moment);

impl BeatLimit {
    /// A limit that allows a full burst.
    pub const fn new(now: Moment) -> Self {
        Self(now)
    }

    /// Counts a beat.
    ///
    /// # Errors
    /// If there were too many: the time until the next one is allowed.
    pub fn take(&mut self, now: Moment) -> Result<(), Duration> {
        let full_again = self.0.max(now) + INTERVAL;
        let wait = full_again.since(now).saturating_sub(INTERVAL * BURST);
        if wait.is_zero() {
            self.0 = full_again;
            Ok(())
        } else {
            Err(wait)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_may_send_a_burst_and_then_a_beat_per_second() {
        let start = Moment::from_nanos(-5);
        let mut limit = BeatLimit::new(start);
        let allowed = (0..100).filter(|_| limit.take(start).is_ok()).count();
        assert_eq!(allowed, BURST as usize);
        assert_eq!(limit.take(start), Err(INTERVAL));
        assert_eq!(limit.take(start + INTERVAL / 4), Err(INTERVAL / 4 * 3));
        assert_eq!(limit.take(start + INTERVAL), Ok(()));
        assert!(limit.take(start + INTERVAL).is_err());
        let later = start + Duration::from_secs(3600);
        let allowed = (0..100).filter(|_| limit.take(later).is_ok()).count();
        assert_eq!(allowed, BURST as usize);
    }
}
