//! Time that this process lost: it was frozen, or all cores were busy. A beat that is due every few milliseconds measures it: the
//! time by which a beat is late was lost.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A beat that is less late than this does not count: timers fire at full milliseconds, and a turn of a busy runtime takes a few more.
const GRACE: Duration = Duration::from_millis(10);

/// How much time was lost since the start. Without beats it is zero.
#[derive(Debug, Default)]
pub struct LostTime {
    state: Mutex<Measured>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Measured {
    /// The time lost up to the last beat.
    before: Duration,
    /// When the next beat is due; `None` while there are no beats.
    due: Option<Instant>,
}

impl Measured {
    fn at(&self, now: Instant) -> Duration {
        let late = self.due.map(|due| now.saturating_duration_since(due));
        self.before + late.filter(|late| *late > GRACE).unwrap_or_default()
    }
}

impl LostTime {
    /// Records a beat at `now`. Its delay counts once. The next beat is due at `next`.
    pub fn beat(&self, now: Instant, next: Instant) {
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

    /// The time lost until now. An overdue beat counts too, so that the first task that runs after a freeze sees it.
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

    const BEAT: Duration = Duration::from_millis(20);

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn beat(clock: &LostTime) {
        clock.beat(Instant::now(), Instant::now() + BEAT);
    }

    #[tokio::test(start_paused = true)]
    async fn no_time_is_lost_while_beats_are_on_time_or_there_are_none() {
        let clock = Arc::new(LostTime::default());
        advance(ms(60_000)).await;
        assert_eq!(clock.total(), Duration::ZERO);
        beat(&clock);
        for late in [0, 1, 2, 10, 0, 5] {
            advance(BEAT + ms(late)).await;
            assert_eq!(clock.total(), Duration::ZERO, "{late} ms late");
            beat(&clock);
        }
        clock.end();
        advance(ms(60_000)).await;
        assert_eq!(clock.total(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn the_delay_of_a_beat_counts_once() {
        let clock = Arc::new(LostTime::default());
        beat(&clock);
        let during = LostSince::now(&clock);
        advance(BEAT + ms(1700)).await;
        // Before the beat, at it, and after it.
        assert_eq!((clock.total(), during.lost()), (ms(1700), ms(1700)));
        let after = LostSince::now(&clock);
        beat(&clock);
        assert_eq!((clock.total(), during.lost()), (ms(1700), ms(1700)));
        assert_eq!(after.lost(), Duration::ZERO);
        advance(BEAT).await;
        beat(&clock);
        advance(BEAT + ms(100)).await;
        assert_eq!(during.lost(), ms(1800));
        assert_eq!(after.lost(), ms(100));
        clock.end();
        advance(ms(500)).await;
        assert_eq!(clock.total(), ms(1800));
    }
}
