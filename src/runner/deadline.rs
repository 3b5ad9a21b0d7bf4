//! The deadline of a run. Time that this process loses during the run extends it, within bounds.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::model::LostSince;

/// A deadline is extended by at most this many times the timeout.
const MAX_EXTENSIONS: u32 = 4;

/// How long a run continues after a freeze that was longer than any extension, so that it can read what arrived meanwhile.
const LAST_CHANCE: Duration = Duration::from_millis(100);

/// What happens to the deadline when this process loses time.
#[derive(Clone, Copy, Debug)]
pub enum DeadlinePolicy {
    /// The lost time is added to the deadline, within bounds.
    Extend {
        /// How many runs of this check in a row were discarded because of lost time, see [`super::count_discarded`].
        discarded: u32,
    },
    /// The deadline stays, because the scraper that requested the run does not wait longer.
    Fixed,
}

/// A run did not end in time.
#[derive(Debug, PartialEq, Eq)]
pub struct TimedOut {
    /// Whether the run had its whole timeout. If not, this process lost a part of it.
    pub had_its_time: bool,
}

/// Polls `run` until it ends or `timeout` has passed. The timeout counts from `started` and excludes lost time.
///
/// # Errors
/// When the run takes longer.
pub async fn run_until_deadline<F: Future + Unpin>(
    mut run: F,
    started: Instant,
    timeout: Duration,
    lost: &LostSince,
) -> Result<F::Output, TimedOut> {
    let max_lost = timeout * MAX_EXTENSIONS;
    let mut deadline = started + timeout;
    let mut is_last_chance = false;
    let mut sleep = pin!(sleep_until(deadline));
    poll_fn(|cx| {
        // A result that is ready counts, even after the deadline.
        if let Poll::Ready(output) = Pin::new(&mut run).poll(cx) {
            return Poll::Ready(Ok(output));
        }
        while sleep.as_mut().poll(cx).is_ready() {
            let lost = lost.lost();
            let now = Instant::now();
            let extended = started + timeout + lost.min(max_lost);
            if extended > now {
                deadline = extended;
            } else if lost > max_lost && !is_last_chance {
                is_last_chance = true;
                deadline = now + LAST_CHANCE;
            } else {
                let had_its_time = lost <= max_lost;
                return Poll::Ready(Err(TimedOut { had_its_time }));
            }
            sleep.as_mut().reset(deadline);
        }
        Poll::Pending
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::time::{advance, sleep};

    use super::*;
    use crate::model::LostTime;

    const SECOND: Duration = Duration::from_secs(1);
    const PERIOD: Duration = Duration::from_millis(20);

    /// Waits for `delay`, and simulates that the process is frozen for `freeze`. All timers are late after it, including the one
    /// that measures lost time.
    async fn freeze_after(clock: Arc<LostTime>, delay: Duration, freeze: Duration) {
        let now = Instant::now();
        clock.record_timer(now, now + delay);
        sleep(delay).await;
        advance(freeze).await;
        clock.record_timer(Instant::now(), Instant::now() + Duration::from_secs(3600));
    }

    /// Runs something that takes `takes`, or never ends. The process freezes after `delay`.
    async fn run(
        takes: Option<Duration>,
        delay: Duration,
        freeze: Duration,
    ) -> (Result<(), TimedOut>, Duration) {
        let clock = Arc::new(LostTime::default());
        clock.record_timer(Instant::now(), Instant::now() + PERIOD);
        let lost = LostSince::now(&clock);
        let started = Instant::now();
        let freezing = tokio::spawn(freeze_after(Arc::clone(&clock), delay, freeze));
        let takes = takes.unwrap_or(Duration::MAX);
        let result = run_until_deadline(Box::pin(sleep(takes)), started, SECOND, &lost).await;
        freezing.await.unwrap();
        (result, started.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_is_kept_when_no_time_is_lost() {
        let (result, after) = run(None, SECOND, Duration::ZERO).await;
        assert_eq!(result, Err(TimedOut { had_its_time: true }));
        assert!(after >= SECOND && after < SECOND + PERIOD, "{after:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_response_that_arrived_during_a_freeze_counts() {
        for freeze in [SECOND, 3 * SECOND, 600 * SECOND] {
            let (result, _) = run(Some(SECOND / 2), SECOND / 10, freeze).await;
            assert_eq!(result, Ok(()), "{freeze:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_hanging_target_gets_its_whole_timeout_and_no_more() {
        let (result, after) = run(None, SECOND / 10, 3 * SECOND).await;
        assert_eq!(result, Err(TimedOut { had_its_time: true }));
        assert!(
            after >= 4 * SECOND && after < 4 * SECOND + 2 * PERIOD,
            "{after:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_freeze_beyond_all_extensions_is_not_the_targets_timeout() {
        let (result, after) = run(None, SECOND / 10, 600 * SECOND).await;
        assert_eq!(result, Err(TimedOut { had_its_time: false }));
        assert!(after < 601 * SECOND, "{after:?}");
    }
}
