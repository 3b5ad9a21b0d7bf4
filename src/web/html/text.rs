//! How texts, times and durations are written on the page. What a target or the configuration says passes through
//! [`Text`], so that it can neither leave its place nor turn its neighbours around.

use std::fmt::Write;
use std::time::Duration;

use maud::{Escaper, Markup, Render, html};

use crate::model::is_unseen;
use crate::store::UtcTime;

/// The longest text that is shown in full, in characters; messages are shorter.
const MAX_CHARACTERS: usize = 600;

/// A text of somebody else's: escaped, bounded, in a direction of its own, with a mark in the place of characters that
/// are not to be seen or that turn the direction of what follows (Unicode Annex 9, section 2).
pub(super) struct Text<'a>(pub &'a str);

impl Render for Text<'_> {
    fn render_to(&self, buffer: &mut String) {
        buffer.push_str("<bdi>");
        PlainText(self.0).render_to(buffer);
        buffer.push_str("</bdi>");
    }
}

/// The same for places that take no elements: attributes and the title.
pub(super) struct PlainText<'a>(pub &'a str);

impl Render for PlainText<'_> {
    fn render_to(&self, buffer: &mut String) {
        let mut escaper = Escaper::new(buffer);
        for (count, character) in self.0.chars().enumerate() {
            // Writing to a string does not fail.
            if count == MAX_CHARACTERS {
                let _ = escaper.write_char('\u{2026}');
                break;
            }
            let _ = escaper.write_char(if is_unseen(character) {
                '\u{fffd}'
            } else {
                character
            });
        }
    }
}

/// A Unix time in seconds as people and browsers read it; without the date where it is the day of `now`.
pub(super) fn time(at: f64, now: f64) -> Markup {
    let (full, today) = (rfc3339(at), rfc3339(now));
    let (date, clock) = (&full[..10], &full[11..19]);
    html! {
        time datetime=(full) title={ (date) " " (clock) " UTC" } {
            @if date != &today[..10] { (date) " " }
            (clock)
        }
    }
}

/// The same with its zone, where nothing around it tells it.
pub(super) fn zoned(at: f64, now: f64) -> Markup {
    html! { (time(at, now)) " UTC" }
}

/// The same with its date.
pub(super) fn full_time(at: f64) -> Markup {
    let full = rfc3339(at);
    html! { time datetime=(full) { (full[..10]) " " (full[11..19]) " UTC" } }
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "a float becomes the nearest integer"
)]
pub(in crate::web) fn rfc3339(at: f64) -> String {
    // Nanoseconds end in the year 2262, whatever a clock says.
    let at = at.clamp(0.0, 9.2e9);
    UtcTime((at * 1e3) as i64 * 1_000_000).to_string()
}

/// How long something has lasted, in the two units that matter: `3 min`, `2 h 5 min`.
pub(super) fn age(seconds: f64) -> String {
    let seconds = Duration::try_from_secs_f64(seconds).unwrap_or_default().as_secs();
    match (seconds / 86_400, seconds / 3600, seconds / 60) {
        (0, 0, 0) => format!("{seconds}\u{a0}s"),
        (0, 0, minutes) => format!("{minutes}\u{a0}min"),
        (0, hours, minutes) => match minutes % 60 {
            0 => format!("{hours}\u{a0}h"),
            rest => format!("{hours}\u{a0}h {rest}\u{a0}min"),
        },
        (days, hours, _) if days < 7 && hours % 24 > 0 => format!("{days}\u{a0}d {}\u{a0}h", hours % 24),
        (days, ..) => format!("{days}\u{a0}d"),
    }
}

/// A response time or a part of one, to three figures.
pub(super) fn latency(duration: Duration) -> String {
    let millis = duration.as_secs_f64() * 1e3;
    if millis < 9.995 {
        format!("{millis:.2}\u{a0}ms")
    } else if millis < 99.95 {
        format!("{millis:.1}\u{a0}ms")
    } else if millis < 999.5 {
        format!("{millis:.0}\u{a0}ms")
    } else if millis < 99_950.0 {
        format!("{:.2}\u{a0}s", millis / 1e3)
    } else {
        age(millis / 1e3)
    }
}

/// A configured duration, exactly.
pub(super) fn configured(duration: Duration) -> String {
    format!("{duration:?}")
}

/// `1 service`, `2 services`.
pub(super) fn count(number: usize, one: &str) -> String {
    match number {
        1 => format!("1 {one}"),
        _ => format!("{number} {one}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_cannot_leave_their_place() {
        let hostile = "<script>\"&'\0\u{202e}x\r\n\u{2066}";
        assert_eq!(
            html! { p title=(PlainText(hostile)) { (Text(hostile)) } }.into_string(),
            "<p title=\"&lt;script&gt;&quot;&amp;'\u{fffd}\u{fffd}x\u{fffd}\u{fffd}\u{fffd}\"><bdi>&lt;script&gt;&quot;&amp;'\u{fffd}\u{fffd}x\u{fffd}\u{fffd}\u{fffd}</bdi></p>"
        );
        let long = "é".repeat(10_000);
        assert!(html! { (Text(&long)) }.into_string().len() < 2 * MAX_CHARACTERS + 20);
    }

    #[test]
    fn times_are_short_where_the_day_is_known() {
        let text = time(1_700_000_000.25, 1_700_000_100.0).into_string();
        assert!(text.ends_with("UTC\">22:13:20</time>"), "{text}");
        assert!(text.contains("datetime=\"2023-11-14T22:13:20.250Z\""), "{text}");
        let text = time(1_700_000_000.0, 1_700_100_000.0).into_string();
        assert!(text.ends_with(">2023-11-14 22:13:20</time>"), "{text}");
        for broken in [f64::NAN, f64::INFINITY, -1e300, 1e300] {
            time(broken, broken);
        }
    }

    #[test]
    fn ages_and_latencies_have_the_figures_that_matter() {
        for (seconds, text) in [
            (f64::NAN, "0 s"),
            (-5.0, "0 s"),
            (59.9, "59 s"),
            (60.0, "1 min"),
            (7_500.0, "2 h 5 min"),
            (7_200.0, "2 h"),
            (100_000.0, "1 d 3 h"),
            (864_000.0, "10 d"),
        ] {
            assert_eq!(age(seconds).replace('\u{a0}', " "), text);
        }
        for (micros, text) in [
            (0, "0.00 ms"),
            (1_234, "1.23 ms"),
            (45_678, "45.7 ms"),
            (999_600, "1.00 s"),
            (345_678, "346 ms"),
            (12_345_678, "12.35 s"),
            (120_000_000, "2 min"),
        ] {
            assert_eq!(
                latency(Duration::from_micros(micros)).replace('\u{a0}', " "),
                text
            );
        }
    }
}
