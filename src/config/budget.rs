//! What judging a target's words may cost: expressions are the user's, what they are held against is chosen by others.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// The most memory that one judgement may take for what it computes, in bytes.
const MAX_BYTES: u64 = 64 << 20;
/// How often the time is looked at: the thread's clock is a system call.
const LOOK: Duration = Duration::from_millis(1);

/// The time of the processor and the memory that one judgement may take, and whether anyone still waits for it. Used by one thread.
#[derive(Debug)]
pub struct Budget {
    begun: Instant,
    /// The time of the thread at the beginning, and how much more there is.
    begun_thread: Duration,
    time: Duration,
    /// Microseconds after the beginning at which the thread's clock is looked at.
    look: AtomicU64,
    bytes: AtomicU64,
    is_spent: AtomicBool,
    is_abandoned: Arc<AtomicBool>,
}

/// The budget does not suffice, or nobody waits any longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted;

impl Budget {
    /// A budget of this much time of the processor. It is exhausted early when `is_abandoned` becomes true.
    pub fn new(time: Duration, is_abandoned: Arc<AtomicBool>) -> Self {
        Self {
            begun: Instant::now(),
            begun_thread: thread_time(),
            time,
            look: AtomicU64::new(0),
            bytes: AtomicU64::new(MAX_BYTES),
            is_spent: AtomicBool::new(false),
            is_abandoned,
        }
    }

    /// One that suffices for everything, for texts of our own and for tests.
    pub fn ample() -> Self {
        Self::new(Duration::from_secs(3600), Arc::default())
    }

    /// Takes a step, of microseconds at most.
    ///
    /// # Errors
    /// When the time is spent. It stays so.
    pub fn step(&self) -> Result<(), Exhausted> {
        if self.is_spent.load(Ordering::Relaxed) {
            return Err(Exhausted);
        }
        let passed = self.begun.elapsed();
        let micros = u64::try_from(passed.as_micros()).unwrap_or(u64::MAX);
        if micros < self.look.load(Ordering::Relaxed) {
            return Ok(());
        }
        let next = passed + LOOK;
        self.look.store(
            u64::try_from(next.as_micros()).unwrap_or(u64::MAX),
            Ordering::Relaxed,
        );
        let is_over = passed > self.time && self.used() > self.time;
        match is_over || self.is_abandoned.load(Ordering::Relaxed) {
            true => self.spend(),
            false => Ok(()),
        }
    }

    /// Takes memory, which is not given back: what is computed lives until the end.
    ///
    /// # Errors
    /// When there is not so much left, or the time is spent.
    pub fn take(&self, bytes: u64) -> Result<(), Exhausted> {
        let left = self.bytes.load(Ordering::Relaxed);
        if bytes > left {
            return self.spend();
        }
        self.bytes.store(left - bytes, Ordering::Relaxed);
        self.step()
    }

    /// How much time of the processor was used until now.
    pub fn used(&self) -> Duration {
        thread_time().saturating_sub(self.begun_thread)
    }

    /// Whether it was exhausted at some time.
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
    fn time_and_memory_end_and_stay_so() {
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
    fn sleeping_costs_nothing() {
        let budget = Budget::new(Duration::from_millis(50), Arc::default());
        std::thread::sleep(Duration::from_millis(60));
        assert_eq!(budget.step(), Ok(()));
    }

    #[test]
    fn what_nobody_waits_for_ends() {
        let is_abandoned = Arc::new(AtomicBool::new(false));
        let budget = Budget::new(Duration::from_secs(9), Arc::clone(&is_abandoned));
        assert_eq!(budget.step(), Ok(()));
        is_abandoned.store(true, Ordering::Relaxed);
        std::thread::sleep(2 * LOOK);
        assert_eq!(budget.step(), Err(Exhausted));
    }
}
