//! The difference between a server's clock and this machine's, as the `Date` of an answer tells it.

use std::time::{SystemTime, UNIX_EPOCH};

use http::HeaderMap;
use http::header::DATE;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// By how many seconds the server's clock is ahead of this machine's; `None` where the answer has no usable date.
pub fn ahead(headers: &HeaderMap, now: SystemTime) -> Option<i64> {
    let theirs = seconds(headers.get(DATE)?.to_str().ok()?)?;
    let ours = now.duration_since(UNIX_EPOCH).ok()?.as_secs();
    Some(theirs - i64::try_from(ours).ok()?)
}

/// The Unix time of `Sun, 06 Nov 1994 08:49:37 GMT`, the form that RFC 9110, section 5.6.7, asks servers to send.
fn seconds(date: &str) -> Option<i64> {
    let mut words = date.split_once(", ")?.1.split(' ');
    let day: i64 = words.next()?.parse().ok()?;
    let name = words.next()?;
    let month = MONTHS.iter().position(|month| *month == name)?;
    let year: i64 = words.next()?.parse().ok()?;
    let mut clock = words.next()?.split(':').map(|part| part.parse::<i64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let is_plausible = (1970..10_000).contains(&year)
        && (1..=31).contains(&day)
        && [hour, minute, second].iter().all(|part| (0..=60).contains(part))
        && words.next() == Some("GMT");
    if !is_plausible {
        return None;
    }
    // Days since 1970 in the Gregorian calendar, with years that begin in March so that leap days come last.
    let month = i64::try_from(month).ok()? + 1;
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_unix_times() {
        for (date, expected) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Thu, 29 Feb 2024 23:59:59 GMT", Some(1_709_251_199)),
            ("Fri, 01 Mar 2024 00:00:00 GMT", Some(1_709_251_200)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", None),
            ("Sun, 06 Nov 1994 08:49 GMT", None),
            ("Sun, 06 Now 1994 08:49:37 GMT", None),
            ("Sun, 06 Nov 99999999999999999 08:49:37 GMT", None),
            ("Sun, 06 Nov 1994 99999999999999999:49:37 GMT", None),
            ("now", None),
        ] {
            assert_eq!(seconds(date), expected, "{date}");
        }
    }

    #[test]
    fn a_server_may_be_ahead_or_behind() {
        let mut headers = HeaderMap::new();
        let now = UNIX_EPOCH + std::time::Duration::from_secs(784_111_700);
        assert_eq!(ahead(&headers, now), None);
        headers.insert(DATE, "Sun, 06 Nov 1994 08:49:37 GMT".parse().unwrap());
        assert_eq!(ahead(&headers, now), Some(77));
        assert_eq!(
            ahead(&headers, now + std::time::Duration::from_secs(100)),
            Some(-23)
        );
    }
}
