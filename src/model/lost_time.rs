//! Time that this process lost: it was frozen, or all cores were busy. A timer that is due every few milliseconds measures it:
//! the time by which it is late was lost.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A timer that is less late than this does not count: timers fire at full milliseconds, and a busy runtime needs a few more to
/// poll all its tasks.
const GRACE: Duration = Duration::from_millis(10);

/// How much time was lost since the start. Without a timer it is zero.
#[derive(Debug, Default)]
pub struct LostTime {
    state: Mutex<Measured>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Measured {
    /// The time lost until the timer last fired.
    before: Duration,
    /// When the timer is due next; `None` while there is no timer.
    due: Option<Instant>,
}

impl Measured {
    fn at(&self, now: Instant) -> Duration {
        let late = self.due.map(|due| now.saturating_duration_since(due));
        self.before + late.filter(|late| *late > GRACE).unwrap_or_default()
    }
}

impl LostTime {
    /// Records that the timer fired at `now`. Its delay counts once. The timer is due again at `next`.
    pub fn record_timer(&self, now: Instant, next: Instant) {
        let mut state = self.lock();
        state.before = state.at(now);
        state.due = Some(next);
    }

    /// Ends the measurement. Later delays do not count.
    pub fn end(&self) {
        let mut state = self.lock();
        state.before = state.at(Instant::now());
        state.due = None;
    }

    /// The time lost until now. An overdue timer counts too, so that the first task that runs after a freeze sees it.
    pub fn total(&self) -> Duration {
        self.lock().at(Instant::now())
    }

    fn lock(&self) -> MutexGuard<'_, Measured> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The time lost since a moment, such as the start of a run.
#[derive(Clone, Debug, Default)]
pub struct LostSince {
    clock: Arc<LostTime>,
    /// The time that was lost before that moment.
    before: Duration,
}

impl LostSince {
    /// Counts from now on.
    pub fn now(clock: &Arc<LostTime>) -> Self {
        Self {
            before: clock.total(),
            clock: Arc::clone(clock),
        }
    }

    /// The time lost since then.
    pub fn lost(&self) -> Duration {
        self.clock.total().saturating_sub(self.before)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const PERIOD: Duration = Duration::from_millis(20);

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn fire(clock: &LostTime) {
        clock.record_timer(Instant::now(), Instant::now() + PERIOD);
    }

    #[tokio::test(start_paused = true)]
    async fn no_time_is_lost_while_the_timer_is_on_time_or_there_is_none() {
        let clock = Arc::new(LostTime::default());
        advance(ms(60_000)).await;
        assert_eq!(clock.total(), Duration::ZERO);
        fire(&clock);
        for late in [0, 1, 2, 10, 0, 5] {
            advance(PERIOD + ms(late)).await;
            assert_eq!(clock.total(), Duration::ZERO, "{late} ms late");
            fire(&clock);
        }
        clock.end();
        advance(ms(60_000)).await;
        assert_eq!(clock.total(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn the_delay_of_a_timer_counts_once() {
        let clock = Arc::new(LostTime::default());
        fire(&clock);
        let during = LostSince::now(&clock);
        advance(PERIOD + ms(1700)).await;
        // Before the timer fires, when it fires, and afterwards.
        assert_eq!((clock.total(), during.lost()), (ms(1700), ms(1700)));
        let after = LostSince::now(&clock);
        fire(&clock);
        assert_eq!((clock.total(), during.lost()), (ms(1700), ms(1700)));
        assert_eq!(after.lost(), Duration::ZERO);
        advance(PERIOD).await;
        fire(&clock);
        advance(PERIOD + ms(100)).await;
        assert_eq!(during.lost(), ms(1800));
        assert_eq!(after.lost(), ms(100));
        clock.end();
        advance(ms(500)).await;
        assert_eq!(clock.total(), ms(1800));
    }
}
