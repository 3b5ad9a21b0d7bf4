//! What the server parses of a request, as functions of text, for tests with arbitrary input. Nothing else uses them, so the
//! parsers stay private.

use std::borrow::Cow;

use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};

use super::encoding::Encoding;
use super::{accept, auth, html, query};

/// Parses a query with the parameters `a` and `b`.
///
/// # Errors
/// The message of a 400.
pub fn parse_query(text: &str) -> Result<[Option<String>; 2], String> {
    query::parse(Some(text), ["a", "b"])
}

/// Percent-decodes a part of a path.
///
/// # Errors
/// The message of a 400.
pub fn decode_path_part(text: &str) -> Result<String, String> {
    query::decode(text).map(Cow::into_owned)
}

/// Returns the URL of the overview with the groups of this query, in any status. An invalid query selects everything.
pub fn overview_url(text: &str) -> String {
    html::Filter::parse(Some(text))
        .unwrap_or_default()
        .url_with_status(None)
}

/// Returns the content type and whether the body is compressed, for these values of `Accept` and `Accept-Encoding`.
pub fn negotiate(text: &str) -> (&'static str, bool) {
    let encoding = accept::choose_encoding([text]);
    (
        accept::choose_media_type([text]).content_type(),
        encoding == Encoding::Gzip,
    )
}

/// Returns the user in a value of `Authorization`.
pub fn user(value: &[u8]) -> Option<String> {
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, HeaderValue::from_bytes(value).ok()?);
    auth::user(&headers)
}
