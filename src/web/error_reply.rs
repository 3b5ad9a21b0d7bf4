//! Errors as their clients expect them: JSON below `/api/`, plain text elsewhere.

use http::StatusCode;
use http::header::CACHE_CONTROL;

use super::body::Content;
use super::reply::Reply;

/// The path prefix of the JSON API. Its errors are JSON too.
pub(super) const API_PREFIX: &str = "/api/";

/// A request that can't be served.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    message: String,
}

impl ApiError {
    /// An error with this status and message.
    pub const fn new(status: StatusCode, message: String) -> Self {
        Self { status, message }
    }

    /// The status of the response.
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// The message.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The request is malformed.
    pub fn bad_request(message: String) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            message,
        }
    }

    /// The requested object does not exist.
    pub fn not_found(message: String) -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            message,
        }
    }

    /// The exporter failed.
    pub fn internal(error: impl std::fmt::Display) -> Self {
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            message: error.to_string(),
        }
    }

    /// Returns the reply to a request for `path`.
    pub fn into_reply(self, path: &str) -> Reply {
        error_reply(path, self.status, &self.message)
    }
}

/// The JSON of an error.
#[derive(serde::Serialize)]
struct ErrorBody<'a> {
    error: &'a str,
}

/// Returns an error reply to a request for `path`.
pub(super) fn error_reply(path: &str, status: StatusCode, message: &str) -> Reply {
    if !path.starts_with(API_PREFIX) {
        return Reply::text(status, format!("{status}: {message}\n"));
    }
    // Serializing a struct with one text does not fail.
    let body = serde_json::to_vec(&ErrorBody { error: message }).unwrap_or_default();
    Reply::json(status, Content::Text(body.into())).with(CACHE_CONTROL.as_str(), "no-store")
}
