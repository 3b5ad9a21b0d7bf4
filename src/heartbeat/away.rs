//! When the exporter could not receive beats: it did not run, or was frozen or suspended. Pure.

use std::time::Duration;

use crate::model::Moment;

/// The maximum number of stored intervals. An exporter that restarts all the time has more. Then the two that are closest become one.
const MAX_INTERVALS: usize = 32;

/// A pause between two ticks that is longer counts. A client waits about that long for a response, and ticks are a second apart.
const MIN_AWAY: Duration = Duration::from_secs(10);

/// A time in which no beat could arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Away {
    /// The last moment at which the exporter was certainly there.
    pub from: Moment,
    /// When it was back.
    pub until: Moment,
}

impl Away {
    /// Whether a beat that was expected at `due` may have come in this time, at most `grace` early or late.
    pub fn may_hide(&self, due: Moment, grace: Duration) -> bool {
        self.from <= due + grace && self.until + grace >= due
    }
}

/// The times in which no beat could arrive, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AwayTimes {
    intervals: Vec<Away>,
    /// The times that the wall clock skipped when it was set forward, with the later reading. Cron may not have started a job in them, or
    /// a virtual machine was paused.
    skipped: Vec<Away>,
    /// The last tick.
    alive: Option<Moment>,
}

impl AwayTimes {
    /// The times of an earlier process, which was last alive at `alive`.
    pub fn saved(intervals: impl IntoIterator<Item = Away>, alive: Moment) -> Self {
        let mut times = Self {
            intervals: Vec::new(),
            skipped: Vec::new(),
            alive: Some(alive),
        };
        for interval in intervals {
            push(&mut times.intervals, interval);
        }
        times
    }

    /// Adds the times that the wall clock of the earlier process skipped.
    #[must_use]
    pub fn with_skipped(mut self, skipped: impl IntoIterator<Item = Away>) -> Self {
        for interval in skipped {
            push(&mut self.skipped, interval);
        }
        self
    }

    /// Records that the wall clock was set at `now`, by `step` nanoseconds.
    pub fn set_wall(&mut self, step: i64, now: Moment) {
        let length = Duration::from_nanos(step.unsigned_abs());
        if length <= MIN_AWAY {
            return;
        }
        if step > 0 {
            let from = now - length;
            push(&mut self.skipped, Away { from, until: now });
        } else {
            // The times that were skipped come again.
            self.skipped.clear();
        }
    }

    /// The times that the wall clock skipped, in their order.
    pub fn skipped(&self) -> &[Away] {
        &self.skipped
    }

    /// Records that the process started at `now`. Any pause since the earlier process counts.
    pub fn start(&mut self, now: Moment) {
        if let Some(from) = self.alive.replace(now)
            && from < now
        {
            push(&mut self.intervals, Away { from, until: now });
        }
    }

    /// Records that the exporter runs at `now`. Returns whether it was away since the last tick.
    pub fn tick(&mut self, now: Moment) -> bool {
        let was_away = self.notice(now);
        self.alive = Some(now);
        was_away
    }

    /// Records a long pause since the last tick, for a part of the exporter that may run before the next tick. Returns whether there was one.
    /// Otherwise the last tick stays: only ticks tell that beats can arrive.
    pub fn notice(&mut self, now: Moment) -> bool {
        let from = self.alive.unwrap_or(now);
        let was_away = now.since(from) > MIN_AWAY;
        if was_away {
            self.alive = Some(now);
            push(&mut self.intervals, Away { from, until: now });
        }
        was_away
    }

    /// The last tick.
    pub fn alive(&self) -> Option<Moment> {
        self.alive
    }

    /// The intervals that ended after `moment`, in their order.
    pub fn after(&self, moment: Moment) -> impl Iterator<Item = Away> {
        self.intervals
            .iter()
            .copied()
            .filter(move |away| away.until > moment)
    }

    /// All intervals, in their order.
    pub fn all(&self) -> &[Away] {
        &self.intervals
    }
}

fn push(intervals: &mut Vec<Away>, away: Away) {
    intervals.push(away);
    if intervals.len() <= MAX_INTERVALS {
        return;
    }
    let gap = |at: usize| intervals[at + 1].from.since(intervals[at].until);
    let closest = (0..intervals.len() - 1).min_by_key(|at| gap(*at));
    if let Some(at) = closest {
        let merged = intervals.remove(at + 1);
        intervals[at].until = merged.until;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Moment {
        Moment::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn a_long_pause_between_ticks_counts() {
        let mut times = AwayTimes::default();
        times.start(at(0));
        assert!(!times.tick(at(1)) && !times.tick(at(11)));
        assert!(times.tick(at(22)));
        let away = Away {
            from: at(11),
            until: at(22),
        };
        assert_eq!(times.all(), [away]);
        assert_eq!(times.after(at(21)).count(), 1);
        assert_eq!(times.after(at(22)).count(), 0);
        for (due, grace, may_hide) in [
            (5, 5, false),
            (5, 6, true),
            (25, 2, false),
            (25, 3, true),
            (15, 0, true),
        ] {
            let grace = Duration::from_secs(grace);
            assert_eq!(away.may_hide(at(due), grace), may_hide, "{due} {grace:?}");
        }
    }

    #[test]
    fn any_pause_between_processes_counts() {
        let mut times = AwayTimes::saved([], at(-3));
        times.start(at(0));
        assert_eq!(times.all().len(), 1);
        let mut same = AwayTimes::saved([], at(5));
        same.start(at(0));
        assert_eq!(same.all().len(), 0, "the wall clock was set back meanwhile");
    }

    #[test]
    fn the_closest_intervals_become_one() {
        let mut times = AwayTimes::default();
        times.start(at(0));
        let mut now = 0;
        for number in 0..40 {
            // The pauses between intervals grow, so the first ones are the closest.
            now += 2 + number;
            for second in (now - 1 - number)..=now {
                times.tick(at(second));
            }
            now += 20;
            times.tick(at(now));
            assert!(times.all().len() <= MAX_INTERVALS);
        }
        let [first, .., last] = times.all() else { panic!() };
        assert!(last.until == at(now) && first.until.since(first.from) > Duration::from_secs(100));
    }
}
