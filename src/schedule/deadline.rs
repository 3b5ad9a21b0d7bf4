//! The deadline of a run: what the process itself loses during the run is added to it, within bounds.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::model::LostSince;

/// A deadline is extended by at most this many times its own length.
const MAX_EXTENSIONS: u32 = 4;

/// How long a run has left after a freeze that was longer than any extension, to take what came meanwhile.
const LAST_CHANCE: Duration = Duration::from_millis(100);

/// A run did not end in time.
#[derive(Debug, PartialEq, Eq)]
pub struct TimedOut {
    /// Whether it had all of its time. Where it did not, this process lost it.
    pub had_its_time: bool,
}

/// Polls `run` until its end, but for no longer than `timeout`, counted from `started` and without what is lost.
///
/// # Errors
/// When it takes longer.
pub async fn within<F: Future + Unpin>(
    mut run: F,
    started: Instant,
    timeout: Duration,
    lost: &LostSince,
) -> Result<F::Output, TimedOut> {
    let longest = timeout * MAX_EXTENSIONS;
    let mut deadline = started + timeout;
    let mut is_last_chance = false;
    let mut sleep = pin!(sleep_until(deadline));
    poll_fn(|cx| {
        // What is there counts, also when the deadline has passed meanwhile.
        if let Poll::Ready(output) = std::pin::Pin::new(&mut run).poll(cx) {
            return Poll::Ready(Ok(output));
        }
        while sleep.as_mut().poll(cx).is_ready() {
            let lost = lost.lost();
            let now = Instant::now();
            let extended = started + timeout + lost.min(longest);
            if extended > now {
                deadline = extended;
            } else if lost > longest && !is_last_chance {
                is_last_chance = true;
                deadline = now + LAST_CHANCE;
            } else {
                let had_its_time = lost <= longest;
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
    const BEAT: Duration = Duration::from_millis(20);

    /// Stands still for `freeze` after `before`: then all timers are late at once, and the beat with them.
    async fn frozen(clock: Arc<LostTime>, before: Duration, freeze: Duration) {
        let now = Instant::now();
        clock.beat(now, now + before);
        sleep(before).await;
        advance(freeze).await;
        clock.beat(Instant::now(), Instant::now() + Duration::from_secs(3600));
    }

    async fn run(
        takes: Option<Duration>,
        before: Duration,
        freeze: Duration,
    ) -> (Result<(), TimedOut>, Duration) {
        let clock = Arc::new(LostTime::default());
        clock.beat(Instant::now(), Instant::now() + BEAT);
        let lost = LostSince::now(&clock);
        let started = Instant::now();
        let freezing = tokio::spawn(frozen(Arc::clone(&clock), before, freeze));
        let takes = takes.map_or(Duration::MAX, |takes| takes);
        let result = within(Box::pin(sleep(takes)), started, SECOND, &lost).await;
        freezing.await.unwrap();
        (result, started.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn without_loss_a_deadline_is_one() {
        let (result, after) = run(None, SECOND, Duration::ZERO).await;
        assert_eq!(result, Err(TimedOut { had_its_time: true }));
        assert!(after >= SECOND && after < SECOND + BEAT, "{after:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_came_in_a_freeze_counts() {
        for freeze in [SECOND, 3 * SECOND, 600 * SECOND] {
            let (result, _) = run(Some(SECOND / 2), SECOND / 10, freeze).await;
            assert_eq!(result, Ok(()), "{freeze:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_hanging_target_has_its_whole_time_and_no_more() {
        let (result, after) = run(None, SECOND / 10, 3 * SECOND).await;
        assert_eq!(result, Err(TimedOut { had_its_time: true }));
        assert!(after >= 4 * SECOND && after < 4 * SECOND + 2 * BEAT, "{after:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_freeze_beyond_all_bounds_says_nothing_of_the_target() {
        let (result, after) = run(None, SECOND / 10, 600 * SECOND).await;
        assert_eq!(result, Err(TimedOut { had_its_time: false }));
        assert!(after < 601 * SECOND, "{after:?}");
    }
}
