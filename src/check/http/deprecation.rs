//! The headers with which a server announces the end of a resource: `Deprecation` (RFC 9745) and `Sunset` (RFC 8594).

use http::HeaderMap;
use http::header::HeaderName;

use super::families::{DEPRECATION, SUNSET};
use crate::model::{Report, Sample};
use crate::net::http::date;

const DEPRECATION_HEADER: HeaderName = HeaderName::from_static("deprecation");
const SUNSET_HEADER: HeaderName = HeaderName::from_static("sunset");

/// The times that every parser of dates supports: the years 1 to 9999 (RFC 9651, section 3.3.7).
const SUPPORTED_TIMES: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_214_400;

/// The dates of a response, in Unix time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deprecation {
    /// Since or from when the resource is deprecated.
    deprecated: Option<i64>,
    /// When the resource stops responding.
    sunset: Option<i64>,
}

impl Deprecation {
    /// Reads the headers of a response. Ignores malformed ones, with a line in the debug log.
    pub fn read(headers: &HeaderMap, report: &mut Report) -> Self {
        let mut ignore = |header: &HeaderName, expected| {
            report.log_step(|| format!("ignored the header {header}: it is not {expected}"));
        };
        let deprecated = single(headers, &DEPRECATION_HEADER).map(|value| value.and_then(structured_date));
        if deprecated == Some(None) {
            ignore(&DEPRECATION_HEADER, "one date such as @1688169599 (RFC 9745)");
        }
        let is_single = single(headers, &SUNSET_HEADER).map(|value| value.is_some());
        let sunset = is_single.map(|is_single| {
            date(headers, SUNSET_HEADER)
                .filter(|_| is_single)
                .map(|date| date.as_second())
        });
        if sunset == Some(None) {
            ignore(&SUNSET_HEADER, "one HTTP date (RFC 8594)");
        }
        Self {
            deprecated: deprecated.flatten(),
            sunset: sunset.flatten(),
        }
    }

    /// The metrics of the dates.
    #[allow(clippy::cast_precision_loss, reason = "below 2^53")]
    pub fn samples(self) -> impl Iterator<Item = Sample> {
        let dates = [(&DEPRECATION, self.deprecated), (&SUNSET, self.sunset)];
        dates.into_iter().filter_map(|(family, time)| {
            Some(Sample {
                family,
                labels: Vec::new(),
                value: time? as f64,
            })
        })
    }
}

/// The value of a header that may occur once. `None` without the header, `Some(None)` if it occurs several times or is not text.
fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<Option<&'h str>> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    Some(first.to_str().ok().filter(|_| values.next().is_none()))
}

/// Parses an item of type date with optional parameters (RFC 9651, section 4.2): `@1688169599;key=value`.
fn structured_date(text: &str) -> Option<i64> {
    let text = text.trim_matches(' ');
    let (date, parameters) = text.find(';').map_or((text, ""), |end| text.split_at(end));
    let number = date.strip_prefix('@')?;
    let digits = number.strip_prefix('-').unwrap_or(number);
    // An integer has at most 15 digits (section 3.3.1).
    if !(1..=15).contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let time = number
        .parse()
        .ok()
        .filter(|time| SUPPORTED_TIMES.contains(time))?;
    are_parameters(parameters).then_some(time)
}

/// Whether the text consists of parameters: `;key`, `;key=value` or `;key="text"`. No parameter is defined for the header, so the
/// types of other values are not distinguished.
fn are_parameters(mut text: &str) -> bool {
    while let Some(rest) = text.strip_prefix(';') {
        let rest = rest.trim_start_matches(' ');
        let is_key =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-' | '.' | '*');
        let end = rest.find(|c| !is_key(c)).unwrap_or(rest.len());
        if !rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '*') {
            return false;
        }
        text = match rest[end..].strip_prefix('=') {
            None => &rest[end..],
            Some(value) => match value.strip_prefix('"') {
                Some(quoted) => match after_quoted(quoted) {
                    Some(rest) => rest,
                    None => return false,
                },
                None => {
                    let end = value.find(';').unwrap_or(value.len());
                    if end == 0 || value[..end].contains([' ', '"', ',']) {
                        return false;
                    }
                    &value[end..]
                }
            },
        };
    }
    text.is_empty()
}

/// The text after the closing quote. `None` if it is missing.
fn after_quoted(text: &str) -> Option<&str> {
    let mut is_escaped = false;
    for (position, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return Some(&text[position + 1..]),
            _ => {}
        }
    }
    None
}

/// Parses the two headers. For tests with arbitrary input.
#[doc(hidden)]
pub fn fuzz_parse(text: &[u8]) -> Option<Vec<f64>> {
    let value = http::HeaderValue::from_bytes(text).ok()?;
    let headers = HeaderMap::from_iter([(DEPRECATION_HEADER, value.clone()), (SUNSET_HEADER, value)]);
    let dates = Deprecation::read(&headers, &mut Report::default());
    Some(dates.samples().map(|sample| sample.value).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::DebugLog;

    fn read(headers: &[(&'static str, &str)]) -> (Deprecation, Vec<String>) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), value.parse().unwrap());
        }
        let mut report = Report {
            debug_log: Some(DebugLog::new()),
            ..Report::default()
        };
        let dates = Deprecation::read(&map, &mut report);
        let log = report.debug_log.unwrap();
        let lines = log.lines().iter().map(|line| line.1.to_string()).collect();
        (dates, lines)
    }

    #[test]
    fn the_examples_of_the_standards_are_read() {
        let (dates, log) = read(&[
            ("deprecation", "@1688169599"),
            ("sunset", "Sun, 30 Jun 2024 23:59:59 GMT"),
        ]);
        let expected = Deprecation {
            deprecated: Some(1_688_169_599),
            sunset: Some(1_719_791_999),
        };
        assert_eq!((dates, log), (expected, Vec::new()));
        assert_eq!(read(&[]), (Deprecation::default(), Vec::new()));
    }

    #[test]
    fn dates_may_have_parameters() {
        for (text, date) in [
            (" @0 ", Some(0)),
            ("@-1", Some(-1)),
            ("@1;a", Some(1)),
            ("@1; a=?1;*b=\"x;\\\"y\"; c.d=@5", Some(1)),
            ("@253402214400", Some(253_402_214_400)),
            ("@253402214401", None),
            ("@1234567890123456", None),
            ("1688169599", None),
            ("@", None),
            ("@+1", None),
            ("@1.0", None),
            ("@1, @2", None),
            ("@1 ;a", None),
            ("@1;", None),
            ("@1;A", None),
            ("@1;a=", None),
            ("@1;a=\"x", None),
            ("@1;a=\"x\"y", None),
            ("true", None),
            ("?1", None),
            ("Sun, 30 Jun 2024 23:59:59 GMT", None),
        ] {
            assert_eq!(structured_date(text), date, "{text}");
        }
    }

    #[test]
    fn malformed_headers_are_ignored_with_a_line_in_the_debug_log() {
        let deprecation = "ignored the header deprecation: it is not one date such as @1688169599 (RFC 9745)";
        let sunset = "ignored the header sunset: it is not one HTTP date (RFC 8594)";
        for (headers, line) in [
            (&[("deprecation", "true")][..], deprecation),
            (&[("deprecation", "@1"), ("deprecation", "@1")], deprecation),
            (&[("sunset", "@1688169599")], sunset),
            (&[("sunset", "soon")], sunset),
            (
                &[
                    ("sunset", "Sun, 30 Jun 2024 23:59:59 GMT"),
                    ("sunset", "Sun, 30 Jun 2024 23:59:59 GMT"),
                ],
                sunset,
            ),
        ] {
            assert_eq!(read(headers), (Deprecation::default(), vec![line.to_owned()]));
        }
    }
}
