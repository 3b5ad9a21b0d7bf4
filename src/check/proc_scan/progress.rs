//! The process that a scan reads right now, shared between its thread and all others.

use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The process that a thread is reading, and since when. The two are not read atomically. A reader in between sees a wrong
/// process once; the next read is correct.
#[derive(Debug)]
pub struct Progress {
    origin: Instant,
    /// 0 if there is none.
    process: AtomicI32,
    /// Milliseconds after `origin`.
    since: AtomicU64,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            origin: Instant::now(),
            process: AtomicI32::new(0),
            since: AtomicU64::new(0),
        }
    }
}

impl Progress {
    /// Records that the thread begins to read a process.
    pub fn enter(&self, process: i32) {
        self.since.store(self.elapsed(), Ordering::Relaxed);
        self.process.store(process, Ordering::Release);
    }

    /// Records that the thread no longer reads a process.
    pub fn leave(&self) {
        self.process.store(0, Ordering::Release);
    }

    /// The process being read.
    pub fn process(&self) -> Option<i32> {
        Some(self.process.load(Ordering::Acquire)).filter(|id| *id != 0)
    }

    /// The process that has been read for longer than `limit`.
    pub fn stuck_at(&self, limit: Duration) -> Option<i32> {
        let process = self.process()?;
        let so_far = self.elapsed().saturating_sub(self.since.load(Ordering::Relaxed));
        (u128::from(so_far) > limit.as_millis()).then_some(process)
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_stuck_after_the_limit_only() {
        let progress = Progress::default();
        assert_eq!(progress.stuck_at(Duration::ZERO), None);
        progress.enter(7);
        assert_eq!(progress.process(), Some(7));
        assert_eq!(progress.stuck_at(Duration::from_secs(3600)), None);
        let deadline = Instant::now() + Duration::from_secs(20);
        while progress.stuck_at(Duration::from_millis(3)) != Some(7) {
            assert!(Instant::now() < deadline);
        }
        progress.enter(8);
        assert_eq!(progress.stuck_at(Duration::from_secs(3600)), None);
        progress.leave();
        assert_eq!(
            (progress.process(), progress.stuck_at(Duration::ZERO)),
            (None, None)
        );
    }
}
