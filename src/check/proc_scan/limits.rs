//! The limits of descriptors that recent scans have read.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::parse::{Identity, SoftLimit};

/// For how long a limit is used before it is read again. Few processes change it after their start, and reading it takes longer
/// than any other file of a scan.
const MAX_AGE: Duration = Duration::from_secs(60);

/// For how long after its start a process may still set its limit, so that every scan reads it.
const STARTING_TIME: Duration = Duration::from_secs(10);

/// The limits of matching processes, with the time when they were read.
#[derive(Debug, Default)]
pub struct KnownLimits(HashMap<Identity, (Option<SoftLimit>, Instant)>);

impl KnownLimits {
    /// Forgets the limits that must be read again.
    pub fn expire(&mut self) {
        let now = Instant::now();
        self.0.retain(|_, (_, read_at)| now - *read_at < MAX_AGE);
    }

    /// The limit of a process; `None` if it may not be read. Calls `read` if it is not known.
    ///
    /// # Errors
    /// The error of `read`.
    pub fn get<E>(
        &mut self,
        process: Identity,
        read: impl FnOnce() -> Result<Option<SoftLimit>, E>,
    ) -> Result<Option<SoftLimit>, E> {
        if let Some((limit, _)) = self.0.get(&process) {
            return Ok(*limit);
        }
        let limit = read()?;
        if age(process.1) > STARTING_TIME {
            self.0.insert(process, (limit, Instant::now()));
        }
        Ok(limit)
    }
}

/// How long ago a process started.
fn age(start_ticks: u64) -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    Duration::from_secs(seconds.saturating_sub(start_ticks / procfs::ticks_per_second()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Option<SoftLimit> = Some(SoftLimit::Value(1024));

    /// Whether the limit had to be read.
    fn is_read(known: &mut KnownLimits, process: Identity) -> bool {
        let mut is_read = false;
        let limit = known.get(process, || {
            is_read = true;
            Ok::<_, ()>(LIMIT)
        });
        assert_eq!(limit, Ok(LIMIT));
        is_read
    }

    #[test]
    fn a_limit_is_read_again_after_its_time() {
        let mut known = KnownLimits::default();
        assert!(is_read(&mut known, (7, 0)));
        assert!(!is_read(&mut known, (7, 0)));
        // The id was reused.
        assert!(is_read(&mut known, (7, 1)));
        known.expire();
        assert!(!is_read(&mut known, (7, 0)));
        let earlier = Instant::now().checked_sub(MAX_AGE).unwrap();
        known.0.insert((7, 0), (LIMIT, earlier));
        known.expire();
        assert!(is_read(&mut known, (7, 0)));
        assert!(!is_read(&mut known, (7, 1)));
    }

    #[test]
    fn the_limit_of_a_new_process_is_always_read() {
        let mut known = KnownLimits::default();
        let now = u64::try_from(clock_gettime(ClockId::Boottime).tv_sec).unwrap();
        let new = (8, now * procfs::ticks_per_second());
        assert!(is_read(&mut known, new));
        assert!(is_read(&mut known, new));
    }

    #[test]
    fn an_error_is_not_kept() {
        let mut known = KnownLimits::default();
        assert_eq!(known.get((7, 0), || Err("gone")), Err("gone"));
        assert!(is_read(&mut known, (7, 0)));
    }
}
