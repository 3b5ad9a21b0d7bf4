//! Strips: the past of a service as a row of bars. The higher a bar, the worse; patterns tell the low ones apart. So a strip is readable
//! without colour.

use std::fmt::Write;

use maud::{Markup, html};

use super::text::{format_age, rfc3339};
use crate::history::Step;
use crate::model::{Past, PastStatus, PastStrip, PastTotals, format_percent};

/// Less time without data is not mentioned, in milliseconds. The last observation is a second ago, or more on a busy machine.
const MIN_NO_DATA: u64 = 5000;

/// A range that the pages show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::web) enum PastRange {
    /// 24 hours.
    #[default]
    Day,
    /// 7 days.
    Week,
    /// 30 days.
    Month,
    /// 90 days.
    Quarter,
}

impl PastRange {
    /// Every range, shortest first.
    pub const ALL: [Self; 4] = [Self::Day, Self::Week, Self::Month, Self::Quarter];

    /// The ranges of the overview.
    pub const OF_OVERVIEW: [Self; 2] = [Self::Day, Self::Quarter];

    /// The value of the query parameter `history`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "24h",
            Self::Week => "7d",
            Self::Month => "30d",
            Self::Quarter => "90d",
        }
    }

    /// The range in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Day => "24 hours",
            Self::Week => "7 days",
            Self::Month => "30 days",
            Self::Quarter => "90 days",
        }
    }

    /// The buckets that it is read from.
    pub const fn step(self) -> Step {
        match self {
            Self::Day => Step::FiveMinutes,
            Self::Week => Step::Hour,
            Self::Month | Self::Quarter => Step::Day,
        }
    }

    /// Its length in seconds.
    pub const fn seconds(self) -> i64 {
        const DAY: i64 = 86_400;
        match self {
            Self::Day => DAY,
            Self::Week => 7 * DAY,
            Self::Month => 30 * DAY,
            Self::Quarter => 90 * DAY,
        }
    }

    /// How many buckets make up a bar, and how many bars the strip has.
    pub const fn bars(self) -> (usize, usize) {
        match self {
            Self::Day => (6, 48),
            Self::Week => (2, 84),
            Self::Month => (1, 30),
            Self::Quarter => (1, 90),
        }
    }

    /// Parses a value of the query parameter `history`.
    ///
    /// # Errors
    /// The message of a 400.
    pub fn parse(text: &str, supported: &[Self]) -> Result<Self, String> {
        let found = supported.iter().find(|range| range.as_str() == text);
        found.copied().ok_or_else(|| {
            let words: Vec<_> = supported.iter().map(|range| range.as_str()).collect();
            format!(
                "unknown history {}; supported: {}",
                crate::web::query::quote(text),
                words.join(", ")
            )
        })
    }
}

/// Equal bars in a row.
pub(super) struct Run {
    /// The position of the first bar.
    pub first: usize,
    /// The number of bars.
    pub count: usize,
    /// What they show.
    pub mark: Option<PastStatus>,
}

/// Divides marks into runs.
pub(super) fn runs(marks: &[Option<PastStatus>]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (position, mark) in marks.iter().enumerate() {
        match runs.last_mut() {
            Some(last) if last.mark == *mark => last.count += 1,
            _ => runs.push(Run {
                first: position,
                count: 1,
                mark: *mark,
            }),
        }
    }
    runs
}

/// The class of a mark.
pub(super) fn class(mark: Option<PastStatus>) -> &'static str {
    mark.map_or("none", PastStatus::as_str)
}

/// Renders runs of one mark as a path. The style sheet makes a line as wide as the bar is high, and dashes make bars of it. A dash begins at
/// every move. Relative moves are short.
pub(super) fn path(runs: &[&Run]) -> String {
    let mark = runs.first().and_then(|run| run.mark);
    let y = match mark {
        Some(PastStatus::Down) => 20,
        Some(PastStatus::Degraded) => 27,
        Some(PastStatus::Up | PastStatus::Unknown | PastStatus::Maintenance) => 32,
        None => 38,
    };
    let mut path = String::new();
    let mut end = None;
    for Run { first, count, .. } in runs {
        // Writing to a string does not fail.
        let _ = match end {
            None => write!(path, "M{first} {y}h{count}"),
            Some(end) => write!(path, "m{} 0h{count}", first - end),
        };
        end = Some(first + count);
    }
    path
}

/// Renders the bars of a strip, one path for each mark.
fn bars(marks: &[Option<PastStatus>]) -> Markup {
    let runs = runs(marks);
    let all = PastStatus::ALL.iter().map(|status| Some(*status)).chain([None]);
    let paths = all.filter_map(|mark| {
        let runs: Vec<&Run> = runs.iter().filter(|run| run.mark == mark).collect();
        (!runs.is_empty()).then(|| (mark, path(&runs)))
    });
    html! { @for (mark, path) in paths { path class=(class(mark)) d=(path) {} } }
}

/// Formats an uptime with two decimals, rounded down: 100 % only without any outage.
pub(super) fn format_uptime(totals: &PastTotals) -> String {
    totals.uptime().map_or_else(
        || "\u{2013}".to_owned(),
        |uptime| format_percent(uptime, 2) + "\u{a0}%",
    )
}

/// Describes totals: `99.98 % uptime, down 5 min, no data 2 h`.
#[allow(
    clippy::cast_precision_loss,
    reason = "a range has fewer than 2^52 milliseconds"
)]
pub(super) fn describe(totals: &PastTotals) -> String {
    let mut parts = Vec::new();
    if totals.uptime().is_some() {
        parts.push(format!("{} uptime", format_uptime(totals)));
    }
    let shown = [
        PastStatus::Down,
        PastStatus::Degraded,
        PastStatus::Unknown,
        PastStatus::Maintenance,
    ];
    for status in shown
        .into_iter()
        .filter(|status| totals.millis[*status as usize] > 0)
    {
        parts.push(format!("{status} {}", format_age(totals.seconds(status))));
    }
    if totals.millis.iter().all(|millis| *millis == 0) {
        parts.push("no data".to_owned());
    } else if totals.no_data_millis >= MIN_NO_DATA {
        parts.push(format!(
            "no data {}",
            format_age(totals.no_data_millis as f64 / 1e3)
        ));
    }
    parts.join(", ")
}

/// Renders the past of a service for its row. An event updates rows of pages with any range, so its rows have both ranges (`None`). The style
/// sheet shows the one of the page.
pub(super) fn of_row(past: Option<&Past>, range: Option<PastRange>) -> Markup {
    html! {
        span.past {
            @if let Some(past) = past {
                @if range != Some(PastRange::Quarter) { (strip(PastRange::Day, &past.day)) }
                @if range != Some(PastRange::Day) { (strip(PastRange::Quarter, &past.quarter)) }
            }
        }
    }
}

fn strip(range: PastRange, strip: &PastStrip) -> Markup {
    html! {
        span class={ "r" (range.as_str()) } {
            svg.strip role="img" viewBox={ "0 0 " (strip.marks.len()) " 40" } preserveAspectRatio="none" {
                title { "Last " (range.words()) ": " (describe(&strip.totals)) }
                (bars(&strip.marks))
            }
            // The title of the strip has it, too.
            span aria-hidden="true" { (format_uptime(&strip.totals)) }
        }
    }
}

/// Renders what the bars mean.
pub(super) fn legend() -> Markup {
    let marks = [
        (Some(PastStatus::Up), "up"),
        (Some(PastStatus::Degraded), "degraded"),
        (Some(PastStatus::Down), "down"),
        (Some(PastStatus::Unknown), "unknown"),
        (Some(PastStatus::Maintenance), "maintenance"),
        (None, "no data"),
    ];
    html! {
        ul.legend aria-label="Meaning of the bars" {
            @for (mark, word) in marks {
                li { svg.strip viewBox="0 0 3 40" preserveAspectRatio="none" aria-hidden="true" { (bars(&[mark; 3])) } " " (word) }
            }
        }
    }
}

/// Renders the time of a range's begin or end. A script changes it to the reader's zone.
pub(super) fn local_time(at: f64) -> Markup {
    let full = rfc3339(at);
    html! { time.local datetime=(full) { (full[..10]) " " (full[11..16]) } }
}

/// Renders the zone of these times. The same script changes it.
pub(super) fn zone() -> Markup {
    html! { p.zone { "Times are in UTC." } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PastStatus::{Degraded, Down, Maintenance, Unknown, Up};

    fn totals(millis: [u64; 5], no_data_millis: u64) -> PastTotals {
        PastTotals {
            millis,
            no_data_millis,
            ..PastTotals::default()
        }
    }

    #[test]
    fn bars_differ_without_colour() {
        let marks = [
            Some(Up),
            Some(Up),
            Some(Down),
            None,
            Some(Unknown),
            Some(Maintenance),
            Some(Degraded),
            Some(Up),
        ];
        let text = bars(&marks).into_string();
        assert_eq!(
            text,
            "<path class=\"up\" d=\"M0 32h2m5 0h1\"></path><path class=\"degraded\" d=\"M6 27h1\"></path>\
             <path class=\"down\" d=\"M2 20h1\"></path><path class=\"unknown\" d=\"M4 32h1\"></path>\
             <path class=\"maintenance\" d=\"M5 32h1\"></path><path class=\"none\" d=\"M3 38h1\"></path>"
        );
    }

    #[test]
    fn an_uptime_is_never_rounded_up() {
        for (millis, text) in [
            ([1_000_000, 0, 0, 0, 0], "100 %"),
            ([1_000_000, 0, 1, 0, 0], "99.99 %"),
            ([0, 0, 5, 0, 0], "0.00 %"),
            ([0, 0, 0, 5, 5], "\u{2013}"),
        ] {
            assert_eq!(format_uptime(&totals(millis, 0)).replace('\u{a0}', " "), text);
        }
        let text = describe(&totals([86_000_000, 0, 300_000, 0, 60_000], 7_200_000));
        let text = text.replace('\u{a0}', " ");
        assert_eq!(text, "99.65 % uptime, down 5 min, maintenance 1 min, no data 2 h");
        assert_eq!(describe(&totals([0; 5], 7_200_000)), "no data");
        // Every row of the overview would change at times.
        let text = describe(&totals([86_398_000, 0, 0, 0, 0], 2_000));
        assert_eq!(text.replace('\u{a0}', " "), "100 % uptime");
    }

    /// Otherwise every row of the overview would be sent every second.
    #[test]
    fn a_row_does_not_change_while_its_service_stays_up() {
        let at = |seconds: u64| {
            let strip = PastStrip {
                marks: vec![None, Some(Up)],
                totals: totals([seconds * 1000, 0, 0, 0, 0], 1_800_000),
            };
            let past = Past {
                day: strip.clone(),
                quarter: strip,
            };
            of_row(Some(&past), None).into_string()
        };
        assert_eq!(at(7), at(1700));
        assert!(at(7).len() < 700, "{}", at(7));
    }
}
