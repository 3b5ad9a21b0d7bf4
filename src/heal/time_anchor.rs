//! Converts moments to times that survive the exporter, but do not depend on the wall clock while the machine runs: a clock that is
//! set must not renew a budget.

use std::fs;
use std::path::Path;

use rustix::time::{ClockId, clock_gettime};

use crate::model::{Clock, Moment};

/// The file with a random id of the current boot of the machine (proc_sys_kernel(5)).
const BOOT_ID: &str = "sys/kernel/random/boot_id";

/// Relates moments to the time since boot and to the wall clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeAnchor {
    /// The id of the boot; empty if it is unknown.
    pub boot_id: String,
    /// Nanoseconds since boot at moment zero.
    boot: i64,
    /// Nanoseconds of Unix time at moment zero.
    unix: i64,
}

impl TimeAnchor {
    /// Reads the clocks, and the id of the boot from `procfs`.
    pub fn read(clock: &dyn Clock, procfs: &Path) -> Self {
        let boot_id = fs::read_to_string(procfs.join(BOOT_ID)).unwrap_or_default();
        let since_boot = clock_gettime(ClockId::Boottime);
        let since_boot = since_boot
            .tv_sec
            .saturating_mul(1_000_000_000)
            .saturating_add(since_boot.tv_nsec);
        Self::new(boot_id.trim(), since_boot, clock.wall_nanos(), clock.now())
    }

    /// An anchor for the times since boot and since the Unix epoch at `now`, in nanoseconds.
    pub fn new(boot_id: &str, since_boot: i64, unix: i64, now: Moment) -> Self {
        Self {
            boot_id: boot_id.to_owned(),
            boot: since_boot.saturating_sub(now.as_nanos()),
            unix: unix.saturating_sub(now.as_nanos()),
        }
    }

    /// Nanoseconds since boot at `moment`.
    pub fn boot_nanos(&self, moment: Moment) -> i64 {
        moment.as_nanos().saturating_add(self.boot)
    }

    /// Unix time at `moment`, in nanoseconds, by the wall clock when the anchor was read.
    pub fn unix_nanos(&self, moment: Moment) -> i64 {
        moment.as_nanos().saturating_add(self.unix)
    }

    /// The difference between the times since boot in a file and moments. The file was written at `written` since the boot `boot_id`,
    /// and at the Unix time `written_unix`. After a reboot only the wall clock shows how old the file is. If it was set back
    /// meanwhile, the file counts as new.
    pub fn offset_of(&self, boot_id: &str, written: i64, written_unix: i64, now: Moment) -> i64 {
        if !boot_id.is_empty() && boot_id == self.boot_id {
            return self.boot;
        }
        let age = self.unix_nanos(now).saturating_sub(written_unix).max(0);
        written.saturating_sub(now.as_nanos().saturating_sub(age))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3600 * 1_000_000_000;

    /// The moment of a time in a file that was written in the boot "a", an hour after it.
    fn read(boot_id: &str, since_boot: i64, unix: i64, at: i64) -> i64 {
        let now = Moment::from_nanos(5);
        let anchor = TimeAnchor::new(boot_id, since_boot, unix, now);
        at - anchor.offset_of("a", HOUR, 100 * HOUR, now)
    }

    #[test]
    fn the_wall_clock_does_not_matter_while_the_machine_runs() {
        for unix in [0, 50 * HOUR, 100 * HOUR, 1000 * HOUR] {
            assert_eq!(read("a", 2 * HOUR, unix, HOUR), 5 - HOUR);
        }
    }

    #[test]
    fn after_a_reboot_the_wall_clock_counts_and_never_makes_times_newer_than_written() {
        assert_eq!(read("b", 0, 103 * HOUR, HOUR), 5 - 3 * HOUR);
        assert_eq!(read("b", 0, 103 * HOUR, HOUR / 2), 5 - 3 * HOUR - HOUR / 2);
        assert_eq!(read("b", 0, 50 * HOUR, HOUR), 5, "the clock was set back");
    }
}
