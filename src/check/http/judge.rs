//! Compares a response with the assertions. Pure functions.

use http::{HeaderMap, StatusCode, Version};

use std::sync::Arc;

use super::json;
use crate::config::budget::{Budget, Exhausted};
use crate::config::http::{Assertions, version_name};
use crate::model::{Problem, Reason};
use cel::Value;

/// How many bytes of a value a message quotes.
const MAX_QUOTED: usize = 100;

/// The kind of assertion about the content that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssertionKind {
    /// A regular expression about a header or the body.
    Regex,
    /// A CEL expression.
    Cel,
}

/// Why a response does not meet the assertions.
#[derive(Debug)]
pub struct AssertionError {
    /// The problem of the run.
    pub problem: Problem,
    /// The kind of assertion about the content, if one failed.
    pub kind: Option<AssertionKind>,
}

impl AssertionError {
    fn of(kind: AssertionKind, message: impl std::fmt::Display) -> Self {
        Self {
            problem: Problem::new(Reason::Assertion, message),
            kind: Some(kind),
        }
    }
}

impl From<Problem> for AssertionError {
    fn from(problem: Problem) -> Self {
        Self { problem, kind: None }
    }
}

/// Judges the HTTP version of a response, and whether it came over TLS.
///
/// # Errors
/// With the reason `assertion`.
pub fn protocol(assertions: &Assertions, version: Version, is_tls: bool) -> Result<(), Problem> {
    let failed = |message: String| Err(Problem::new(Reason::Assertion, message));
    if !assertions.versions.is_empty() && !assertions.versions.contains(&version) {
        let expected: Vec<&str> = assertions
            .versions
            .iter()
            .map(|version| version_name(*version))
            .collect();
        let version = version_name(version);
        return failed(format!(
            "the HTTP version is {version}, expected {}",
            expected.join(" or ")
        ));
    }
    if is_tls && assertions.fail_if_ssl {
        return failed("the response came over TLS, but fail_if_ssl is set".to_owned());
    }
    if !is_tls && assertions.fail_if_not_ssl {
        return failed("the response did not come over TLS, but fail_if_not_ssl is set".to_owned());
    }
    Ok(())
}

/// Judges the status of a response.
///
/// # Errors
/// With the reason `auth` if sent credentials were rejected, otherwise `status`.
pub fn status(
    assertions: &Assertions,
    status: StatusCode,
    sent_credentials: bool,
) -> Result<(), AssertionError> {
    match assertions.expects(status) {
        true => Ok(()),
        false => Err(unexpected(assertions, status, sent_credentials).into()),
    }
}

/// The result of an evaluation with a budget.
pub type Evaluation<T> = Result<Result<T, AssertionError>, Exhausted>;

/// Judges the headers of a response. The inner error has the reason `assertion`.
///
/// # Errors
/// If the budget is exhausted.
pub fn headers(assertions: &Assertions, headers: &HeaderMap, budget: &Budget) -> Evaluation<()> {
    let mismatch = |message: String| Ok(Err(AssertionError::of(AssertionKind::Regex, message)));
    for (wanted, header) in assertions
        .header_matches
        .iter()
        .map(|header| (false, header))
        .chain(assertions.header_not_matches.iter().map(|header| (true, header)))
    {
        let values = headers.get_all(&header.header);
        let (name, regexp) = (&header.header, header.regexp.as_str());
        if values.iter().next().is_none() {
            if header.allow_missing {
                continue;
            }
            return mismatch(format!("the response has no header {name} to match \"{regexp}\""));
        }
        let mut matching = None;
        for value in values {
            if header.regexp.finds(value.as_bytes(), budget)? {
                matching = Some(value);
                break;
            }
        }
        match (wanted, matching) {
            (false, Some(value)) => {
                let value = quote(value.as_bytes());
                return mismatch(format!("the header {name}, {value}, matches \"{regexp}\""));
            }
            (true, None) => return mismatch(format!("no header {name} matches \"{regexp}\"")),
            (false, None) | (true, Some(_)) => {}
        }
    }
    Ok(Ok(()))
}

fn unexpected(assertions: &Assertions, status: StatusCode, sent_credentials: bool) -> Problem {
    let name = status
        .canonical_reason()
        .map(|name| format!(" {name}"))
        .unwrap_or_default();
    let code = status.as_u16();
    match status {
        StatusCode::UNAUTHORIZED if sent_credentials => Problem::new(
            Reason::Auth,
            format_args!("the target refused the credentials: {code}{name}"),
        ),
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => Problem::new(
            Reason::Auth,
            format_args!("the proxy refused the credentials, or requires some: {code}{name}"),
        ),
        _ => {
            let expected = match assertions.status_codes.is_empty() {
                true => "2xx".to_owned(),
                false => assertions.status_codes.to_string(),
            };
            Problem::new(
                Reason::Status,
                format_args!("the status is {code}{name}, expected {expected}"),
            )
        }
    }
}

/// Judges a body. The inner error has the reason `assertion`.
///
/// # Errors
/// If the budget is exhausted.
pub fn body(assertions: &Assertions, bytes: &[u8], budget: &Arc<Budget>) -> Evaluation<()> {
    match patterns(assertions, bytes, budget)? {
        Ok(()) => json(assertions, bytes, budget),
        failed => Ok(failed),
    }
}

fn patterns(assertions: &Assertions, bytes: &[u8], budget: &Budget) -> Evaluation<()> {
    for pattern in &assertions.body_matches {
        if pattern.finds(bytes, budget)? {
            let message = format!(
                "the body matches \"{}\" (fail_if_body_matches_regexp)",
                pattern.as_str()
            );
            return Ok(Err(AssertionError::of(AssertionKind::Regex, message)));
        }
    }
    for pattern in &assertions.body_not_matches {
        if !pattern.finds(bytes, budget)? {
            let message = format!(
                "the body does not match \"{}\" (fail_if_body_not_matches_regexp); it begins with {}",
                pattern.as_str(),
                quote(bytes)
            );
            return Ok(Err(AssertionError::of(AssertionKind::Regex, message)));
        }
    }
    Ok(Ok(()))
}

fn json(assertions: &Assertions, bytes: &[u8], budget: &Arc<Budget>) -> Evaluation<()> {
    let cases = [
        (&assertions.json_matches, false),
        (&assertions.json_not_matches, true),
    ];
    let mut cases = cases
        .into_iter()
        .filter_map(|(case, wanted)| Some((case.as_ref()?, wanted)))
        .peekable();
    if cases.peek().is_none() {
        return Ok(Ok(()));
    }
    let document = match json::read::<Value>(bytes) {
        Ok(document) => document,
        Err(error) => {
            let message = format!(
                "the body can't be read as JSON: {error}; it begins with {}",
                quote(bytes)
            );
            return Ok(Err(AssertionError::of(AssertionKind::Cel, message)));
        }
    };
    for (expression, wanted) in cases {
        let source = expression.as_str();
        let failed = |what: &str| {
            let message = format_args!("the CEL expression {source}{what}");
            Ok(Err(AssertionError::of(AssertionKind::Cel, message)))
        };
        match expression.evaluate(document.value.clone(), budget)? {
            Ok(verdict) if verdict == wanted => {}
            Ok(true) => return failed(" is true for the body (fail_if_body_json_matches_cel)"),
            Ok(false) => return failed(" is not true for the body (fail_if_body_json_not_matches_cel)"),
            Err(error) => return failed(&format!(" fails: {error}")),
        }
    }
    Ok(Ok(()))
}

/// Quotes the beginning of a text from a target.
pub(super) fn quote(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_QUOTED)]);
    let more = if bytes.len() > MAX_QUOTED { "\u{2026}" } else { "" };
    format!("\"{text}{more}\"")
}
