//! Measures the time that the runtime of the checks loses: a beat each 20 ms, which is late by what is lost.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::gate::turn;
use crate::model::LostTime;

/// From one beat to the next one's due time. Short beside deadlines, so that little of a freeze is missed; 50 wakeups a second
/// take less than a thousandth of a core.
const BEAT: Duration = Duration::from_millis(20);

/// Beats for as long as it is polled.
pub async fn beat(clock: Arc<LostTime>) {
    let _end = End(&clock);
    loop {
        let now = Instant::now();
        let next = now + BEAT;
        clock.beat(now, next);
        sleep_until(next).await;
        // What waits longer than a beat before it is polled lost that time too.
        turn().await;
    }
}

/// Ends the measurement: when the beats end, nothing is late any more.
struct End<'c>(&'c LostTime);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_loop_that_stands_still_loses_time_and_an_idle_one_does_not() {
        let clock = Arc::new(LostTime::default());
        let beats = tokio::spawn(beat(Arc::clone(&clock)));
        tokio::time::sleep(Duration::from_millis(300)).await;
        let stall = Duration::from_millis(700);
        let before = clock.total();
        tokio::spawn(async move { std::thread::sleep(stall) })
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        let lost = clock.total() - before;
        // All but the rest of one beat. A busy machine adds what it takes from the test itself.
        assert!(lost >= stall - BEAT - Duration::from_millis(10), "{lost:?}");
        beats.abort();
        let _ = beats.await;
        let total = clock.total();
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(clock.total(), total);
    }
}
