//! Where a scan has got to, told by its thread to everybody else.

use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The process that a thread is reading, and since when. The two are not read as one, but a reader that comes between
/// them errs by one process, and the next one corrects that.
#[derive(Debug)]
pub struct Progress {
    origin: Instant,
    /// 0 for none.
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
    /// The thread begins with a process.
    pub fn enter(&self, process: i32) {
        self.since.store(self.elapsed(), Ordering::Relaxed);
        self.process.store(process, Ordering::Release);
    }

    /// The thread reads no process any more.
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
    fn only_who_stays_too_long_is_stuck() {
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
