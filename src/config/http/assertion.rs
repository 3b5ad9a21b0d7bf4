//! The conditions of an http check for a response.

use http::{HeaderName, StatusCode, Version};
use schemars::JsonSchema;
use serde::Deserialize;

use super::StatusCodes;
use crate::config::expression::Expression;
use crate::config::pattern::Pattern;
use crate::config::place::{Invalid, Place, all};

/// A condition for a header of the response.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeaderAssertionOptions {
    /// Name of the header.
    pub header: String,
    /// Regular expression for the value.
    pub regexp: String,
    /// Whether the header may be missing.
    #[serde(default)]
    pub allow_missing: bool,
}

/// A resolved condition for a header of the response.
#[derive(Clone, Debug, PartialEq)]
pub struct HeaderAssertion {
    /// The name of the header.
    pub header: HeaderName,
    /// The expression that the value must, or must not, match.
    pub regexp: Pattern,
    /// Whether the header may be missing.
    pub allow_missing: bool,
}

/// The conditions for a response.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Assertions {
    /// The accepted status codes; empty for every 2xx.
    pub status_codes: StatusCodes,
    /// The accepted versions of HTTP; empty for any.
    pub versions: Vec<Version>,
    /// Fail if the connection used TLS.
    pub fail_if_ssl: bool,
    /// Fail if the connection did not use TLS.
    pub fail_if_not_ssl: bool,
    /// None of these may match the body.
    pub body_matches: Vec<Pattern>,
    /// All of these must match the body.
    pub body_not_matches: Vec<Pattern>,
    /// None of these headers may match.
    pub header_matches: Vec<HeaderAssertion>,
    /// All of these headers must match.
    pub header_not_matches: Vec<HeaderAssertion>,
    /// Must be false for the body.
    pub json_matches: Option<Expression>,
    /// Must be true for the body.
    pub json_not_matches: Option<Expression>,
}

impl Assertions {
    /// Whether a status code is accepted.
    pub fn expects(&self, status: StatusCode) -> bool {
        match self.status_codes.is_empty() {
            true => status.is_success(),
            false => self.status_codes.contains(status),
        }
    }

    /// Whether there is a CEL expression.
    pub fn has_cel(&self) -> bool {
        self.json_matches.is_some() || self.json_not_matches.is_some()
    }

    /// Whether evaluating an expression needs a large stack.
    pub fn is_deep(&self) -> bool {
        let mut expressions = self.json_matches.iter().chain(&self.json_not_matches);
        expressions.any(Expression::is_deep)
    }

    /// Whether a condition needs the body.
    pub fn need_body(&self) -> bool {
        !self.body_matches.is_empty()
            || !self.body_not_matches.is_empty()
            || self.json_matches.is_some()
            || self.json_not_matches.is_some()
    }
}

/// The versions of HTTP at `place`.
pub(super) fn versions(place: &Place<'_>, names: &[String]) -> Result<Vec<Version>, Invalid> {
    const KNOWN: [Version; 4] = [
        Version::HTTP_10,
        Version::HTTP_11,
        Version::HTTP_2,
        Version::HTTP_3,
    ];
    all(names.iter().enumerate().map(|(index, name)| {
        let wanted = match name.as_str() {
            "HTTP/2" => "HTTP/2.0",
            "HTTP/3" => "HTTP/3.0",
            other => other,
        };
        if wanted == "HTTP/3.0" {
            place
                .index(index)
                .warn("no response has this version: HTTP/3 is not supported");
        }
        let known = KNOWN.into_iter().find(|version| version_name(*version) == wanted);
        known.ok_or_else(|| {
            let place = place.index(index);
            place.error(format_args!(
                "\"{name}\" is not supported: write HTTP/1.0, HTTP/1.1 or HTTP/2.0"
            ))
        })
    }))
}

/// The name of an HTTP version, as in blackbox_exporter and Go.
pub fn version_name(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "HTTP/0.9",
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_11 => "HTTP/1.1",
        Version::HTTP_2 => "HTTP/2.0",
        _ => "HTTP/3.0",
    }
}

/// The regular expressions at `place`.
pub(super) fn patterns(place: &Place<'_>, sources: &[String]) -> Result<Vec<Pattern>, Invalid> {
    all(sources
        .iter()
        .enumerate()
        .map(|(index, source)| place.index(index).compile_pattern(source)))
}

/// The conditions for headers at `place`.
pub(super) fn headers(
    place: &Place<'_>,
    written: Vec<HeaderAssertionOptions>,
) -> Result<Vec<HeaderAssertion>, Invalid> {
    all(written.into_iter().enumerate().map(|(index, options)| {
        let place = place.index(index);
        let header = HeaderName::try_from(&options.header).map_err(|_| {
            let place = place.field("header");
            place.error(format_args!("\"{}\" is not a header name", options.header))
        });
        let at = place.field("regexp");
        let regexp = match options.regexp.is_empty() {
            true => Err(at.error("empty, which matches everything: write an expression")),
            false => at.compile_pattern(&options.regexp),
        };
        Ok(HeaderAssertion {
            header: header?,
            regexp: regexp?,
            allow_missing: options.allow_missing,
        })
    }))
}

/// The CEL expression at `place`.
pub(super) fn expression(place: &Place<'_>, source: Option<&str>) -> Result<Option<Expression>, Invalid> {
    source.map(|source| place.compile_expression(source)).transpose()
}
