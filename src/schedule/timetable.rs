//! Calculates when a check is due. Pure.

use std::time::Duration;

use tokio::time::Instant;

use crate::config::CheckSettings;
use crate::model::CheckId;
use crate::store::{Fnv, NextRun};

/// The first runs are spread over this time, or over the interval if that is shorter.
const FIRST_RUNS: Duration = Duration::from_secs(5);

/// The ticks of one check and its interval.
#[derive(Clone, Copy, Debug)]
pub struct Timetable {
    /// One tick. All others are whole intervals away, so ticks do not drift.
    tick: Instant,
    interval: Duration,
    recheck_interval: Duration,
    /// When the first run is due.
    pub first: Instant,
}

impl Timetable {
    /// The timetable of a check that is added at `now`. The phase depends only on the check's identity and interval, so that
    /// its ticks, counted from `zero`, stay the same after a reload.
    pub fn new(zero: Instant, now: Instant, id: &CheckId, settings: &CheckSettings) -> Self {
        let interval = settings.interval.max(Duration::from_millis(1));
        let phase = phase(id, settings);
        Self {
            tick: zero + interval.mul_f64(phase),
            interval,
            recheck_interval: settings.recheck_interval.min(interval),
            first: now + interval.min(FIRST_RUNS).mul_f64(phase),
        }
    }

    /// The first tick after `planned` that is not before `now`.
    fn tick_after(&self, planned: Instant, now: Instant) -> Instant {
        let from = now.max(planned + Duration::from_nanos(1));
        let since = from.saturating_duration_since(self.tick).as_nanos();
        let interval = self.interval.as_nanos();
        let ticks = since.div_ceil(interval);
        let ahead = u64::try_from(ticks * interval).unwrap_or(u64::MAX);
        self.tick + Duration::from_nanos(ahead)
    }

    /// When the next run is due: at the next tick, or for a recheck `recheck_interval` after the start of the last run, or earlier if
    /// that completes a recovery. A recheck that is overdue starts at once.
    ///
    /// Rechecks count from the actual start, not from the planned one. Otherwise a first run that starts late could make the
    /// confirming run end a millisecond too early.
    pub fn next(&self, planned: Instant, started: Instant, ended: Instant, next_run: NextRun) -> Instant {
        if next_run.recheck {
            let wait = next_run.recovers_after.unwrap_or(self.recheck_interval);
            ended.max(started + wait.min(self.recheck_interval))
        } else {
            self.tick_after(planned, ended)
        }
    }

    /// Delays the `next` run after one that ended at `ended` and asked for a pause. The pause is at most one interval long, so that a
    /// target can't stop its check.
    pub fn delay(&self, next: Instant, ended: Instant, pause: Option<Duration>) -> Instant {
        pause.map_or(next, |pause| next.max(ended + pause.min(self.interval)))
    }

    /// How many ticks were missed because of this run: the whole intervals from its planned start to just before its end.
    pub fn missed(&self, planned: Instant, ended: Instant) -> u64 {
        let elapsed = ended.saturating_duration_since(planned).as_nanos();
        u64::try_from(elapsed.saturating_sub(1) / self.interval.as_nanos()).unwrap_or(u64::MAX)
    }
}

/// The phase of a check within its interval, from 0 to 1. Checks of some kinds share a phase if they have the same interval.
fn phase(id: &CheckId, settings: &CheckSettings) -> f64 {
    let mut hash = Fnv::new();
    if settings.kind.shares_phase() {
        hash.write(settings.kind.kind().as_str().as_bytes());
        hash.write(b"\0\0");
        hash.write(&settings.interval.as_nanos().to_le_bytes());
    } else {
        hash.write(id.service.as_str().as_bytes());
        hash.write(&[0]);
        hash.write(id.check.as_str().as_bytes());
    }
    // The upper bits of FNV hardly differ between names that differ only in the last character. Mix them (splitmix64).
    let mut bits = hash.finish();
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^= bits >> 31;
    #[allow(clippy::cast_precision_loss, reason = "32 bits are exact")]
    let place = (bits >> 32) as f64 / 4_294_967_296.0;
    place
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::tests_support::check;
    use crate::model::{CheckName, ServiceKey};

    const TCP: &str = "kind: tcp, address: \"127.0.0.1:1\"";

    fn settings(kind: &str, interval: u64) -> CheckSettings {
        check(&format!("{kind}, interval: {interval}s"))
    }

    fn process(text: &str) -> String {
        format!("kind: process, regex: {text}")
    }

    fn id(service: &str, check: &str) -> CheckId {
        CheckId {
            service: ServiceKey::new(Arc::from(service)),
            check: CheckName::new(Arc::from(check)),
        }
    }

    /// A timetable of interval 15 s and recheck interval 5 s whose ticks are at whole multiples of 15 s.
    fn table(zero: Instant) -> Timetable {
        Timetable {
            tick: zero,
            interval: Duration::from_secs(15),
            recheck_interval: Duration::from_secs(5),
            first: zero,
        }
    }

    fn run(recheck: bool) -> NextRun {
        NextRun {
            recheck,
            recovers_after: None,
        }
    }

    #[test]
    fn the_next_run_is_due_at_a_tick_or_one_recheck_interval_after_the_start() {
        let zero = Instant::now();
        let table = table(zero);
        let milli = |milliseconds| zero + Duration::from_millis(milliseconds);
        // planned, ended, recheck, next, missed
        for (planned, ended, recheck, next, missed) in [
            (0, 0, false, 15_000, 0),
            (0, 200, false, 15_000, 0),
            (0, 15_000, false, 15_000, 0),
            (0, 15_001, false, 30_000, 1),
            (0, 30_000, false, 30_000, 1),
            (0, 46_000, false, 60_000, 3),
            (14_900, 14_950, false, 15_000, 0),
            (14_900, 15_100, false, 30_000, 0),
            (0, 200, true, 5_000, 0),
            (13_000, 13_200, true, 18_000, 0),
            (0, 10_001, true, 10_001, 0),
            (0, 40_000, true, 40_000, 2),
        ] {
            let (planned, ended) = (milli(planned), milli(ended));
            assert_eq!(table.next(planned, planned, ended, run(recheck)), milli(next));
            assert_eq!(table.missed(planned, ended), missed);
        }
        // A recheck follows a whole recheck interval after a late start. Ticks do not move.
        let (planned, started, ended) = (milli(0), milli(7), milli(200));
        assert_eq!(table.next(planned, started, ended, run(true)), milli(5_007));
        assert_eq!(table.next(planned, started, ended, run(false)), milli(15_000));
        // A recheck that completes a recovery starts earlier, but not later.
        for (left, next) in [(1_000, 1_007), (9_000, 5_007), (1, 200)] {
            let next_run = NextRun {
                recheck: true,
                recovers_after: Some(Duration::from_millis(left)),
            };
            assert_eq!(table.next(planned, started, ended, next_run), milli(next));
        }
    }

    #[test]
    fn a_pause_delays_the_next_run_by_at_most_an_interval() {
        let zero = Instant::now();
        let (table, seconds) = (table(zero), |seconds| zero + Duration::from_secs(seconds));
        for (next, pause, delayed) in [
            (5, None, 5),
            (5, Some(2), 5),
            (5, Some(10), 11),
            (15, Some(3600), 16),
        ] {
            let pause = pause.map(Duration::from_secs);
            assert_eq!(table.delay(seconds(next), seconds(1), pause), seconds(delayed));
        }
    }

    #[test]
    fn phases_are_stable_and_spread() {
        assert!((phase(&id("api", "http"), &settings(TCP, 15)) - 0.289_273).abs() < 1e-6);
        let (mut counts, settings) = ([0; 20], settings(TCP, 15));
        for number in 0..2000 {
            let place = phase(&id(&format!("service-{number}"), "http"), &settings);
            assert!((0.0..1.0).contains(&place));
            counts[(place * 20.0) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (60..150).contains(count)), "{counts:?}");
    }

    #[test]
    fn process_checks_of_one_interval_share_a_phase() {
        let place = |service, kind: &str, interval| phase(&id(service, "process"), &settings(kind, interval));
        assert_eq!(place("a", &process("x"), 15), place("b", &process("y"), 15));
        assert_ne!(place("a", &process("x"), 15), place("a", &process("x"), 30));
        assert_ne!(place("a", TCP, 15), place("b", TCP, 15));
    }

    #[test]
    fn the_first_runs_come_within_five_seconds_and_before_the_second_tick() {
        let zero = Instant::now();
        for interval in [1, 5, 15, 3600] {
            let settings = settings(TCP, interval);
            for number in 0..200 {
                let table = Timetable::new(zero, zero, &id(&number.to_string(), "x"), &settings);
                let first = table.first - zero;
                assert!(first < Duration::from_secs(interval.min(5)), "{first:?}");
                let second = table.next(table.first, table.first, table.first, run(false)) - table.first;
                assert!(second <= Duration::from_secs(interval), "{second:?}");
            }
        }
    }
}
