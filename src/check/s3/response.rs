//! Judges the response to a signed request. The codes are those in S3's list of error responses, and `MinIO`'s own, which
//! start with `XMinio`.

use std::time::SystemTime;

use http::StatusCode;

use super::clock;
use super::request::{LIFETIME, Store};
use super::xml::{self, Document};
use crate::model::{Problem, Reason};
use crate::net::api_client::ApiResponse;

/// The header with the region of a bucket.
const REGION_HEADER: &str = "x-amz-bucket-region";

/// The header that S3 and compatible stores send in every response.
const REQUEST_ID_HEADER: &str = "x-amz-request-id";

/// The root element of a list of buckets.
const BUCKETS: &[&str] = &["ListAllMyBucketsResult"];

/// The root element of a bucket's location. S3 uses the first; `SeaweedFS` wraps it. The content does not matter: an empty or
/// missing location means us-east-1 (S3's GetBucketLocation).
const LOCATION: &[&str] = &["LocationConstraint", "CreateBucketConfiguration"];

/// The store's decision about a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The request succeeded.
    Accepted,
    /// The keys are valid, but the bucket does not exist.
    NoBucket,
    /// The keys lack the permission.
    Denied,
    /// Any other error.
    Refused(Problem),
}

/// Judges the response to a request for a bucket, or for the list of all buckets.
pub fn judge(response: &ApiResponse, store: &Store, bucket: Option<&str>, doing: &str) -> Verdict {
    let refused = |(reason, what): (Reason, String)| Verdict::Refused(store.problem(reason, doing, &what));
    let status = response.status;
    let roots = bucket.map_or(BUCKETS, |_| LOCATION);
    let read = xml::read(&response.body);
    let (code, region) = match read {
        Some(Document::Other(found)) if status.is_success() && roots.contains(&found) => {
            return Verdict::Accepted;
        }
        None if bucket.is_some() && is_empty_location(response) => return Verdict::Accepted,
        Some(Document::Error { code, region }) if !status.is_success() => (code, region),
        _ => return refused(not_s3(status, roots[0])),
    };
    let ahead = clock::seconds_ahead(&response.headers, SystemTime::now());
    match code {
        "NoSuchBucket" if bucket.is_some() => Verdict::NoBucket,
        "AccessDenied" if ahead.is_none_or(|ahead| ahead.unsigned_abs() + 5 < LIFETIME) => Verdict::Denied,
        // A signature that is too old, or not valid yet, may be denied with the same code.
        "AccessDenied" | "RequestTimeTooSkewed" | "RequestExpired" => refused(clock_error(code, ahead)),
        _ => {
            let header = response
                .headers
                .get(REGION_HEADER)
                .and_then(|region| region.to_str().ok());
            let region = region.or_else(|| header.and_then(xml::word));
            refused(store_error(status, code, region, &store.region))
        }
    }
}

/// A location without a body. Any web server may send an empty response, but only S3 sends a request id.
fn is_empty_location(response: &ApiResponse) -> bool {
    response.status == StatusCode::OK
        && response.body.iter().all(u8::is_ascii_whitespace)
        && response.headers.contains_key(REQUEST_ID_HEADER)
}

fn not_s3(status: StatusCode, root: &str) -> (Reason, String) {
    match status {
        StatusCode::SERVICE_UNAVAILABLE => {
            let what = "the store responded with 503 and no S3 error: it is not ready, or a server behind a proxy is not";
            (Reason::State, what.to_owned())
        }
        status if status.is_server_error() => (
            Reason::Status,
            format!("the store responded with {status} and no S3 error"),
        ),
        status if status.is_success() => (
            Reason::Protocol,
            format!(
                "the store responded with {status} but without {root}: is this the S3 port, not the console's?"
            ),
        ),
        status => (
            Reason::Protocol,
            format!(
                "the store responded with {status} but not as S3 does: is this the S3 port, not the console's?"
            ),
        ),
    }
}

fn clock_error(code: &str, ahead: Option<i64>) -> (Reason, String) {
    let difference = match ahead {
        Some(ahead) if ahead < 0 => format!("its clock is {} s behind this machine's", ahead.unsigned_abs()),
        Some(ahead) => format!("its clock is {ahead} s ahead of this machine's"),
        None => "its clock differs from this machine's".to_owned(),
    };
    let what = format!(
        "the store refuses the time of the request ({code}), {difference}: synchronize both clocks (NTP)"
    );
    (Reason::Auth, what)
}

fn store_error(status: StatusCode, code: &str, region: Option<&str>, ours: &str) -> (Reason, String) {
    match code {
        "InvalidAccessKeyId" | "NotSignedUp" => (
            Reason::Auth,
            format!("the store does not know the access key ({code}): correct access_key"),
        ),
        "SignatureDoesNotMatch" => (
            Reason::Auth,
            format!(
                "the secret key does not match the access key ({code}): correct secret_key, or make the proxy forward the Host header"
            ),
        ),
        "ExpiredToken" | "InvalidToken" | "InvalidTokenId" | "TokenRefreshRequired" => (
            Reason::Auth,
            format!("the store rejects the session token ({code}): renew session_token and its keys"),
        ),
        "AuthorizationHeaderMalformed"
        | "AuthorizationQueryParametersError"
        | "PermanentRedirect"
        | "TemporaryRedirect"
        | "IllegalLocationConstraintException" => (Reason::Assertion, wrong_region(code, region, ours)),
        "XMinioServerNotInitialized" => (
            Reason::State,
            format!("the store is still starting, or waits for its drives and peers ({code})"),
        ),
        "SlowDown" | "SlowDownRead" | "SlowDownWrite" => (
            Reason::State,
            format!("the store is overloaded, or has too few drives ({code})"),
        ),
        _ if status == StatusCode::SERVICE_UNAVAILABLE || code.starts_with("XMinio") => (
            Reason::State,
            format!("the store is unavailable: {status}, {code}"),
        ),
        _ if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => (
            Reason::Auth,
            format!("the store rejects the keys: {status}, {code}"),
        ),
        _ => (
            Reason::Status,
            format!("the store responded with {status}, {code}"),
        ),
    }
}

fn wrong_region(code: &str, region: Option<&str>, ours: &str) -> String {
    match region {
        Some(theirs) if theirs != ours => {
            format!("the store is in the region {theirs}, not in {ours} ({code}): set region: {theirs}")
        }
        _ => format!("the region {ours} or the endpoint is wrong ({code}): correct region or endpoint"),
    }
}
