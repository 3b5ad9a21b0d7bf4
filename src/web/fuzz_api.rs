//! What the server parses of a request, as functions of text, for tests with arbitrary input. Nothing else uses them, so the
//! parsers stay private.

use std::borrow::Cow;

use http::{HeaderMap, HeaderValue, Uri, header::AUTHORIZATION};

use super::encoding::Encoding;
use super::{accept, auth, heartbeat, html, query};
use crate::model::BeatKind;

/// What is read of the URL of a beat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedBeat {
    /// The token.
    pub token: String,
    /// The kind and the exit status. `None` if the path after the token is unknown.
    pub signal: Option<(BeatKind, Option<u8>)>,
    /// The id of the run, or the message of a 400.
    pub run_id: Result<Option<String>, String>,
}

/// Parses the target of a request. `None` if it is not that of a beat.
pub fn parse_beat(target: &str) -> Option<ParsedBeat> {
    let uri: Uri = target.parse().ok()?;
    heartbeat::is_beat(uri.path()).then(|| {
        let (token, signal) = heartbeat::split(uri.path());
        ParsedBeat {
            token: token.to_owned(),
            signal,
            run_id: heartbeat::run_id(&uri),
        }
    })
}

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
