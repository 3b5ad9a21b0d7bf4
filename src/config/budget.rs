//! The budget of evaluating expressions on a target's response: the user writes the expression, but others choose the text.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// The maximum memory that one evaluation may allocate, in bytes.
const MAX_BYTES: u64 = 64 << 20;
/// The time between two readings of the thread's clock, which need a system call each.
const CHECK_INTERVAL: Duration = Duration::from_millis(1);

/// The CPU time and memory that one evaluation may use, and whether its result is still wanted. For use by one thread.
#[derive(Debug)]
pub struct Budget {
    started: Instant,
    /// The CPU time of the thread at the start.
    started_thread: Duration,
    /// The CPU time that may be used from then on.
    time: Duration,
    /// When the thread's clock is read next, in microseconds after the start.
    next_check: AtomicU64,
    bytes: AtomicU64,
    is_spent: AtomicBool,
    is_abandoned: Arc<AtomicBool>,
}

/// The budget is used up, or the result is no longer needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted;

impl Budget {
    /// A budget of this much CPU time. It is exhausted early when `is_abandoned` becomes true.
    pub fn new(time: Duration, is_abandoned: Arc<AtomicBool>) -> Self {
        Self {
            started: Instant::now(),
            started_thread: thread_time(),
            time,
            next_check: AtomicU64::new(0),
            bytes: AtomicU64::new(MAX_BYTES),
            is_spent: AtomicBool::new(false),
            is_abandoned,
        }
    }

    /// A budget that is never exhausted, for trusted texts and for tests.
    pub fn ample() -> Self {
        Self::new(Duration::from_secs(3600), Arc::default())
    }

    /// Call this before every step of at most some microseconds.
    ///
    /// # Errors
    /// When the time is used up, and from then on.
    pub fn step(&self) -> Result<(), Exhausted> {
        if self.is_spent.load(Ordering::Relaxed) {
            return Err(Exhausted);
        }
        let passed = self.started.elapsed();
        let micros = u64::try_from(passed.as_micros()).unwrap_or(u64::MAX);
        if micros < self.next_check.load(Ordering::Relaxed) {
            return Ok(());
        }
        let next = passed + CHECK_INTERVAL;
        self.next_check.store(
            u64::try_from(next.as_micros()).unwrap_or(u64::MAX),
            Ordering::Relaxed,
        );
        let is_over = passed > self.time && self.used() > self.time;
        match is_over || self.is_abandoned.load(Ordering::Relaxed) {
            true => self.spend(),
            false => Ok(()),
        }
    }

    /// Subtracts memory. It is never returned, since computed values live until the end of the evaluation.
    ///
    /// # Errors
    /// When less is left, or the time is used up.
    pub fn take(&self, bytes: u64) -> Result<(), Exhausted> {
        let left = self.bytes.load(Ordering::Relaxed);
        if bytes > left {
            return self.spend();
        }
        self.bytes.store(left - bytes, Ordering::Relaxed);
        self.step()
    }

    /// The CPU time used so far.
    pub fn used(&self) -> Duration {
        thread_time().saturating_sub(self.started_thread)
    }

    /// Whether the budget was ever exhausted.
    pub fn is_spent(&self) -> bool {
        self.is_spent.load(Ordering::Relaxed)
    }

    fn spend(&self) -> Result<(), Exhausted> {
        self.is_spent.store(true, Ordering::Relaxed);
        Err(Exhausted)
    }
}

fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exhausted_budget_stays_exhausted() {
        let budget = Budget::new(Duration::from_millis(5), Arc::default());
        let begun = Instant::now();
        while budget.step().is_ok() {
            assert!(begun.elapsed() < Duration::from_secs(30));
        }
        assert!(budget.used() >= Duration::from_millis(5));
        assert_eq!((budget.step(), budget.is_spent()), (Err(Exhausted), true));

        let budget = Budget::ample();
        assert_eq!(budget.take(MAX_BYTES), Ok(()));
        assert_eq!(budget.take(1), Err(Exhausted));
        assert_eq!(budget.step(), Err(Exhausted));
    }

    #[test]
    fn sleeping_uses_no_budget() {
        let budget = Budget::new(Duration::from_millis(50), Arc::default());
        std::thread::sleep(Duration::from_millis(60));
        assert_eq!(budget.step(), Ok(()));
    }

    #[test]
    fn an_abandoned_budget_is_exhausted() {
        let is_abandoned = Arc::new(AtomicBool::new(false));
        let budget = Budget::new(Duration::from_secs(9), Arc::clone(&is_abandoned));
        assert_eq!(budget.step(), Ok(()));
        is_abandoned.store(true, Ordering::Relaxed);
        std::thread::sleep(2 * CHECK_INTERVAL);
        assert_eq!(budget.step(), Err(Exhausted));
    }
}
