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

    /// Relates the times since boot in a file to moments. The file was written at `written` since the boot `boot_id`, and at the Unix
    /// time `written_unix`.
    ///
    /// After a reboot, only the wall clock shows how old the file is. But until the clock is synchronized, it may be years ahead. So
    /// decisions count only the time since boot, which is certain: the time while the machine was off renews no budget.
    pub fn offsets_of(&self, boot_id: &str, written: i64, written_unix: i64, now: Moment) -> FileOffsets {
        let is_known = !boot_id.is_empty() && !self.boot_id.is_empty();
        if is_known && boot_id == self.boot_id {
            return FileOffsets {
                decisions: self.boot,
                shown: self.boot,
            };
        }
        let since_boot = self.boot_nanos(now);
        // If a boot is unknown, it may be the same one.
        let is_same = !is_known && since_boot >= written;
        let least_age = if is_same {
            since_boot.saturating_sub(written)
        } else {
            since_boot
        };
        let age = self.unix_nanos(now).saturating_sub(written_unix).max(0);
        let offset = |age: i64| written.saturating_sub(now.as_nanos().saturating_sub(age));
        FileOffsets {
            decisions: offset(least_age),
            shown: offset(age),
        }
    }
}

/// The differences between the times in a file and moments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileOffsets {
    /// For times that decisions depend on. They never become older than is certain.
    pub decisions: i64,
    /// For times that are only shown, by the wall clock.
    pub shown: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60 * 1_000_000_000;
    const HOUR: i64 = 60 * MINUTE;

    /// The moments of the time `at` in a file that was written in the boot "a", an hour after it: for decisions, and for people.
    fn read(boot_id: &str, since_boot: i64, unix: i64, at: i64) -> (i64, i64) {
        let now = Moment::from_nanos(5);
        let anchor = TimeAnchor::new(boot_id, since_boot, unix, now);
        let offsets = anchor.offsets_of("a", HOUR, 100 * HOUR, now);
        (at - offsets.decisions, at - offsets.shown)
    }

    #[test]
    fn the_wall_clock_does_not_matter_while_the_machine_runs() {
        for unix in [0, 50 * HOUR, 100 * HOUR, 1000 * HOUR] {
            assert_eq!(read("a", 2 * HOUR, unix, HOUR), (5 - HOUR, 5 - HOUR));
        }
    }

    #[test]
    fn after_a_reboot_only_the_time_since_boot_counts() {
        for unix in [0, 50 * HOUR, 103 * HOUR, 100_000 * HOUR] {
            assert_eq!(read("b", MINUTE, unix, HOUR).0, 5 - MINUTE, "{unix}");
            assert_eq!(read("b", 9 * HOUR, unix, HOUR / 2).0, 5 - 9 * HOUR - HOUR / 2);
        }
    }

    #[test]
    fn without_the_id_of_the_boot_the_age_is_the_least_possible() {
        assert_eq!(read("", HOUR + MINUTE, 0, HOUR).0, 5 - MINUTE, "the same boot");
        assert_eq!(read("", 2 * MINUTE, 0, HOUR).0, 5 - 2 * MINUTE, "another boot");
    }

    #[test]
    fn after_a_reboot_times_are_shown_by_the_wall_clock() {
        assert_eq!(read("b", MINUTE, 103 * HOUR, HOUR).1, 5 - 3 * HOUR);
        assert_eq!(read("b", MINUTE, 103 * HOUR, HOUR / 2).1, 5 - 3 * HOUR - HOUR / 2);
        assert_eq!(read("b", MINUTE, 50 * HOUR, HOUR).1, 5, "the clock was set back");
    }
}
