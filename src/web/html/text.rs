//! Formats texts, times and durations for the pages. Texts from targets and the configuration go through [`Text`], so that they
//! can neither inject markup nor reverse the text around them.

use std::fmt::Write;
use std::time::Duration;

use maud::{Escaper, Markup, Render, html};

use crate::model::{UtcTime, is_invisible};

/// The longest text that is shown in full, in characters. Messages are shorter.
const MAX_CHARACTERS: usize = 600;

/// An untrusted text: escaped, bounded, isolated from the direction of the text around it. Invisible characters, and those that
/// change the text direction (Unicode Annex 9, section 2), are replaced.
pub(super) struct Text<'a>(pub &'a str);

impl Render for Text<'_> {
    fn render_to(&self, buffer: &mut String) {
        buffer.push_str("<bdi>");
        PlainText(self.0).render_to(buffer);
        buffer.push_str("</bdi>");
    }
}

/// The same for attributes and the title, which can't contain elements.
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
            let _ = escaper.write_char(if is_invisible(character) {
                '\u{fffd}'
            } else {
                character
            });
        }
    }
}

/// An untrusted text of several lines, as long as it was stored. For an element that keeps line breaks.
pub(super) struct LongText<'a>(pub &'a str);

impl Render for LongText<'_> {
    fn render_to(&self, buffer: &mut String) {
        for (number, line) in self.0.lines().enumerate() {
            if number > 0 {
                buffer.push('\n');
            }
            buffer.push_str("<bdi>");
            let mut escaper = Escaper::new(buffer);
            for character in line.chars() {
                // Writing to a string does not fail.
                let _ = escaper.write_char(match character {
                    '\t' => character,
                    _ if is_invisible(character) => '\u{fffd}',
                    _ => character,
                });
            }
            buffer.push_str("</bdi>");
        }
    }
}

/// Renders a Unix time in seconds; without the date if it is on the same day as `now`.
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

/// Renders a time with its zone.
pub(super) fn time_with_zone(at: f64, now: f64) -> Markup {
    html! { (time(at, now)) " UTC" }
}

/// Renders a time with its date and zone.
pub(super) fn full_time(at: f64) -> Markup {
    let full = rfc3339(at);
    html! { time datetime=(full) { (full[..10]) " " (full[11..19]) " UTC" } }
}

/// Formats a Unix time in seconds as RFC 3339.
#[allow(clippy::cast_possible_truncation, reason = "the float is clamped first")]
pub(in crate::web) fn rfc3339(at: f64) -> String {
    // An `i64` of nanoseconds ends in the year 2262.
    let at = at.clamp(0.0, 9.2e9);
    UtcTime((at * 1e3) as i64 * 1_000_000).to_string()
}

/// Formats an age with at most two units: `3 min`, `2 h 5 min`.
pub(super) fn format_age(seconds: f64) -> String {
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

/// Formats a response time with three digits.
pub(super) fn format_latency(duration: Duration) -> String {
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
        format_age(millis / 1e3)
    }
}

/// Formats a configured duration exactly: `500 ms`, `1.5 s`, `1 min 30 s`.
pub(super) fn format_setting(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if duration < Duration::from_secs(1) {
        return format!("{}\u{a0}ms", duration.as_secs_f64() * 1e3);
    }
    if duration.subsec_nanos() > 0 {
        return format!("{}\u{a0}s", duration.as_secs_f64());
    }
    let units = [
        (seconds / 86_400, "d"),
        (seconds / 3600 % 24, "h"),
        (seconds / 60 % 60, "min"),
        (seconds % 60, "s"),
    ];
    let parts = units.iter().filter(|(number, _)| *number > 0);
    let parts: Vec<_> = parts
        .map(|(number, unit)| format!("{number}\u{a0}{unit}"))
        .collect();
    parts.join(" ")
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
    fn untrusted_texts_are_escaped_and_bounded() {
        let hostile = "<script>\"&'\0\u{202e}x\r\n\u{2066}";
        assert_eq!(
            html! { p title=(PlainText(hostile)) { (Text(hostile)) } }.into_string(),
            "<p title=\"&lt;script&gt;&quot;&amp;'\u{fffd}\u{fffd}x\u{fffd}\u{fffd}\u{fffd}\"><bdi>&lt;script&gt;&quot;&amp;'\u{fffd}\u{fffd}x\u{fffd}\u{fffd}\u{fffd}</bdi></p>"
        );
        let long = "é".repeat(10_000);
        assert!(html! { (Text(&long)) }.into_string().len() < 2 * MAX_CHARACTERS + 20);
    }

    #[test]
    fn times_of_today_have_no_date() {
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
    fn ages_and_latencies_are_short() {
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
            assert_eq!(format_age(seconds).replace('\u{a0}', " "), text);
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
                format_latency(Duration::from_micros(micros)).replace('\u{a0}', " "),
                text
            );
        }
    }

    #[test]
    fn settings_are_exact() {
        for (millis, text) in [
            (500, "500 ms"),
            (1_500, "1.5 s"),
            (30_000, "30 s"),
            (90_000, "1 min 30 s"),
            (3_600_000, "1 h"),
            (90_061_000, "1 d 1 h 1 min 1 s"),
        ] {
            let setting = format_setting(Duration::from_millis(millis));
            assert_eq!(setting.replace('\u{a0}', " "), text);
        }
    }
}
