//! What an http check demands of a response.

use http::{HeaderName, StatusCode, Version};
use schemars::JsonSchema;
use serde::Deserialize;

use super::version_name;
use crate::config::expression::Expression;
use crate::config::pattern::Pattern;
use crate::config::place::{Invalid, Place, all};

/// A demand on a header of the response, as written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeaderAssertionOptions {
    /// The header's name.
    pub header: String,
    /// A regular expression for its value.
    pub regexp: String,
    /// Whether the response may lack the header.
    #[serde(default)]
    pub allow_missing: bool,
}

/// A demand on a header of the response.
#[derive(Clone, Debug, PartialEq)]
pub struct HeaderAssertion {
    /// The header's name.
    pub header: HeaderName,
    /// What its value must (or must not) match.
    pub regexp: Pattern,
    /// Whether the response may lack the header.
    pub allow_missing: bool,
}

/// What a response must be like.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Assertions {
    /// The expected status codes; every 2xx where empty.
    pub status_codes: Vec<StatusCode>,
    /// The expected versions of HTTP; any where empty.
    pub versions: Vec<Version>,
    /// Fail where the answer came over TLS.
    pub fail_if_ssl: bool,
    /// Fail where the answer did not come over TLS.
    pub fail_if_not_ssl: bool,
    /// None of these may match the body.
    pub body_matches: Vec<Pattern>,
    /// All of these must match the body.
    pub body_not_matches: Vec<Pattern>,
    /// None of these headers may match.
    pub header_matches: Vec<HeaderAssertion>,
    /// All of these headers must match.
    pub header_not_matches: Vec<HeaderAssertion>,
    /// Must be false of the body.
    pub json_matches: Option<Expression>,
    /// Must be true of the body.
    pub json_not_matches: Option<Expression>,
}

impl Assertions {
    /// Whether a status code is an expected one.
    pub fn expects(&self, status: StatusCode) -> bool {
        match self.status_codes.is_empty() {
            true => status.is_success(),
            false => self.status_codes.contains(&status),
        }
    }

    /// Whether there is a CEL expression about the body.
    pub fn has_cel(&self) -> bool {
        self.json_matches.is_some() || self.json_not_matches.is_some()
    }

    /// Whether evaluating an expression needs a large stack.
    pub fn is_deep(&self) -> bool {
        let mut expressions = self.json_matches.iter().chain(&self.json_not_matches);
        expressions.any(Expression::is_deep)
    }

    /// Whether the body is looked at, so that it must be kept.
    pub fn need_body(&self) -> bool {
        !self.body_matches.is_empty()
            || !self.body_not_matches.is_empty()
            || self.json_matches.is_some()
            || self.json_not_matches.is_some()
    }
}

/// The status codes at `place`.
pub(super) fn status_codes(place: &Place<'_>, codes: &[u16]) -> Result<Vec<StatusCode>, Invalid> {
    all(codes.iter().enumerate().map(|(index, code)| match code {
        // Servers invent some, which are told apart all the same (RFC 9110, section 15).
        100..=999 => StatusCode::from_u16(*code).map_err(|error| place.index(index).error(error)),
        _ => Err(place
            .index(index)
            .error(format_args!("{code} is no HTTP status code: they are 100 to 999"))),
    }))
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
                .remark("no answer has it: HTTP/3 is not spoken here");
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

/// The regular expressions at `place`.
pub(super) fn patterns(place: &Place<'_>, sources: &[String]) -> Result<Vec<Pattern>, Invalid> {
    all(sources
        .iter()
        .enumerate()
        .map(|(index, source)| Pattern::read(&place.index(index), source)))
}

/// The demands on headers at `place`.
pub(super) fn headers(
    place: &Place<'_>,
    written: Vec<HeaderAssertionOptions>,
) -> Result<Vec<HeaderAssertion>, Invalid> {
    all(written.into_iter().enumerate().map(|(index, options)| {
        let place = place.index(index);
        let header = HeaderName::try_from(&options.header).map_err(|_| {
            let place = place.field("header");
            place.error(format_args!("\"{}\" is no name of a header", options.header))
        });
        let at = place.field("regexp");
        let regexp = match options.regexp.is_empty() {
            true => Err(at.error("it is empty, which matches everything: write an expression")),
            false => Pattern::read(&at, &options.regexp),
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
    let Some(source) = source else { return Ok(None) };
    match Expression::new(source) {
        Ok(expression) => Ok(Some(expression)),
        Err(error) => Err(place.error(format_args!("this is not a CEL expression: {error}"))),
    }
}
