//! What the answer to a signed request means. The codes are those of S3's list of error responses, and `MinIO`'s own, which
//! begin with `XMinio`.

use std::time::SystemTime;

use http::StatusCode;

use super::clock;
use super::request::{LIFETIME, Store};
use super::xml::{self, Document};
use crate::model::{Problem, Reason};
use crate::net::api_client::Answer;

/// The header in which S3 names the region of a bucket.
const REGION_HEADER: &str = "x-amz-bucket-region";

/// The header that S3 and its kin put on every response.
const REQUEST_ID_HEADER: &str = "x-amz-request-id";

/// The outermost element of a list of buckets.
const BUCKETS: &[&str] = &["ListAllMyBucketsResult"];

/// The outermost element of a bucket's location. S3's own is the first; `SeaweedFS` wraps it. An empty location, or none in
/// it, is us-east-1 (S3's GetBucketLocation), so what is in it does not matter.
const LOCATION: &[&str] = &["LocationConstraint", "CreateBucketConfiguration"];

/// What the store thinks of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It did as asked.
    Accepted,
    /// It knows the keys, but has no such bucket.
    NoBucket,
    /// The keys may not do this.
    Denied,
    /// Anything else.
    Refused(Problem),
}

/// Judges the answer to a request for a bucket, or for all of them.
pub fn judge(answer: &Answer, store: &Store, bucket: Option<&str>, doing: &str) -> Verdict {
    let refused = |(reason, what): (Reason, String)| Verdict::Refused(store.problem(reason, doing, &what));
    let status = answer.status;
    let roots = bucket.map_or(BUCKETS, |_| LOCATION);
    let read = xml::read(&answer.body);
    let (code, region) = match read {
        Some(Document::Other(found)) if status.is_success() && roots.contains(&found) => {
            return Verdict::Accepted;
        }
        None if bucket.is_some() && is_empty_location(answer) => return Verdict::Accepted,
        Some(Document::Error { code, region }) if !status.is_success() => (code, region),
        _ => return refused(no_s3(status, roots[0])),
    };
    let ahead = clock::ahead(&answer.headers, SystemTime::now());
    match code {
        "NoSuchBucket" if bucket.is_some() => Verdict::NoBucket,
        "AccessDenied" if ahead.is_none_or(|ahead| ahead.unsigned_abs() + 5 < LIFETIME) => Verdict::Denied,
        // A signature in the query that is too old, or not valid yet, is denied like anything else.
        "AccessDenied" | "RequestTimeTooSkewed" | "RequestExpired" => refused(clocks(code, ahead)),
        _ => {
            let header = answer
                .headers
                .get(REGION_HEADER)
                .and_then(|region| region.to_str().ok());
            let region = region.or_else(|| header.and_then(xml::word));
            refused(error(status, code, region, &store.region))
        }
    }
}

/// A location without a document. Any web server may respond with nothing, but only S3 names the request.
fn is_empty_location(answer: &Answer) -> bool {
    answer.status == StatusCode::OK
        && answer.body.iter().all(u8::is_ascii_whitespace)
        && answer.headers.contains_key(REQUEST_ID_HEADER)
}

fn no_s3(status: StatusCode, root: &str) -> (Reason, String) {
    match status {
        StatusCode::SERVICE_UNAVAILABLE => {
            let what = "it answered 503 without a reason: it, or what stands behind a proxy, is not ready";
            (Reason::State, what.to_owned())
        }
        status if status.is_server_error() => (
            Reason::Status,
            format!("it answered {status} without a reason that S3 knows"),
        ),
        status if status.is_success() => (
            Reason::Protocol,
            format!(
                "it answered {status}, but without {root}: is this the S3 interface, not the console's port?"
            ),
        ),
        status => (
            Reason::Protocol,
            format!(
                "it answered {status}, but not as S3 does: is this the S3 interface, not the console's port?"
            ),
        ),
    }
}

fn clocks(code: &str, ahead: Option<i64>) -> (Reason, String) {
    let difference = match ahead {
        Some(ahead) if ahead < 0 => format!("its clock is {} s behind this machine's", ahead.unsigned_abs()),
        Some(ahead) => format!("its clock is {ahead} s ahead of this machine's"),
        None => "its clock differs from this machine's".to_owned(),
    };
    let what =
        format!("it refuses the time of the request ({code}), {difference}: set both clocks right (NTP)");
    (Reason::Auth, what)
}

fn error(status: StatusCode, code: &str, region: Option<&str>, ours: &str) -> (Reason, String) {
    match code {
        "InvalidAccessKeyId" | "NotSignedUp" => (
            Reason::Auth,
            format!("it does not know the access key ({code}): correct access_key"),
        ),
        "SignatureDoesNotMatch" => (
            Reason::Auth,
            format!(
                "the secret key is not that of the access key ({code}): correct secret_key, and let a proxy pass the Host header on"
            ),
        ),
        "ExpiredToken" | "InvalidToken" | "InvalidTokenId" | "TokenRefreshRequired" => (
            Reason::Auth,
            format!("it does not take the session token ({code}): renew session_token and its keys"),
        ),
        "AuthorizationHeaderMalformed"
        | "AuthorizationQueryParametersError"
        | "PermanentRedirect"
        | "TemporaryRedirect"
        | "IllegalLocationConstraintException" => (Reason::Assertion, wrong_region(code, region, ours)),
        "XMinioServerNotInitialized" => (
            Reason::State,
            format!("it is still starting, or waits for its drives and peers ({code})"),
        ),
        "SlowDown" | "SlowDownRead" | "SlowDownWrite" => (
            Reason::State,
            format!("it has more requests than it can take, or too few drives ({code})"),
        ),
        _ if status == StatusCode::SERVICE_UNAVAILABLE || code.starts_with("XMinio") => {
            (Reason::State, format!("it can't answer now: {status}, {code}"))
        }
        _ if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => (
            Reason::Auth,
            format!("it does not accept the keys: {status}, {code}"),
        ),
        _ => (Reason::Status, format!("it answered {status}, {code}")),
    }
}

fn wrong_region(code: &str, region: Option<&str>, ours: &str) -> String {
    match region {
        Some(theirs) if theirs != ours => {
            format!("it is in the region {theirs}, not in {ours} ({code}): write region: {theirs}")
        }
        _ => format!("it is not in the region {ours}, or is elsewhere ({code}): correct region or endpoint"),
    }
}
