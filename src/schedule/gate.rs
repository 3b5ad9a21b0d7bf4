//! The gate that every run passes before it starts: a bounded number in one turn of the loop, in planned order. Overload makes
//! runs late then; without the gate, new runs would hold up those under way until all of them fail.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use tokio::sync::{Notify, oneshot};
use tokio::task::yield_now;
use tokio::time::Instant;

/// How many runs start in one turn. Measured with 10,000 checks a second on two full cores: 16 fail none, and cost nothing
/// where there is room, since a turn takes some microseconds then.
const STARTS_PER_TURN: usize = 16;

/// Who waits at the gate.
#[derive(Debug, Default)]
pub struct Gate {
    queue: Mutex<Queue>,
    came: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: BinaryHeap<Waiting>,
    arrivals: u64,
}

/// A run that waits. The greatest is the one to start first.
#[derive(Debug)]
struct Waiting {
    planned: Instant,
    /// Of runs planned for the same instant the one that came first starts first.
    arrival: u64,
    start: oneshot::Sender<()>,
}

impl Waiting {
    const fn key(&self) -> (Instant, u64) {
        (self.planned, self.arrival)
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> Ordering {
        other.key().cmp(&self.key())
    }
}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Waiting {}

impl Queue {
    fn push(&mut self, planned: Instant, start: oneshot::Sender<()>) {
        self.arrivals += 1;
        self.waiting.push(Waiting {
            planned,
            arrival: self.arrivals,
            start,
        });
    }
}

impl Gate {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the run planned for `planned` may start.
    pub async fn pass(&self, planned: Instant) {
        let (start, started) = oneshot::channel();
        self.lock().push(planned, start);
        self.came.notify_one();
        // The sender is dropped with the gate only, and with that this.
        let _ = started.await;
    }

    /// Lets runs start, for as long as it is polled.
    pub async fn serve(&self) {
        loop {
            match self.start_some() {
                0 => self.came.notified().await,
                _ => turn().await,
            }
        }
    }

    /// Starts as many as may start in one turn, and says how many did. Those that were given up meanwhile do not count.
    fn start_some(&self) -> usize {
        let mut started = 0;
        while started < STARTS_PER_TURN {
            let next = self.lock().waiting.pop();
            let Some(next) = next else { break };
            started += usize::from(next.start.send(()).is_ok());
        }
        started
    }
}

/// Waits for one turn of the loop: until what is ready now has been polled, and the system was asked what is ready since.
pub async fn turn() {
    let mut is_back = false;
    // A task that wakes itself goes to the end of the queue.
    poll_fn(|cx| match std::mem::replace(&mut is_back, true) {
        true => Poll::Ready(()),
        false => {
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await;
    // A task that yields is polled after the driver.
    yield_now().await;
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_bounded_number_starts_in_a_turn_in_planned_order() {
        let gate = Arc::new(Gate::default());
        let zero = Instant::now();
        let started = Arc::new(Mutex::new(Vec::new()));
        let mut tasks: Vec<_> = (0..40_u64)
            .rev()
            .map(|number| {
                let (gate, started) = (Arc::clone(&gate), Arc::clone(&started));
                tokio::spawn(async move {
                    gate.pass(zero + Duration::from_millis(number / 2)).await;
                    started.lock().unwrap().push(number / 2);
                })
            })
            .collect();
        yield_now().await;
        // Whoever gives up takes nobody's place.
        tasks.pop().unwrap().abort();
        yield_now().await;
        for expected in [16, 32, 39] {
            gate.start_some();
            yield_now().await;
            assert_eq!(started.lock().unwrap().len(), expected);
        }
        let started = started.lock().unwrap();
        assert!(started.is_sorted(), "{started:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_comes_to_an_idle_gate_starts_at_once() {
        let gate = Arc::new(Gate::default());
        let of_task = Arc::clone(&gate);
        let serving = tokio::spawn(async move { of_task.serve().await });
        let begun = Instant::now();
        for _ in 0..1000 {
            gate.pass(Instant::now()).await;
        }
        assert_eq!(begun.elapsed(), Duration::ZERO);
        serving.abort();
    }
}
