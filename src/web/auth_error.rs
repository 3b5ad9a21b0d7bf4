//! Why a request is refused before any page sees it, how that is said, and how often it was.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};

use super::api;
use super::body::{Answering, ResponseBody};

/// Why a request is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AuthError {
    /// It bears no user and password, or wrong ones.
    Unauthorized,
    /// Its address tried too many wrong passwords; in this time it may try again.
    TooMany(Duration),
    /// There were too many requests; in this time there may be more.
    TooFast(Duration),
    /// Too many passwords are being checked.
    Busy,
}

impl AuthError {
    /// All reasons, in the order of [`AuthError::index`].
    pub const REASONS: [&str; 4] = ["unauthorized", "too_many_failures", "rate_limit", "busy"];

    /// The index of its reason in [`AuthError::REASONS`].
    const fn index(self) -> usize {
        match self {
            Self::Unauthorized => 0,
            Self::TooMany(_) => 1,
            Self::TooFast(_) => 2,
            Self::Busy => 3,
        }
    }

    /// The answer to a request for `path` that says so, and what would help.
    pub fn into_response(self, path: &str, answering: Answering) -> Response<ResponseBody> {
        let (status, text) = match self {
            Self::Unauthorized => (
                StatusCode::UNAUTHORIZED,
                "a user and a password of the exporter's web configuration are needed",
            ),
            Self::TooMany(_) => (
                StatusCode::TOO_MANY_REQUESTS,
                "too many wrong passwords from this address; until Retry-After a right one is refused too",
            ),
            Self::TooFast(_) => (
                StatusCode::TOO_MANY_REQUESTS,
                "more requests than rate_limit of the web configuration allows",
            ),
            Self::Busy => (
                StatusCode::SERVICE_UNAVAILABLE,
                "too many passwords are being checked",
            ),
        };
        let mut response = api::error(path, status, text).into_response(answering);
        let headers = response.headers_mut();
        let wait = match self {
            Self::Unauthorized => {
                let challenge = "Basic realm=\"upkeep_exporter\", charset=\"UTF-8\"";
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
                return response;
            }
            Self::TooMany(wait) | Self::TooFast(wait) => wait,
            Self::Busy => Duration::from_secs(1),
        };
        // In whole seconds (RFC 9110, section 10.2.3), none of them too short.
        headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs() + 1));
        response
    }
}

/// Number of refused requests, by reason.
#[derive(Debug, Default)]
pub(super) struct Refused([AtomicU64; AuthError::REASONS.len()]);

impl Refused {
    /// Counts one.
    pub fn count(&self, refusal: AuthError) {
        self.0[refusal.index()].fetch_add(1, Ordering::Relaxed);
    }

    /// All reasons with their counts.
    pub fn all(&self) -> Vec<(&'static str, u64)> {
        let counts = self.0.iter().map(|count| count.load(Ordering::Relaxed));
        AuthError::REASONS.into_iter().zip(counts).collect()
    }
}
