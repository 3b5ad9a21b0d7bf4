//! When a maintenance window starts: once, on weekdays, or by a cron expression, in a time zone.
//!
//! Daylight saving: a local time that does not exist starts at the first moment after the gap. A local time that exists twice
//! starts at the first of the two.

use std::time::Duration;

use cronexpr::{Crontab, MakeTimestamp};
use jiff::civil::{DateTime, Time, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp};

/// The maximum number of starts that one search looks at. A cron expression that starts every minute has as many in half a day.
const MAX_STARTS: usize = 1000;

/// How far back an ended window is found. Results older than ten minutes are no evidence for alerts, so older ends do not matter.
const LOOK_BACK: SignedDuration = SignedDuration::from_hours(1);

/// When a window starts.
#[derive(Clone, Debug, PartialEq)]
pub enum Starts {
    /// Once.
    Once(Timestamp),
    /// On these days at a local time.
    Weekly(Vec<Weekday>, Time),
    /// When the local time matches a cron expression.
    Cron(Box<Cron>),
}

/// A cron expression of five fields.
#[derive(Clone, Debug)]
pub struct Cron {
    text: String,
    /// Parsed without a time zone. Local times are searched as if they were UTC: the library would skip a day whose time does
    /// not exist.
    table: Crontab,
}

impl PartialEq for Cron {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Cron {
    /// Parses an expression.
    ///
    /// # Errors
    /// A description of the error.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = cronexpr::normalize_crontab(text);
        let fields = text.split(' ').count();
        if fields != 5 {
            return Err(format!(
                "expected five fields (minute, hour, day of month, month, day of week), found {fields}"
            ));
        }
        let mut options = cronexpr::ParseOptions::default();
        options.fallback_timezone_option = cronexpr::FallbackTimezoneOption::UTC;
        match cronexpr::parse_crontab_with(&text, options) {
            Ok(table) => Ok(Self { text, table }),
            // The library's message draws a picture of several lines.
            Err(error) => {
                let message = error.to_string();
                let message = message.lines().last().unwrap_or_default();
                Err(message.trim_matches([' ', '^']).to_owned())
            }
        }
    }

    /// The first matching local time after `after`.
    fn next_after(&self, after: DateTime) -> Option<DateTime> {
        let after = TimeZone::UTC.to_timestamp(after).ok()?;
        let next = self.table.find_next(MakeTimestamp(after)).ok()?;
        Some(next.datetime())
    }
}

/// When a window starts, and for how long it lasts.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// The starts.
    pub starts: Starts,
    /// The time zone of local times.
    pub zone: TimeZone,
    /// The length of a window.
    pub length: Duration,
}

/// One window of a schedule: from `start` on, before `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// The start.
    pub start: Timestamp,
    /// The end.
    pub end: Timestamp,
}

impl Schedule {
    /// The first start after `after`. `None` if there is none, or none within four years.
    pub fn next_start(&self, after: Timestamp) -> Option<Timestamp> {
        match &self.starts {
            Starts::Once(start) => (*start > after).then_some(*start),
            Starts::Weekly(days, time) => {
                let mut date = self.zone.to_datetime(after).date();
                // Eight days, so that the same weekday of the next week is included.
                for _ in 0..=8 {
                    if days.contains(&date.weekday())
                        && let Some(start) = resolve(date.to_datetime(*time), &self.zone)
                        && start > after
                    {
                        return Some(start);
                    }
                    date = date.tomorrow().ok()?;
                }
                None
            }
            Starts::Cron(cron) => {
                let mut local = self.zone.to_datetime(after);
                // Local times in a gap start at the same moment, and those that exist twice may be before `after`.
                for _ in 0..MAX_STARTS {
                    local = cron.next_after(local)?;
                    match resolve(local, &self.zone) {
                        Some(start) if start > after => return Some(start),
                        _ => {}
                    }
                }
                None
            }
        }
    }

    /// The window that holds at `now`. If several do, the one that started last.
    pub fn active(&self, now: Timestamp) -> Option<Occurrence> {
        self.last_start(now.checked_sub(self.length()).ok()?, now)
            .and_then(|start| self.occurrence(start))
    }

    /// The end of the last window that ended within the last hour, at `now` at the latest.
    pub fn ended(&self, now: Timestamp) -> Option<Timestamp> {
        let last = now.checked_sub(self.length()).ok()?;
        let start = self.last_start(last.checked_sub(LOOK_BACK).ok()?, last)?;
        self.occurrence(start).map(|occurrence| occurrence.end)
    }

    /// The next window that starts after `now`.
    pub fn next(&self, now: Timestamp) -> Option<Occurrence> {
        self.occurrence(self.next_start(now)?)
    }

    /// Whether every window starts before the previous one ends, so that the maintenance never ends.
    pub fn never_ends(&self, now: Timestamp) -> bool {
        /// How many windows are compared: more than a year of monthly windows.
        const COMPARED: usize = 30;
        let mut starts = std::iter::successors(self.next_start(now), |start| self.next_start(*start));
        let Some(mut start) = starts.next() else {
            return false;
        };
        let mut compared = 0;
        for next in starts.take(COMPARED) {
            if next.duration_since(start) > self.length() {
                return false;
            }
            start = next;
            compared += 1;
        }
        compared == COMPARED
    }

    /// The last start after `after`, at `until` at the latest.
    fn last_start(&self, after: Timestamp, until: Timestamp) -> Option<Timestamp> {
        let mut found = None;
        let mut next = self.next_start(after);
        for _ in 0..MAX_STARTS {
            match next {
                Some(start) if start <= until => {
                    found = next;
                    next = self.next_start(start);
                }
                _ => break,
            }
        }
        found
    }

    fn occurrence(&self, start: Timestamp) -> Option<Occurrence> {
        let end = start.checked_add(self.length()).ok()?;
        Some(Occurrence { start, end })
    }

    fn length(&self) -> SignedDuration {
        SignedDuration::try_from(self.length).unwrap_or(SignedDuration::MAX)
    }
}

/// The moment of a local time, see the description of this file. `None` outside of the supported years.
pub fn resolve(local: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    let ambiguous = zone.to_ambiguous_timestamp(local);
    match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => ambiguous.earlier().ok(),
        // The earlier of the two readings is before the gap. The gap is the next transition.
        AmbiguousOffset::Gap { .. } => {
            let before = ambiguous.earlier().ok()?;
            zone.following(before)
                .next()
                .map(|transition| transition.timestamp())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn schedule(starts: Starts, zone: &str, length: Duration) -> Schedule {
        let zone = TimeZone::get(zone).unwrap();
        Schedule { starts, zone, length }
    }

    fn cron(text: &str) -> Starts {
        Starts::Cron(Box::new(Cron::parse(text).unwrap()))
    }

    fn weekly(days: &[Weekday], time: &str) -> Starts {
        Starts::Weekly(days.to_vec(), time.parse().unwrap())
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// The next starts after a moment, as texts.
    fn next(schedule: &Schedule, after: &str, count: usize) -> Vec<String> {
        let starts = std::iter::successors(schedule.next_start(at(after)), |start| {
            schedule.next_start(*start)
        });
        starts.take(count).map(|start| start.to_string()).collect()
    }

    #[test]
    fn a_time_that_does_not_exist_starts_after_the_gap() {
        // Berlin, 29 March 2026: 02:00 to 03:00 does not exist; 03:00 is 01:00 UTC.
        for starts in [cron("30 2 * * *"), weekly(&[Weekday::Sunday], "02:30")] {
            let schedule = schedule(starts, "Europe/Berlin", HOUR);
            let sunday = next(&schedule, "2026-03-28T12:00:00Z", 1);
            assert_eq!(sunday, ["2026-03-29T01:00:00Z"]);
        }
        let daily = schedule(cron("30 2 * * *"), "Europe/Berlin", HOUR);
        assert_eq!(
            next(&daily, "2026-03-28T00:00:00Z", 3),
            [
                "2026-03-28T01:30:00Z",
                "2026-03-29T01:00:00Z",
                "2026-03-30T00:30:00Z"
            ]
        );
        // Every quarter of an hour: the times in the gap are one start.
        let quarters = schedule(cron("*/15 2-3 * * *"), "Europe/Berlin", HOUR);
        assert_eq!(
            next(&quarters, "2026-03-29T00:50:00Z", 2),
            ["2026-03-29T01:00:00Z", "2026-03-29T01:15:00Z"]
        );
    }

    #[test]
    fn a_time_that_exists_twice_starts_at_the_first() {
        // Berlin, 25 October 2026: 02:00 to 03:00 exists twice; the first 02:30 is 00:30 UTC.
        for starts in [cron("30 2 * * *"), weekly(&[Weekday::Sunday], "02:30")] {
            let schedule = schedule(starts, "Europe/Berlin", HOUR);
            assert_eq!(
                next(&schedule, "2026-10-24T12:00:00Z", 1),
                ["2026-10-25T00:30:00Z"]
            );
            let after = next(&schedule, "2026-10-25T00:30:00Z", 1);
            assert_ne!(after, ["2026-10-25T01:30:00Z"]);
        }
        let daily = schedule(cron("30 2 * * *"), "Europe/Berlin", HOUR);
        assert_eq!(next(&daily, "2026-10-25T01:10:00Z", 1), ["2026-10-26T01:30:00Z"]);
    }

    #[test]
    fn a_window_lasts_its_length_across_a_change_of_the_clocks() {
        for (start, zone) in [("2026-03-29T00:30:00Z", "gap"), ("2026-10-24T23:30:00Z", "fold")] {
            let schedule = schedule(cron("30 1 * * *"), "Europe/Berlin", 4 * HOUR);
            let now = at(start) + SignedDuration::from_hours(3);
            let active = schedule.active(now).unwrap();
            assert_eq!(active.start, at(start), "{zone}");
            assert_eq!(active.end, at(start) + SignedDuration::from_hours(4), "{zone}");
        }
    }

    #[test]
    fn a_whole_day_that_does_not_exist_is_no_loss() {
        // Samoa skipped 30 December 2011.
        let daily = schedule(cron("0 12 * * *"), "Pacific/Apia", HOUR);
        assert_eq!(
            next(&daily, "2011-12-29T00:00:00Z", 3),
            [
                "2011-12-29T22:00:00Z",
                "2011-12-30T10:00:00Z",
                "2011-12-30T22:00:00Z"
            ]
        );
    }

    #[test]
    fn a_window_holds_from_its_start_until_before_its_end() {
        let once = schedule(Starts::Once(at("2026-01-01T00:00:00Z")), "UTC", HOUR);
        for (now, is_active) in [
            ("2025-12-31T23:59:59.999Z", false),
            ("2026-01-01T00:00:00Z", true),
            ("2026-01-01T00:59:59.999Z", true),
            ("2026-01-01T01:00:00Z", false),
        ] {
            assert_eq!(once.active(at(now)).is_some(), is_active, "{now}");
        }
        let end = Some(at("2026-01-01T01:00:00Z"));
        for (now, ended) in [
            ("2026-01-01T00:59:59Z", None),
            ("2026-01-01T01:00:00Z", end),
            ("2026-01-01T01:59:59Z", end),
            ("2026-01-01T02:00:00Z", None),
        ] {
            assert_eq!(once.ended(at(now)), ended, "{now}");
        }
        assert_eq!(once.next(at("2026-01-01T00:00:00Z")), None);
    }

    #[test]
    fn of_windows_that_overlap_the_last_counts() {
        let often = schedule(cron("0,30 * * * *"), "UTC", HOUR);
        let active = often.active(at("2026-01-01T00:45:00Z")).unwrap();
        assert_eq!(active.start, at("2026-01-01T00:30:00Z"));
        assert!(often.never_ends(at("2026-01-01T00:00:00Z")));
        let evenings = schedule(cron("0 22,23 * * *"), "UTC", 2 * HOUR);
        assert!(!evenings.never_ends(at("2026-01-01T00:00:00Z")));
        // A search of many starts ends, and still finds that the window holds.
        let minutes = schedule(cron("* * * * *"), "UTC", 31 * 24 * HOUR);
        assert!(minutes.active(at("2026-01-01T00:45:00Z")).is_some());
    }

    #[test]
    fn weekdays_start_once_a_week() {
        let days = weekly(&[Weekday::Saturday, Weekday::Sunday], "03:00");
        let weekend = schedule(days, "America/New_York", HOUR);
        assert_eq!(
            next(&weekend, "2026-01-03T08:00:00Z", 3),
            [
                "2026-01-04T08:00:00Z",
                "2026-01-10T08:00:00Z",
                "2026-01-11T08:00:00Z"
            ]
        );
        let monday = schedule(weekly(&[Weekday::Monday], "00:00"), "UTC", HOUR);
        assert_eq!(next(&monday, "2026-01-05T00:00:00Z", 1), ["2026-01-12T00:00:00Z"]);
    }

    #[test]
    fn cron_expressions_have_five_fields() {
        for text in [
            "0 3 * * *",
            "  0\t3 * *  mon-fri ",
            "*/5 0-6 1,15 * *",
            "0 3 L * *",
        ] {
            Cron::parse(text).unwrap();
        }
        for text in [
            "",
            "0 3 * *",
            "0 3 * * * UTC",
            "60 3 * * *",
            "0 3 * * x",
            "@daily",
            "H 3 * * *",
        ] {
            let error = Cron::parse(text).unwrap_err();
            assert!(!error.is_empty() && !error.contains('\n'), "{text}: {error}");
            println!("{text}: {error}");
        }
        let never = schedule(cron("0 0 30 2 *"), "UTC", HOUR);
        assert_eq!(next(&never, "2026-01-01T00:00:00Z", 1), [""; 0]);
    }
}
