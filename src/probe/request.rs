//! A request to `/probe`: its query and the time that the scraper gives it. Pure: from text to what is asked for, or to what is
//! wrong with it.

use std::borrow::Cow;
use std::time::Duration;

/// The module where a request names none; blackbox_exporter's.
const DEFAULT_MODULE: &str = "http_2xx";
/// The longest query that is looked at, in bytes.
pub const MAX_QUERY_BYTES: usize = 8192;
/// The header by which Prometheus tells how long it waits.
pub const TIMEOUT_HEADER: &str = "x-prometheus-scrape-timeout-seconds";
/// How long a probe may take where neither the scraper nor the module says; blackbox_exporter's.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(120);
/// The longest that a scraper may give where the module has no timeout of its own: anybody can send the header, and each probe
/// holds one of few places.
const LONGEST_TIMEOUT: Duration = DEFAULT_TIMEOUT;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeRequest<'q> {
    /// The module's name.
    pub module: Cow<'q, str>,
    /// What to probe.
    pub target: Cow<'q, str>,
    /// What to call the target.
    pub hostname: Option<Cow<'q, str>>,
    /// Whether a person wants to see what the probe does.
    pub debug: bool,
}

/// Reads a query.
///
/// # Errors
/// What is wrong and what would be right.
pub fn parse(query: &str) -> Result<ProbeRequest<'_>, String> {
    if query.len() > MAX_QUERY_BYTES {
        return Err(format!("the query is longer than {MAX_QUERY_BYTES} bytes"));
    }
    let [mut module, mut target, mut hostname, mut debug] = [const { None }; 4];
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decoded(name)?;
        let place = match &*name {
            "module" => &mut module,
            "target" => &mut target,
            "hostname" => &mut hostname,
            "debug" => &mut debug,
            // blackbox_exporter passes over them, and its users may have some (a cluster's name, say).
            _ => continue,
        };
        if place.replace(decoded(value)?).is_some() {
            return Err(format!("the parameter {name} is given more than once"));
        }
    }
    // Every other value is no, as in blackbox_exporter.
    let debug = matches!(debug.as_deref(), Some("true" | "1"));
    let target = target.filter(|target| !target.is_empty()).ok_or(
        "the parameter target is missing: write what to probe, such as /probe?target=https://example.org&module=http_2xx",
    )?;
    if target.chars().any(char::is_control) {
        return Err("the target holds a control character".to_owned());
    }
    Ok(ProbeRequest {
        module: module
            .filter(|module| !module.is_empty())
            .unwrap_or(DEFAULT_MODULE.into()),
        target,
        hostname: hostname.filter(|hostname| !hostname.is_empty()),
        debug,
    })
}

/// A part of a query, as forms encode it (WHATWG URL, section 5.1).
fn decoded(text: &str) -> Result<Cow<'_, str>, String> {
    let bytes = text.as_bytes();
    let mut escapes = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'%');
    let is_hex = |position: usize| bytes.get(position).is_some_and(u8::is_ascii_hexdigit);
    if escapes.any(|(position, _)| !is_hex(position + 1) || !is_hex(position + 2)) {
        return Err(
            "the query has a % that two hexadecimal digits do not follow: write %25 for the sign itself"
                .to_owned(),
        );
    }
    let text = match text.contains('+') {
        true => Cow::Owned(text.replace('+', " ")),
        false => Cow::Borrowed(text),
    };
    let undecodable = "the query is not UTF-8 once it is decoded".to_owned();
    match text {
        Cow::Borrowed(text) => percent_encoding::percent_decode_str(text)
            .decode_utf8()
            .map_err(|_| undecodable),
        Cow::Owned(text) => percent_encoding::percent_decode_str(&text)
            .decode_utf8()
            .map(|text| Cow::Owned(text.into_owned()))
            .map_err(|_| undecodable),
    }
}

/// How long a probe may take: what the scraper gives, less `offset` for the way back, but no longer than the module says. Where
/// the module says nothing, a scraper gives two minutes at most.
///
/// # Errors
/// What is wrong with the header's value.
pub fn deadline(
    header: Option<&str>,
    module: Option<Duration>,
    offset: Duration,
) -> Result<Duration, String> {
    let module = module.filter(|timeout| !timeout.is_zero());
    let longest = module.map_or(LONGEST_TIMEOUT, |_| Duration::MAX);
    let given = match header {
        None | Some("") => DEFAULT_TIMEOUT,
        Some(text) => {
            let seconds: f64 = text
                .trim()
                .parse()
                .ok()
                .filter(|seconds: &f64| *seconds >= 0.0)
                .ok_or_else(|| {
                    format!(
                        "the header {TIMEOUT_HEADER} is no number of seconds: write one such as 10 or 2.5"
                    )
                })?;
            match Duration::try_from_secs_f64(seconds) {
                Ok(Duration::ZERO) => DEFAULT_TIMEOUT,
                Ok(given) => given.min(longest),
                Err(_) => longest,
            }
        }
    };
    Ok(
        match (given.checked_sub(offset).filter(|rest| !rest.is_zero()), module) {
            (Some(rest), Some(module)) => rest.min(module),
            (Some(rest), None) => rest,
            // A scraper that gives less than the offset will not see the answer, but what was asked for is done in its time.
            (None, Some(module)) => given.min(module),
            (None, None) => given,
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_as_forms_write_it() {
        let request =
            parse("module=tcp&target=http%3A%2F%2Fa%3Fb%3Dc+d&x=%41&debug=true&hostname=h").unwrap();
        assert_eq!((&*request.module, &*request.target), ("tcp", "http://a?b=c d"));
        assert_eq!((request.hostname.as_deref(), request.debug), (Some("h"), true));
        let request = parse("target=a").unwrap();
        assert_eq!((&*request.module, request.debug), ("http_2xx", false));
        assert_eq!(parse("target=a:1&module=").unwrap().module, "http_2xx");
        assert!(!parse("target=a&debug=yes").unwrap().debug);
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (query, part) in [
            ("", "target is missing"),
            ("target=", "target is missing"),
            ("target=a&target=b", "target is given more than once"),
            ("target=a&module=b&module=b", "module is given more than once"),
            ("target=%", "%25"),
            ("target=%4", "%25"),
            ("target=%zz", "%25"),
            ("target=%ff", "UTF-8"),
            ("target=a%0d%0ab", "control character"),
        ] {
            let error = parse(query).unwrap_err();
            assert!(error.contains(part), "{query}: {error}");
        }
        assert!(parse(&format!("target={}", "a".repeat(MAX_QUERY_BYTES))).is_err());
    }

    #[test]
    fn the_deadline_is_the_scrapers_less_the_offset_and_at_most_the_modules() {
        let ms = |ms: u64| Duration::from_millis(ms);
        for (header, module, expected) in [
            (Some("10"), None, 9_500),
            (Some("10"), Some(5_000), 5_000),
            (Some("10.25"), Some(60_000), 9_750),
            (None, Some(5_000), 5_000),
            (None, None, 119_500),
            (Some("0"), None, 119_500),
            (Some(""), None, 119_500),
            (Some("0.5"), Some(5_000), 500),
            (Some("0.2"), None, 200),
            (Some("300"), Some(250_000), 250_000),
            // Two minutes at most, or what the module says.
            (Some("119"), None, 118_500),
            (Some("300"), None, 119_500),
            (Some("3601"), None, 119_500),
            (Some("1e300"), None, 119_500),
            (Some("1e300"), Some(60_000), 60_000),
            (Some("300"), Some(600_000), 299_500),
            (Some("3600"), Some(300_000), 300_000),
            (Some("inf"), Some(300_000), 300_000),
        ] {
            let deadline = deadline(header, module.map(ms), ms(500)).unwrap();
            assert_eq!(deadline, ms(expected), "{header:?} {module:?}");
        }
        for header in ["x", "-1", "nan"] {
            assert!(
                deadline(Some(header), None, ms(500))
                    .unwrap_err()
                    .contains("number of seconds")
            );
        }
    }
}
