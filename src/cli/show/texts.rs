//! Formats texts for people: texts from targets, times, durations and widths.

use std::time::Duration;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::model::{UtcTime, is_invisible};

/// Makes a text safe for a terminal, as one line. Control characters and line separators become spaces. Other invisible
/// characters are removed.
pub fn clean(text: &str) -> String {
    text.chars()
        .filter_map(|character| match character {
            '\u{2028}' | '\u{2029}' => Some(' '),
            character if character.is_control() => Some(' '),
            character => (!is_invisible(character)).then_some(character),
        })
        .collect()
}

/// A response time: `0.4 ms`, `250 ms`, `5.03 s`.
pub fn latency(seconds: f64) -> String {
    // The limits are where rounding would reach the next form.
    if seconds < 0.099_95 {
        format!("{:.1} ms", seconds * 1e3)
    } else if seconds < 0.999_5 {
        format!("{:.0} ms", seconds * 1e3)
    } else {
        format!("{seconds:.2} s")
    }
}

/// The age of a status in its two largest units: `12s`, `5m 12s`, `3d 4h`.
pub fn age(age: Duration) -> String {
    let seconds = age.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, _, _) => format!("{hours}h {}m", minutes % 60),
        _ => format!("{days}d {}h", hours % 24),
    }
}

/// The width of a text in columns.
pub fn width(text: &str) -> usize {
    text.width()
}

/// Pads a text with spaces to `columns` columns, or truncates it with an ellipsis.
pub fn fit(text: &str, columns: usize) -> String {
    let taken = text.width();
    if taken <= columns {
        return format!("{text}{}", " ".repeat(columns - taken));
    }
    let mut cut = String::new();
    let mut taken = 0;
    for letter in text.chars() {
        let wide = letter.width().unwrap_or(0);
        if taken + wide + 1 > columns {
            break;
        }
        cut.push(letter);
        taken += wide;
    }
    cut.push('\u{2026}');
    format!("{cut}{}", " ".repeat(columns.saturating_sub(taken + 1)))
}

/// The current time in RFC 3339, UTC, with milliseconds.
pub fn now() -> String {
    format!("{:.3}", jiff::Timestamp::now())
}

/// A Unix time in seconds in RFC 3339, UTC, with milliseconds.
#[allow(clippy::cast_possible_truncation, reason = "it saturates, in the year 2262")]
pub fn rfc3339(seconds: f64) -> String {
    UtcTime((seconds * 1e9).round() as i64).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_current_time_is_rfc_3339() {
        let now = now();
        assert!(now.len() == 24 && now.ends_with('Z'), "{now}");
    }

    #[test]
    fn invisible_characters_are_replaced_or_removed() {
        assert_eq!(clean("a\r\n\u{1b}[31mb\u{9b}c\u{7f}"), "a   [31mb c ");
        assert_eq!(clean("pay\u{202e}l\u{200b}la\u{2066}x\u{2028}y"), "payllax y");
        assert_eq!(clean("Zürich 東京 🚀"), "Zürich 東京 🚀");
    }

    #[test]
    fn durations_are_formatted_in_short_units() {
        for (seconds, text) in [
            (0.000_04, "0.0 ms"),
            (0.001_23, "1.2 ms"),
            (0.099_96, "100 ms"),
            (0.25, "250 ms"),
            (0.999_6, "1.00 s"),
            (5.03, "5.03 s"),
        ] {
            assert_eq!(latency(seconds), text);
        }
        for (seconds, text) in [
            (0, "0s"),
            (59, "59s"),
            (312, "5m 12s"),
            (3_600, "1h 0m"),
            (273_600, "3d 4h"),
        ] {
            assert_eq!(age(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn a_text_is_truncated_by_columns_not_by_characters() {
        assert_eq!(fit("abc", 5), "abc  ");
        assert_eq!(fit("abcdef", 4), "abc…");
        assert_eq!(fit("東京都庁", 5), "東京…");
        assert_eq!(fit("東京都庁", 4), "東… ");
    }
}
