//! Time that this process did not get: it was frozen, or the cores were full. A beat that is due each few milliseconds
//! measures it; what a beat is late was lost.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How late a beat may be before that counts: timers fire at full milliseconds, and a turn of a busy loop takes some more.
const GRACE: Duration = Duration::from_millis(10);

/// How much time was lost since the start. Without beats it is none.
#[derive(Debug, Default)]
pub struct LostTime {
    state: Mutex<Measured>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Measured {
    /// What was lost before the beat that is due next.
    before: Duration,
    /// When the next beat is due; `None` while nobody measures.
    due: Option<Instant>,
}

impl Measured {
    fn at(&self, now: Instant) -> Duration {
        let late = self.due.map(|due| now.saturating_duration_since(due));
        self.before + late.filter(|late| *late > GRACE).unwrap_or_default()
    }
}

impl LostTime {
    /// Notes that the beat which was due came at `now`, and when the next one is due. Whatever it was late counts once.
    pub fn beat(&self, now: Instant, next: Instant) {
        let mut state = self.lock();
        state.before = state.at(now);
        state.due = Some(next);
    }

    /// Ends the measurement: what comes from now on is not counted.
    pub fn end(&self) {
        let mut state = self.lock();
        state.before = state.at(Instant::now());
        state.due = None;
    }

    /// What was lost up to now. A beat that is overdue counts already, so that whoever is first to run after a freeze knows of it.
    pub fn total(&self) -> Duration {
        self.lock().at(Instant::now())
    }

    fn lock(&self) -> MutexGuard<'_, Measured> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is lost from one moment on: during a run, say.
#[derive(Clone, Debug, Default)]
pub struct LostSince {
    clock: Arc<LostTime>,
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

    /// What was lost since then.
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
    async fn nothing_is_lost_while_beats_are_on_time_or_nobody_measures() {
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
    async fn what_a_beat_is_late_counts_once_whoever_looks_first() {
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
