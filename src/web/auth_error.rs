//! Requests that are refused before routing: the reasons, their responses and their counts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};

use super::body::{ResponseBody, ResponseInProgress};
use super::error_reply::error_reply;

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AuthError {
    /// The credentials are missing or wrong.
    Unauthorized,
    /// The address sent too many wrong passwords. It may try again after this time.
    TooManyFailures(Duration),
    /// `rate_limit` is exceeded. The next request is allowed after this time.
    RateLimited(Duration),
    /// Too many passwords are being checked at once.
    Busy,
}

impl AuthError {
    /// All reasons, in the order of [`AuthError::index`].
    pub const REASONS: [&str; 4] = ["unauthorized", "too_many_failures", "rate_limit", "busy"];

    /// Returns the index of the reason in [`AuthError::REASONS`].
    const fn index(self) -> usize {
        match self {
            Self::Unauthorized => 0,
            Self::TooManyFailures(_) => 1,
            Self::RateLimited(_) => 2,
            Self::Busy => 3,
        }
    }

    /// Returns the response to a request for `path`.
    pub fn into_response(self, path: &str, in_progress: ResponseInProgress) -> Response<ResponseBody> {
        let (status, text) = match self {
            Self::Unauthorized => (
                StatusCode::UNAUTHORIZED,
                "send the name and password of a user in basic_auth_users of the web configuration",
            ),
            Self::TooManyFailures(_) => (
                StatusCode::TOO_MANY_REQUESTS,
                "too many wrong passwords from this address; even a correct one is refused until Retry-After has passed",
            ),
            Self::RateLimited(_) => (
                StatusCode::TOO_MANY_REQUESTS,
                "rate_limit of the web configuration is exceeded; try again after Retry-After",
            ),
            Self::Busy => (
                StatusCode::SERVICE_UNAVAILABLE,
                "too many passwords are being checked at once; try again after Retry-After",
            ),
        };
        let mut response = error_reply(path, status, text).into_response(in_progress);
        let headers = response.headers_mut();
        let wait = match self {
            Self::Unauthorized => {
                let challenge = "Basic realm=\"upkeep_exporter\", charset=\"UTF-8\"";
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
                return response;
            }
            Self::TooManyFailures(wait) | Self::RateLimited(wait) => wait,
            Self::Busy => Duration::from_secs(1),
        };
        // In whole seconds (RFC 9110, section 10.2.3), rounded up.
        headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs() + 1));
        response
    }
}

/// The number of refused requests by reason.
#[derive(Debug, Default)]
pub(super) struct RefusalCounts([AtomicU64; AuthError::REASONS.len()]);

impl RefusalCounts {
    /// Counts a refused request.
    pub fn count(&self, error: AuthError) {
        self.0[error.index()].fetch_add(1, Ordering::Relaxed);
    }

    /// Returns every reason with its count.
    pub fn by_reason(&self) -> Vec<(&'static str, u64)> {
        let counts = self.0.iter().map(|count| count.load(Ordering::Relaxed));
        AuthError::REASONS.into_iter().zip(counts).collect()
    }
}
