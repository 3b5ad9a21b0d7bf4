//! Debouncing: a grade changes only after several runs agree.

use std::time::Duration;

use super::grade::{Counts, Grade};
use crate::model::Moment;

/// The part of [`Counts::better_span`] that may be missing. The scheduler starts rechecks exactly that far apart, but the clock of moments
/// may differ from its clock by milliseconds on a busy machine.
const SPAN_TOLERANCE: u32 = 10;

/// A minimum badness of a debounced grade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Degraded or down.
    Degraded,
    /// Down.
    Down,
}

impl Level {
    const ALL: [Self; 2] = [Self::Degraded, Self::Down];

    const fn grade(self) -> Grade {
        match self {
            Self::Degraded => Grade::Degraded,
            Self::Down => Grade::Down,
        }
    }
}

/// Counts runs in a row with a common property. It stops at the required number, so that a constant state looks the same after every
/// run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Streak {
    /// The number of runs.
    pub count: u32,
    /// The start of the first run; meaningless if the count is zero.
    pub start: Moment,
}

impl Streak {
    fn record(&mut self, continues: bool, start: Moment, required: u32) {
        match (continues, self.count) {
            (false, _) => *self = Self::default(),
            (true, 0) => *self = Self { count: 1, start },
            (true, count) => self.count = count.saturating_add(1).min(required.max(1)),
        }
    }
}

/// A grade that changes only after [`Counts`] runs in a row, and only as far as all of them support. The first run decides at once.
///
/// Runs that make it better must also span [`Counts::better_span`]. Signals, such as those of systemd, request runs within milliseconds
/// of each other. These runs do not show that a recovery lasts.
///
/// Four streaks are enough: runs at least as bad as degraded, at least as bad as down, at least as good as degraded, and as good as up.
/// A streak that is long enough moves the grade to its bound. If both streaks of a direction are, the further bound counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Debounced {
    /// The grade; `None` before the first run.
    pub grade: Option<Grade>,
    /// The next run decides at once, like the first one, because the grade is old or from other settings.
    pub is_provisional: bool,
    /// The start of the first run in the series that set the grade; meaningless before the first run.
    pub since: Moment,
    /// For each [`Level`]: since when the grade is at least that bad, or `None`.
    pub held: [Option<Moment>; 2],
    /// Runs at least as bad as [`Grade::Degraded`], as [`Grade::Down`].
    pub worse: [Streak; 2],
    /// Runs at least as good as [`Grade::Degraded`], as [`Grade::Up`].
    pub better: [Streak; 2],
}

impl Debounced {
    /// Whether the next run decides at once.
    pub const fn decides_at_once(&self) -> bool {
        self.is_provisional || self.grade.is_none()
    }

    /// Records a run.
    pub fn record(&mut self, grade: Grade, start: Moment, counts: Counts) {
        let decides = self.decides_at_once();
        if decides {
            self.worse = Default::default();
            self.better = Default::default();
            self.is_provisional = false;
        }
        for (streak, bound) in self.worse.iter_mut().zip([Grade::Degraded, Grade::Down]) {
            streak.record(grade >= bound, start, counts.worse);
        }
        for (streak, bound) in self.better.iter_mut().zip([Grade::Degraded, Grade::Up]) {
            streak.record(grade <= bound, start, counts.better);
        }
        let change = match self.grade {
            Some(current) if !decides => self.next_grade(current, start, counts),
            current => (current != Some(grade)).then_some((grade, start)),
        };
        if let Some((grade, since)) = change {
            self.grade = Some(grade);
            self.since = since;
        }
        let next = self.grade.unwrap_or(grade);
        for level in Level::ALL {
            let held = &mut self.held[level as usize];
            if next < level.grade() {
                *held = None;
            } else if held.is_none() {
                *held = Some(self.worse[level as usize].start);
            }
        }
    }

    /// The new grade that the streaks cause after a run that started at `last`, and the start of the decisive streak; `None` if
    /// `current` stays. At most one direction has a streak beyond `current`.
    fn next_grade(&self, current: Grade, last: Moment, counts: Counts) -> Option<(Grade, Moment)> {
        let worse = [Grade::Down, Grade::Degraded]
            .into_iter()
            .zip(self.worse.iter().rev())
            .find(|(bound, streak)| *bound > current && streak.count >= counts.worse.max(1));
        let better = [Grade::Up, Grade::Degraded]
            .into_iter()
            .zip(self.better.iter().rev())
            .find(|(bound, streak)| {
                *bound < current
                    && streak.count >= counts.better.max(1)
                    && last.since(streak.start) >= counts.better_span - counts.better_span / SPAN_TOLERANCE
            });
        worse.or(better).map(|(bound, streak)| (bound, streak.start))
    }

    /// How long after the start of the last run, at `last`, one more run can complete a recovery; `None` if no recovery waits only for
    /// its time.
    pub fn recovers_after(&self, last: Moment, counts: Counts) -> Option<Duration> {
        let current = self.grade?;
        [Grade::Degraded, Grade::Up]
            .into_iter()
            .zip(&self.better)
            .filter(|(bound, streak)| {
                *bound < current && streak.count > 0 && streak.count + 1 >= counts.better
            })
            .map(|(_, streak)| (streak.start + counts.better_span).since(last))
            .filter(|left| !left.is_zero())
            .min()
    }

    /// Clears the streaks that can't change the current grade. A run that ends the grade also ends them, so they never matter. Two equal
    /// normalized values have the same future.
    #[must_use]
    pub fn normalized(mut self) -> Self {
        for (streak, bound) in self.worse.iter_mut().zip([Grade::Degraded, Grade::Down]) {
            if Some(bound) <= self.grade {
                *streak = Streak::default();
            }
        }
        for (streak, bound) in self.better.iter_mut().zip([Grade::Degraded, Grade::Up]) {
            if Some(bound) >= self.grade {
                *streak = Streak::default();
            }
        }
        self
    }

    /// Since when the grade is at least as bad as `level`, or `None`.
    pub const fn since_at_least(&self, level: Level) -> Option<Moment> {
        self.held[level as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Grade::{Degraded, Down, Up};

    fn counts(worse: u32, better: u32) -> Counts {
        Counts {
            worse,
            better,
            better_span: Duration::ZERO,
        }
    }

    /// The grade after each run. The first run starts at 1 ns, the next one at 2 ns.
    fn grades(worse: u32, better: u32, runs: &[Grade]) -> (Vec<Grade>, Debounced) {
        let mut debounced = Debounced::default();
        let counts = counts(worse, better);
        let after = (1..)
            .zip(runs)
            .map(|(second, run)| {
                debounced.record(*run, Moment::from_nanos(second), counts);
                debounced.grade.unwrap()
            })
            .collect();
        (after, debounced)
    }

    fn at(second: i64) -> Option<Moment> {
        Some(Moment::from_nanos(second))
    }

    #[test]
    fn the_first_run_decides_at_once() {
        for grade in [Up, Degraded, Down] {
            assert_eq!(grades(3, 3, &[grade]).0, [grade]);
        }
    }

    #[test]
    fn a_service_that_fails_every_other_run_is_not_up() {
        let (after, last) = grades(1, 2, &[Up, Down, Up, Down, Up, Down, Up, Up]);
        assert_eq!(after, [Up, Down, Down, Down, Down, Down, Down, Up]);
        assert_eq!(last.since_at_least(Level::Down), None);
    }

    #[test]
    fn mixed_runs_cause_the_mildest_change() {
        let (after, last) = grades(2, 2, &[Up, Down, Degraded]);
        assert_eq!(after, [Up, Up, Degraded]);
        assert_eq!(
            (
                last.since_at_least(Level::Degraded),
                last.since_at_least(Level::Down)
            ),
            (at(2), None)
        );
        let (after, last) = grades(2, 2, &[Up, Degraded, Down, Down]);
        assert_eq!(after, [Up, Up, Degraded, Down]);
        assert_eq!(
            (
                last.since_at_least(Level::Degraded),
                last.since_at_least(Level::Down)
            ),
            (at(2), at(3))
        );
        let (after, last) = grades(2, 2, &[Down, Up, Degraded, Up, Up]);
        assert_eq!(after, [Down, Down, Degraded, Degraded, Up]);
        assert_eq!(last.since_at_least(Level::Degraded), None);
        assert_eq!(last.since, Moment::from_nanos(4));
    }

    #[test]
    fn since_is_the_start_of_the_first_run_of_the_series() {
        let (after, last) = grades(3, 2, &[Up, Down, Up, Down, Down, Down, Down, Up, Down]);
        assert_eq!(after, [Up, Up, Up, Up, Up, Down, Down, Down, Down]);
        assert_eq!(
            (
                last.since_at_least(Level::Degraded),
                last.since_at_least(Level::Down)
            ),
            (at(4), at(4))
        );
    }

    #[test]
    fn after_a_change_of_settings_the_next_run_decides_and_the_since_time_stays() {
        let (_, mut last) = grades(1, 3, &[Up, Down]);
        let counts = counts(1, 3);
        last.is_provisional = true;
        let mut still_down = last;
        still_down.record(Down, Moment::from_nanos(9), counts);
        assert_eq!(still_down.since_at_least(Level::Down), at(2));
        let mut degraded = last;
        degraded.record(Degraded, Moment::from_nanos(9), counts);
        assert_eq!(
            (
                degraded.since_at_least(Level::Degraded),
                degraded.since_at_least(Level::Down)
            ),
            (at(2), None)
        );
        last.record(Up, Moment::from_nanos(9), counts);
        assert_eq!(
            (last.grade, last.since_at_least(Level::Degraded)),
            (Some(Up), None)
        );
    }

    /// Each row is a run: its time, its grade, the grade after it, and when one more run can complete a recovery.
    #[test]
    fn runs_in_quick_succession_end_no_outage() {
        let counts = Counts {
            better_span: Duration::from_nanos(5_000),
            ..counts(1, 2)
        };
        let after = |left| Some(Duration::from_nanos(left));
        for rows in [
            // A unit starts, and fails again.
            &[
                (0, Down, Down, None),
                (100, Degraded, Down, after(5_000)),
                (150, Up, Down, after(4_950)),
                (200, Down, Down, None),
            ][..],
            // It starts, and serves.
            &[
                (0, Down, Down, None),
                (100, Degraded, Down, after(5_000)),
                (150, Up, Down, after(4_950)),
                (5_100, Up, Up, None),
            ],
            // Many signals.
            &[
                (0, Down, Down, None),
                (1_000, Up, Down, after(5_000)),
                (2_000, Up, Down, after(4_000)),
                (3_000, Up, Down, after(3_000)),
                (5_499, Up, Down, after(501)),
                (5_500, Up, Up, None),
            ],
            // It gets better in two steps.
            &[
                (0, Down, Down, None),
                (100, Degraded, Down, after(5_000)),
                (3_000, Up, Down, after(2_100)),
                (5_100, Up, Degraded, after(2_900)),
                (8_000, Up, Up, None),
            ],
        ] {
            let mut debounced = Debounced::default();
            for &(start, run, expected, left) in rows {
                let start = Moment::from_nanos(start);
                debounced.record(run, start, counts);
                debounced = debounced.normalized();
                assert_eq!(debounced.grade, Some(expected), "at {start:?}");
                assert_eq!(debounced.recovers_after(start, counts), left, "at {start:?}");
            }
        }
        let thrice = Counts { better: 3, ..counts };
        let mut debounced = Debounced::default();
        for (start, run, left) in [(0, Down, None), (10, Up, None), (9_000, Up, None)] {
            let start = Moment::from_nanos(start);
            debounced.record(run, start, thrice);
            assert_eq!(
                debounced.recovers_after(start, thrice),
                left,
                "the third run is a recheck"
            );
        }
    }

    #[test]
    fn another_run_with_the_same_grade_changes_nothing() {
        let (_, first) = grades(2, 3, &[Up]);
        let (_, second) = grades(2, 3, &[Up, Up]);
        assert_ne!(first, second);
        assert_eq!(first.normalized(), second.normalized());
        let (_, pending) = grades(2, 3, &[Up, Up, Down]);
        assert_ne!(pending.normalized(), second.normalized());
    }

    #[test]
    fn a_constant_state_looks_the_same_after_every_run() {
        let (_, one) = grades(2, 3, &[Up, Up, Up]);
        let (_, many) = grades(2, 3, &[Up; 50]);
        assert_eq!(one, many);
    }
}
