//! Dates in HTTP headers (RFC 9110, section 5.6.7).

use http::header::{AsHeaderName, HeaderMap};
use jiff::Timestamp;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::Offset;

/// The forms of a date: IMF-fixdate, and the obsolete ones of RFC 850 and of asctime.
const FORMS: [&str; 3] = [
    "%a, %d %b %Y %H:%M:%S GMT",
    "%A, %d-%b-%y %H:%M:%S GMT",
    "%a %b %e %H:%M:%S %Y",
];

/// The date in a header; `None` without the header, or when it is not a date.
pub fn date(headers: &HeaderMap, name: impl AsHeaderName) -> Option<Timestamp> {
    parse(headers.get(name)?.to_str().ok()?)
}

fn parse(text: &str) -> Option<Timestamp> {
    FORMS.iter().find_map(|form| {
        let mut time = BrokenDownTime::parse(form, text).ok()?;
        // A wrong day of the week is ignored.
        time.set_weekday(None);
        time.set_offset(Some(Offset::UTC));
        time.to_timestamp().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms_of_dates_are_parsed() {
        for (text, expected) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(784_111_777)),
            ("Sun Nov  6 08:49:37 1994", Some(784_111_777)),
            ("Mon, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Thu, 29 Feb 2024 23:59:59 GMT", Some(1_709_251_199)),
            ("Fri, 01 Mar 2024 00:00:00 GMT", Some(1_709_251_200)),
            ("Sun, 06 Nov 1994 08:49 GMT", None),
            ("Sun, 06 Now 1994 08:49:37 GMT", None),
            ("Sun, 06 Nov 99999999999999999 08:49:37 GMT", None),
            ("Sun, 06 Nov 1994 99999999999999999:49:37 GMT", None),
            ("now", None),
        ] {
            assert_eq!(parse(text).map(Timestamp::as_second), expected, "{text}");
        }
    }
}
