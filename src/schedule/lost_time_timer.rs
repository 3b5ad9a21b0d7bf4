//! Measures the time that the runtime of the checks loses: a timer is due every 20 ms, and the time by which it is late was lost.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::gate::wait_one_turn;
use crate::model::LostTime;

/// The period of the timer. It is short compared with deadlines, so that little of a freeze is missed. 50 wakeups per second
/// take less than a thousandth of a core.
const PERIOD: Duration = Duration::from_millis(20);

/// Runs the timer for as long as this is polled.
pub async fn measure_lost_time(clock: Arc<LostTime>) {
    let _end = End(&clock);
    loop {
        let now = Instant::now();
        let next = now + PERIOD;
        clock.record_timer(now, next);
        sleep_until(next).await;
        // A runtime that polls this task late has lost that time too.
        wait_one_turn().await;
    }
}

/// Ends the measurement when the timer ends. From then on nothing counts as late.
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
    async fn a_blocked_runtime_loses_time_and_an_idle_one_does_not() {
        let clock = Arc::new(LostTime::default());
        let timer = tokio::spawn(measure_lost_time(Arc::clone(&clock)));
        tokio::time::sleep(Duration::from_millis(300)).await;
        let stall = Duration::from_millis(700);
        let before = clock.total();
        tokio::spawn(async move { std::thread::sleep(stall) })
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        let lost = clock.total() - before;
        // At most the rest of one period is missed. A busy machine may lose more time.
        assert!(lost >= stall - PERIOD - Duration::from_millis(10), "{lost:?}");
        timer.abort();
        let _ = timer.await;
        let total = clock.total();
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(clock.total(), total);
    }
}
