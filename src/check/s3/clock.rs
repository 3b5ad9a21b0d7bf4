//! The difference between a server's clock and this machine's.

use std::time::{SystemTime, UNIX_EPOCH};

use http::HeaderMap;
use http::header::DATE;

use crate::net::http::date;

/// How many seconds the server's clock is ahead of this machine's; `None` if the response has no valid date.
pub fn seconds_ahead(headers: &HeaderMap, now: SystemTime) -> Option<i64> {
    let theirs = date(headers, DATE)?.as_second();
    let ours = now.duration_since(UNIX_EPOCH).ok()?.as_secs();
    Some(theirs - i64::try_from(ours).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_clock_may_be_ahead_or_behind() {
        let mut headers = HeaderMap::new();
        let now = UNIX_EPOCH + std::time::Duration::from_secs(784_111_700);
        assert_eq!(seconds_ahead(&headers, now), None);
        headers.insert(DATE, "Sun, 06 Nov 1994 08:49:37 GMT".parse().unwrap());
        assert_eq!(seconds_ahead(&headers, now), Some(77));
        assert_eq!(
            seconds_ahead(&headers, now + std::time::Duration::from_secs(100)),
            Some(-23)
        );
    }
}
