//! Counts OOM kills of a unit or container across its starts. Pure.
//!
//! There are two sources. The kernel counts kills per group, but the group is removed when its unit stops, which often happens right
//! after a kill. The manager reports that a unit ended because of a kill, but not a kill that the unit survived. A kill that both
//! report counts once.

/// Counts OOM kills since the first observation. Never decreases.
///
/// Earlier kills do not count. Otherwise, the counter would not start at 0 after a restart of the exporter, which looks like new kills.
#[derive(Debug, Default)]
pub struct OomCounter {
    total: u64,
    /// The group that was last read.
    group: Option<Group>,
    /// The manager's count at the last observation.
    reported: u64,
    progress: Progress,
}

/// A group, and its kills that have been handled.
#[derive(Clone, Copy, Debug)]
struct Group {
    id: u64,
    /// How many of its kills are in `total`, or earlier ones.
    counted: u64,
    /// How many of these are earlier ones.
    earlier: u64,
}

impl Group {
    const fn has_new(&self) -> bool {
        self.counted > self.earlier
    }
}

/// What has been observed so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Progress {
    /// Nothing.
    #[default]
    Start,
    /// A start that was in progress at the first observation, but not its group.
    WithoutGroup,
    /// Enough to know which kills are new.
    Known,
}

/// What one run sees.
#[derive(Clone, Copy, Debug, Default)]
pub struct Observation {
    /// How often the manager has reported an end because of a kill.
    pub reported: u64,
    /// Whether the last of these reports is about the current or last start.
    pub is_last_start: bool,
    /// Whether the unit or container runs.
    pub is_running: bool,
    /// The id of the group, and its kills according to the kernel.
    pub group: Option<(u64, u64)>,
}

impl OomCounter {
    /// Adds an observation and returns the count.
    pub fn observe(&mut self, seen: Observation) -> u64 {
        if self.progress == Progress::Start {
            self.reported = seen.reported;
        }
        // A lower count means that the manager's counter has started again.
        let new = seen.reported.checked_sub(self.reported).unwrap_or(seen.reported);
        self.reported = seen.reported;
        if self.progress != Progress::Known && new == 0 {
            self.group = seen.group.map(|(id, kills)| Group {
                id,
                counted: kills,
                earlier: kills,
            });
            self.progress = match seen.group {
                None if seen.is_running => Progress::WithoutGroup,
                _ => Progress::Known,
            };
        } else {
            self.progress = Progress::Known;
        }
        let last = u64::from(new > 0 && seen.is_last_start);
        let earlier = new.saturating_sub(last);
        let is_same = |known: &Group| seen.group.is_none_or(|(id, _)| id == known.id);
        if earlier > 0 {
            // The first one ended the group that was read last. Its kill may be counted already.
            let is_counted = self.group.is_some_and(|group| group.has_new());
            self.total += earlier - u64::from(is_counted);
            self.group = self.group.filter(is_same).map(|group| Group {
                counted: group.counted.max(group.earlier + 1),
                ..group
            });
        }
        if let Some((id, kills)) = seen.group {
            let known = self.group.filter(|known| known.id == id).unwrap_or(Group {
                id,
                counted: 0,
                earlier: 0,
            });
            self.total += kills.saturating_sub(known.counted);
            self.group = Some(Group {
                counted: known.counted.max(kills),
                ..known
            });
        }
        if last > 0 {
            match &mut self.group {
                Some(group) if group.has_new() => {}
                Some(group) => {
                    group.counted += 1;
                    self.total += 1;
                }
                None => self.total += 1,
            }
        }
        self.total
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seen(reported: u64, is_last_start: bool, group: Option<(u64, u64)>) -> Observation {
        Observation {
            reported,
            is_last_start,
            is_running: group.is_some(),
            group,
        }
    }

    #[test]
    fn a_kill_that_the_unit_survives_is_counted_by_the_kernel() {
        let mut counter = OomCounter::default();
        assert_eq!(counter.observe(seen(0, false, Some((7, 0)))), 0);
        assert_eq!(counter.observe(seen(0, false, Some((7, 2)))), 2);
        assert_eq!(counter.observe(seen(0, false, Some((7, 2)))), 2);
        // The next start has a new group.
        assert_eq!(counter.observe(seen(0, false, Some((8, 0)))), 2);
        assert_eq!(counter.observe(seen(0, false, Some((8, 1)))), 3);
        assert_eq!(counter.observe(seen(0, false, None)), 3);
    }

    #[test]
    fn a_kill_that_ends_the_unit_is_counted_once() {
        // The group is read between the kill and its removal, before or after the manager's report, or not at all.
        for between in [
            vec![(0, Some((7, 1)))],
            vec![(1, Some((7, 1)))],
            vec![(1, Some((7, 0)))],
            vec![],
        ] {
            let mut counter = OomCounter::default();
            counter.observe(seen(0, false, Some((7, 0))));
            for (reported, group) in between.clone() {
                counter.observe(seen(reported, reported > 0, group));
            }
            assert_eq!(counter.observe(seen(1, true, None)), 1, "{between:?}");
            // It is started again, and killed again.
            assert_eq!(counter.observe(seen(1, false, Some((8, 0)))), 1, "{between:?}");
            assert_eq!(counter.observe(seen(2, true, None)), 2, "{between:?}");
        }
    }

    #[test]
    fn a_kill_before_a_quick_restart_is_counted() {
        let mut counter = OomCounter::default();
        counter.observe(seen(0, false, Some((7, 0))));
        // Between two runs it was killed twice, and started twice.
        assert_eq!(counter.observe(seen(2, false, Some((9, 0)))), 2);
        assert_eq!(counter.observe(seen(2, false, Some((9, 0)))), 2);
        // The kernel's count was read before the report.
        assert_eq!(counter.observe(seen(2, false, Some((9, 1)))), 3);
        assert_eq!(counter.observe(seen(3, false, Some((10, 0)))), 3);
    }

    #[test]
    fn earlier_kills_do_not_count() {
        let mut counter = OomCounter::default();
        assert_eq!(counter.observe(seen(3, true, Some((7, 2)))), 0);
        assert_eq!(counter.observe(seen(3, true, Some((7, 3)))), 1);
        // One that ends the group.
        let mut counter = OomCounter::default();
        assert_eq!(counter.observe(seen(0, false, Some((7, 2)))), 0);
        assert_eq!(counter.observe(seen(1, true, None)), 1);
        let mut counter = OomCounter::default();
        assert_eq!(counter.observe(seen(0, false, Some((7, 2)))), 0);
        assert_eq!(counter.observe(seen(1, false, Some((8, 0)))), 1);
        // The group of a unit that runs is read later than the unit's state.
        let waits = Observation {
            is_running: true,
            ..Observation::default()
        };
        let mut counter = OomCounter::default();
        assert_eq!(counter.observe(waits), 0);
        assert_eq!(counter.observe(seen(0, false, Some((7, 2)))), 0);
        assert_eq!(counter.observe(seen(0, false, Some((7, 3)))), 1);
        // A unit that does not run has no earlier kills.
        let mut counter = OomCounter::default();
        assert_eq!(counter.observe(seen(0, false, None)), 0);
        assert_eq!(counter.observe(seen(0, false, Some((7, 2)))), 2);
    }

    #[test]
    fn without_groups_only_reports_count() {
        let mut counter = OomCounter::default();
        assert_eq!(counter.observe(seen(0, false, None)), 0);
        assert_eq!(counter.observe(seen(1, true, None)), 1);
        assert_eq!(counter.observe(seen(3, false, None)), 3);
        assert_eq!(
            counter.observe(seen(1, true, None)),
            4,
            "a new connection to the manager"
        );
    }

    proptest! {
        #[test]
        fn it_never_decreases(steps in proptest::collection::vec((0_u64..5, any::<bool>(), proptest::option::of((0_u64..3, 0_u64..4))), 0..30)) {
            let mut counter = OomCounter::default();
            let mut last = 0;
            for (reported, is_last_start, group) in steps {
                let now = counter.observe(seen(reported, is_last_start, group));
                prop_assert!(now >= last);
                last = now;
            }
        }
    }
}
