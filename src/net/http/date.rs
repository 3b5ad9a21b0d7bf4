//! The time on a server's clock, from the `Date` header of a response.

use http::HeaderMap;
use http::header::DATE;
use jiff::Timestamp;

/// The time of the `Date` header, in the form of RFC 9110, section 5.6.7 (`Sun, 06 Nov 1994 08:49:37 GMT`); `None` if it is
/// missing or invalid.
pub fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let date = headers.get(DATE)?.to_str().ok()?;
    Some(jiff::fmt::rfc2822::parse(date).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_parsed() {
        for (text, expected) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Thu, 29 Feb 2024 23:59:59 GMT", Some(1_709_251_199)),
            ("Fri, 01 Mar 2024 00:00:00 GMT", Some(1_709_251_200)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", None),
            ("Sun, 06 Now 1994 08:49:37 GMT", None),
            ("Sun, 06 Nov 99999999999999999 08:49:37 GMT", None),
            ("Sun, 06 Nov 1994 99999999999999999:49:37 GMT", None),
            ("now", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(DATE, text.parse().unwrap());
            assert_eq!(date(&headers).map(Timestamp::as_second), expected, "{text}");
        }
        assert_eq!(date(&HeaderMap::new()), None);
    }
}
