//! Parses a request to `/probe`: the query and the scrape timeout. Pure.

use std::borrow::Cow;
use std::time::Duration;

use crate::model::form_decode;

/// The default module, as in blackbox_exporter.
const DEFAULT_MODULE: &str = "http_2xx";
/// The maximum length of a query, in bytes.
pub const MAX_QUERY_BYTES: usize = 8192;
/// The header in which Prometheus sends its scrape timeout.
pub const TIMEOUT_HEADER: &str = "x-prometheus-scrape-timeout-seconds";
/// The timeout without a scrape timeout and a timeout of the module, as in blackbox_exporter.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(120);
/// The maximum timeout for modules without a timeout. Anyone can send the header, and every running probe uses one of few slots.
const MAX_TIMEOUT: Duration = DEFAULT_TIMEOUT;

/// A parsed request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeRequest<'q> {
    /// The module's name.
    pub module: Cow<'q, str>,
    /// What to probe.
    pub target: Cow<'q, str>,
    /// The host name to use for the target.
    pub hostname: Option<Cow<'q, str>>,
    /// Whether to return the steps of the probe instead of its metrics.
    pub debug: bool,
}

impl ProbeRequest<'_> {
    /// Whether the target is a URL that is not for HTTP. blackbox_exporter puts `http://` before it, and looks up its scheme.
    pub fn has_other_scheme(&self) -> bool {
        let scheme = self.target.split_once("://").map_or("", |(scheme, _)| scheme);
        let is_scheme =
            |scheme: &str| !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric());
        is_scheme(scheme) && !["http", "https"].contains(&scheme)
    }
}

/// Parses a query.
///
/// # Errors
/// What is wrong and how to correct it.
pub fn parse(query: &str) -> Result<ProbeRequest<'_>, String> {
    if query.len() > MAX_QUERY_BYTES {
        return Err(format!("the query is longer than {MAX_QUERY_BYTES} bytes"));
    }
    let [mut module, mut target, mut hostname, mut debug] = [const { None }; 4];
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decode = |text| form_decode(text).map_err(|error| format!("the query is malformed: {error}"));
        let name = decode(name)?;
        let slot = match &*name {
            "module" => &mut module,
            "target" => &mut target,
            "hostname" => &mut hostname,
            "debug" => &mut debug,
            // blackbox_exporter ignores unknown parameters, and some users add their own, such as the name of a cluster.
            _ => continue,
        };
        // The first value counts, as in blackbox_exporter: `params` of Prometheus may list several.
        if slot.is_none() {
            *slot = Some(decode(value)?);
        }
    }
    // Any other value means false, as in blackbox_exporter.
    let debug = matches!(debug.as_deref(), Some("true" | "1"));
    let target = target.filter(|target| !target.is_empty()).ok_or(
        "the parameter target is missing: write for example /probe?target=https://example.org&module=http_2xx",
    )?;
    Ok(ProbeRequest {
        module: module
            .filter(|module| !module.is_empty())
            .unwrap_or(DEFAULT_MODULE.into()),
        target,
        hostname: hostname.filter(|hostname| !hostname.is_empty()),
        debug,
    })
}

/// The timeout of a probe: the scrape timeout minus `offset`, limited by the timeout of the module. Without a timeout of the module
/// the limit is two minutes.
///
/// # Errors
/// When the header is not a number of seconds.
pub fn timeout(header: Option<&str>, module: Option<Duration>, offset: Duration) -> Result<Duration, String> {
    let module = module.filter(|timeout| !timeout.is_zero());
    let max = module.map_or(MAX_TIMEOUT, |_| Duration::MAX);
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
                        "the header {TIMEOUT_HEADER} is not a number of seconds: write for example 10 or 2.5"
                    )
                })?;
            match Duration::try_from_secs_f64(seconds) {
                Ok(Duration::ZERO) => DEFAULT_TIMEOUT,
                Ok(given) => given.min(max),
                Err(_) => max,
            }
        }
    };
    Ok(
        match (given.checked_sub(offset).filter(|rest| !rest.is_zero()), module) {
            (Some(rest), Some(module)) => rest.min(module),
            (Some(rest), None) => rest,
            // If the scrape timeout is not longer than the offset, the offset is ignored.
            (None, Some(module)) => given.min(module),
            (None, None) => given,
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_parsed_as_form_data() {
        let request =
            parse("module=tcp&target=http%3A%2F%2Fa%3Fb%3Dc+d&x=%41&debug=true&hostname=h").unwrap();
        assert_eq!((&*request.module, &*request.target), ("tcp", "http://a?b=c d"));
        assert_eq!((request.hostname.as_deref(), request.debug), (Some("h"), true));
        let request = parse("target=a").unwrap();
        assert_eq!((&*request.module, request.debug), ("http_2xx", false));
        assert_eq!(parse("target=a:1&module=").unwrap().module, "http_2xx");
        assert!(!parse("target=a&debug=yes").unwrap().debug);
        let request = parse("target=a&module=b&module=c&target=d").unwrap();
        assert_eq!((&*request.module, &*request.target), ("b", "a"));
    }

    #[test]
    fn invalid_queries_are_errors() {
        for (query, part) in [
            ("", "target is missing"),
            ("target=", "target is missing"),
            ("target=%", "%25"),
            ("target=%4", "%25"),
            ("target=%zz", "%25"),
            ("target=%ff", "UTF-8"),
        ] {
            let error = parse(query).unwrap_err();
            assert!(error.contains(part), "{query}: {error}");
        }
        assert!(parse(&format!("target={}", "a".repeat(MAX_QUERY_BYTES))).is_err());
    }

    #[test]
    fn the_timeout_is_the_scrape_timeout_minus_the_offset_limited_by_the_module() {
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
            // At most two minutes, or the timeout of the module.
            (Some("119"), None, 118_500),
            (Some("300"), None, 119_500),
            (Some("3601"), None, 119_500),
            (Some("1e300"), None, 119_500),
            (Some("1e300"), Some(60_000), 60_000),
            (Some("300"), Some(600_000), 299_500),
            (Some("3600"), Some(300_000), 300_000),
            (Some("inf"), Some(300_000), 300_000),
        ] {
            let timeout = timeout(header, module.map(ms), ms(500)).unwrap();
            assert_eq!(timeout, ms(expected), "{header:?} {module:?}");
        }
        for header in ["x", "-1", "nan"] {
            assert!(
                timeout(Some(header), None, ms(500))
                    .unwrap_err()
                    .contains("number of seconds")
            );
        }
    }
}
