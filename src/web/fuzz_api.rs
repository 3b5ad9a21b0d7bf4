//! What the server reads of a request, as functions of texts. For tests with arbitrary input: nothing else uses them, and the
//! parts of the server stay to themselves.

use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};

use super::encoding::Encoding;
use super::{accept, auth, html, query};

/// The values of the parameters `a` and `b` of a query.
///
/// # Errors
/// What is wrong, for a 400.
pub fn parameters(text: &str) -> Result<[Option<String>; 2], String> {
    query::parameters(Some(text), ["a", "b"])
}

/// A part of a path without its percent-encoding.
///
/// # Errors
/// What is wrong with it.
pub fn path_part(text: &str) -> Result<String, String> {
    query::decoded(text).map(std::borrow::Cow::into_owned)
}

/// The URL of the page that shows what this query asks for, in any status; that of all where it is wrong.
pub fn page_url(text: &str) -> String {
    html::Filter::of_query(Some(text))
        .unwrap_or_default()
        .with_status(None)
}

/// The content type, and whether it is compressed, for these values of `Accept` and `Accept-Encoding`.
pub fn accepted(text: &str) -> (&'static str, bool) {
    let encoding = accept::encoding([text]);
    (
        accept::media_type([text]).content_type(),
        encoding == Encoding::Gzip,
    )
}

/// The user that a value of `Authorization` names.
pub fn user(value: &[u8]) -> Option<String> {
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, HeaderValue::from_bytes(value).ok()?);
    auth::user(&headers)
}
