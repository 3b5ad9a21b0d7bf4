//! How long a provider wants to be left alone, and how many requests and tokens it still allows.

use std::time::Duration;

use http::HeaderMap;
use jiff::Timestamp;

use crate::check::provider_results::{MAX_WAIT, Remaining};
use crate::net::http::date;

/// Reads the headers of OpenAI and Mistral (`x-ratelimit-remaining-requests`), of Anthropic, of `OpenRouter`, and of Hugging Face
/// (`RateLimit`, draft-ietf-httpapi-ratelimit-headers-09). The other values stay.
pub fn update(remaining: &mut Remaining, headers: &HeaderMap) {
    let first = |names: &[&str]| names.iter().find_map(|name| number(headers, name));
    let requests = first(&[
        "x-ratelimit-remaining-requests",
        "anthropic-ratelimit-requests-remaining",
        "x-ratelimit-remaining",
    ]);
    let window = headers.get("ratelimit").and_then(|value| value.to_str().ok());
    let requests = requests.or_else(|| window.and_then(|text| parameter(text, "r")));
    let tokens = first(&[
        "x-ratelimit-remaining-tokens",
        "anthropic-ratelimit-tokens-remaining",
    ]);
    remaining.requests = requests.or(remaining.requests);
    remaining.tokens = tokens.or(remaining.tokens);
}

/// How long to send no request: `retry-after-ms`, `Retry-After` (RFC 9110, section 10.2.3), or the end of a window without requests left.
/// At most [`MAX_WAIT`].
pub fn wait(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::trim)
    };
    let milliseconds = text("retry-after-ms").and_then(|text| text.parse().ok());
    let asked = milliseconds
        .map(Duration::from_millis)
        .or_else(|| number(headers, "retry-after").map(Duration::from_secs))
        .or_else(|| until(date(headers, "retry-after")?, now));
    let mut remaining = Remaining::default();
    update(&mut remaining, headers);
    let window = || {
        if remaining.requests != Some(0) {
            return None;
        }
        text("ratelimit")
            .and_then(|text| parameter(text, "t").map(Duration::from_secs))
            .or_else(|| go_duration(text("x-ratelimit-reset-requests")?))
            .or_else(|| until(text("anthropic-ratelimit-requests-reset")?.parse().ok()?, now))
            .or_else(|| unix_milliseconds(number(headers, "x-ratelimit-reset")?, now))
    };
    asked.or_else(window).map(|wait| wait.min(MAX_WAIT))
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// The time until `end`; zero if it has passed.
fn until(end: Timestamp, now: Timestamp) -> Option<Duration> {
    Some(Duration::try_from(end.duration_since(now)).unwrap_or_default())
}

/// OpenRouter sends a Unix time in milliseconds, others seconds. The numbers differ by a factor of 1000.
fn unix_milliseconds(value: u64, now: Timestamp) -> Option<Duration> {
    /// A time in seconds stays below this number until the year 5138.
    const SECONDS_BELOW: u64 = 100_000_000_000;
    let value = i64::try_from(value).ok()?;
    let end = match value < SECONDS_BELOW.cast_signed() {
        true => Timestamp::from_second(value),
        false => Timestamp::from_millisecond(value),
    };
    until(end.ok()?, now)
}

/// An integer parameter of a structured field (RFC 9651): `"api";r=0;t=120`.
fn parameter(text: &str, name: &str) -> Option<u64> {
    let mut parts = text.split([';', ',']).map(str::trim);
    parts.find_map(|part| part.strip_prefix(name)?.strip_prefix('=')?.trim().parse().ok())
}

/// A duration in Go's notation, as OpenAI sends it: `6m0s`, `1.5s`, `20ms`.
fn go_duration(text: &str) -> Option<Duration> {
    crate::config::duration::parse(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn the_wait_that_a_provider_asks_for_is_read_and_bounded() {
        let now: Timestamp = "2026-11-30T12:00:00Z".parse().unwrap();
        for (pairs, expected) in [
            (&[][..], None),
            (&[("retry-after", "30")], Some(30_000)),
            (&[("retry-after", "30"), ("retry-after-ms", "1500")], Some(1_500)),
            (&[("retry-after", "Mon, 30 Nov 2026 12:01:00 GMT")], Some(60_000)),
            (&[("retry-after", "Mon, 30 Nov 2026 11:00:00 GMT")], Some(0)),
            (&[("retry-after", "99999999999")], Some(86_400_000)),
            (&[("retry-after", "soon")], None),
            (&[("ratelimit", "\"api\";r=0;t=120")], Some(120_000)),
            (&[("ratelimit", "\"api\";r=7;t=120")], None),
            (
                &[
                    ("x-ratelimit-remaining-requests", "0"),
                    ("x-ratelimit-reset-requests", "6m0s"),
                ],
                Some(360_000),
            ),
            (
                &[
                    ("anthropic-ratelimit-requests-remaining", "0"),
                    ("anthropic-ratelimit-requests-reset", "2026-11-30T12:00:10Z"),
                ],
                Some(10_000),
            ),
            (
                &[
                    ("x-ratelimit-remaining", "0"),
                    ("x-ratelimit-reset", "1796040030000"),
                ],
                Some(30_000),
            ),
            (
                &[
                    ("x-ratelimit-remaining", "0"),
                    ("x-ratelimit-reset", "1796040030"),
                ],
                Some(30_000),
            ),
        ] {
            let found = wait(&headers(pairs), now).map(|wait| wait.as_millis());
            assert_eq!(found, expected, "{pairs:?}");
        }
    }

    #[test]
    fn remaining_requests_and_tokens_are_read_from_each_provider() {
        for (pairs, requests, tokens) in [
            (
                &[
                    ("x-ratelimit-remaining-requests", "59"),
                    ("x-ratelimit-remaining-tokens", "149984"),
                ][..],
                Some(59),
                Some(149_984),
            ),
            (
                &[
                    ("anthropic-ratelimit-requests-remaining", "49"),
                    ("anthropic-ratelimit-tokens-remaining", "80000"),
                ],
                Some(49),
                Some(80_000),
            ),
            (&[("ratelimit", "\"api\";r=498;t=291")], Some(498), None),
            (&[("x-ratelimit-remaining-requests", "-1")], None, None),
            (&[("ratelimit", "\"api\";r=x")], None, None),
        ] {
            let mut remaining = Remaining::default();
            update(&mut remaining, &headers(pairs));
            assert_eq!(
                (remaining.requests, remaining.tokens),
                (requests, tokens),
                "{pairs:?}"
            );
        }
    }
}
