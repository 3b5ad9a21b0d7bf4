//! The health checking protocol (grpc.health.v1) as HTTP/2 carries it: the messages, their framing, and what an answer means.
//! Sources: gRPC's PROTOCOL-HTTP2.md, health-checking.md and http-grpc-status-mapping.md. Where these leave the status code of a
//! broken answer open, it is that of gRPC's client for Go, which blackbox_exporter uses.

use std::fmt::Display;

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::response::Parts;
use http::{HeaderMap, StatusCode};
use percent_encoding::percent_decode;
use prost::Message;

use crate::model::{Problem, Reason};

/// What answers of gRPC have as their content type, or begin it with.
const GRPC_TYPE: &str = "application/grpc";
/// The most bytes of an answer: a response holds one number.
pub const MAX_BODY_BYTES: usize = 4 << 10;
/// What stands before a message: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;

/// The names of the status codes, in the order of their numbers.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];
/// The status code of a call about which nothing better is known.
const UNKNOWN: u32 = 2;
/// The status code of a call whose answer is too large.
pub const RESOURCE_EXHAUSTED: u32 = 8;
/// The status code of a call whose answer needs what this client does not have.
const UNIMPLEMENTED: u32 = 12;
/// The status code of a call whose answer breaks the protocol.
pub const INTERNAL: u32 = 13;
/// The status code of a call whose deadline passed.
pub const DEADLINE_EXCEEDED: u32 = 4;
/// The status code of a call without an answer.
pub const UNAVAILABLE: u32 = 14;

/// What a server may say of a service, in the order of their numbers.
pub const SERVING_STATUSES: [&str; 4] = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];

/// Asks about a service.
#[derive(Clone, PartialEq, Message)]
struct HealthCheckRequest {
    /// Its name; empty for the server as a whole.
    #[prost(string, tag = "1")]
    service: String,
}

/// The answer.
#[derive(Clone, PartialEq, Message)]
struct HealthCheckResponse {
    /// A number of [`SERVING_STATUSES`], or of a later version.
    #[prost(int32, tag = "1")]
    status: i32,
}

/// The request's body.
pub fn request(service: &str) -> Bytes {
    let message = HealthCheckRequest {
        service: service.to_owned(),
    };
    let mut body = BytesMut::new();
    body.put_u8(0);
    // The configuration bounds the name.
    body.put_u32(u32::try_from(message.encoded_len()).unwrap_or(u32::MAX));
    body.put_slice(&message.encode_to_vec());
    body.freeze()
}

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The status code that a client gives it.
    pub code: u32,
    /// What went wrong.
    pub problem: Problem,
}

impl Failure {
    /// An answer that is none of gRPC, or a broken one.
    fn broken(code: u32, what: impl Display) -> Self {
        Self {
            code,
            problem: Problem::new(Reason::Protocol, what),
        }
    }
}

/// The serving status in an answer.
///
/// # Errors
/// Why there is none.
pub fn outcome(
    head: &Parts,
    body: &[u8],
    trailers: Option<&HeaderMap>,
    service: &str,
) -> Result<i32, Failure> {
    is_of_grpc(head, service)?;
    let message = match body {
        [] => None,
        body => Some(message(body, &head.headers)?),
    };
    // Without a body, the head may be the trailers as well.
    let last = trailers.or(body.is_empty().then_some(&head.headers));
    let Some(last) = last else {
        return Err(Failure::broken(INTERNAL, "its answer ends without a gRPC status"));
    };
    let status = Status::read(last)?;
    if let Err(problem) = status.judge(service) {
        let code = status.code;
        return Err(Failure { code, problem });
    }
    match message {
        Some(message) => response(message).map_err(|what| Failure::broken(INTERNAL, what)),
        None => Err(Failure::broken(
            UNKNOWN,
            "it says OK, but its answer has no message",
        )),
    }
}

/// Whether a gRPC server answers, and not something before it.
fn is_of_grpc(head: &Parts, service: &str) -> Result<(), Failure> {
    let http = head.status;
    if http != StatusCode::OK {
        let code = match http.as_u16() {
            400 => INTERNAL,
            401 => 16,
            403 => 7,
            404 => UNIMPLEMENTED,
            429 | 502 | 503 | 504 => UNAVAILABLE,
            _ => UNKNOWN,
        };
        let message = format!("HTTP status {http}");
        let problem = match (Status { code, message }).judge(service) {
            Err(problem) => problem,
            Ok(()) => Problem::new(Reason::Status, format_args!("HTTP status {http}")),
        };
        return Err(Failure { code, problem });
    }
    let types = head.headers.get_all(CONTENT_TYPE);
    let is_grpc = |value: &HeaderValue| {
        let text = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
        text.strip_prefix(GRPC_TYPE)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['+', ';']))
    };
    if types.iter().any(is_grpc) {
        return Ok(());
    }
    let what = match types.iter().next() {
        Some(value) => format!(
            "it answers by HTTP/2, but not by gRPC: the content type is {:?}",
            String::from_utf8_lossy(value.as_bytes())
        ),
        None => "it answers by HTTP/2, but not by gRPC: there is no content type".to_owned(),
    };
    Err(Failure::broken(UNKNOWN, what))
}

/// What came of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Status {
    /// The status code.
    code: u32,
    /// What the server says about it.
    message: String,
}

impl Status {
    /// The status in trailers, or in the head that stands for them. Of several the last one counts.
    fn read(trailers: &HeaderMap) -> Result<Self, Failure> {
        let mut code = None;
        for value in trailers.get_all("grpc-status") {
            let number = value.to_str().ok().and_then(|text| text.parse::<i32>().ok());
            let Some(number) = number else {
                let what = format_args!("its gRPC status is {value:?}, which is no number");
                return Err(Failure::broken(INTERNAL, what));
            };
            // As Go does it with negative ones.
            code = Some(number.cast_unsigned());
        }
        let message = trailers.get_all("grpc-message").iter().next_back();
        let message = message.map(|message| {
            let message = percent_decode(message.as_bytes()).decode_utf8_lossy();
            message.into_owned()
        });
        match code {
            Some(code) => Ok(Self {
                code,
                message: message.unwrap_or_default(),
            }),
            None => Err(Failure::broken(UNKNOWN, "it answers without a gRPC status")),
        }
    }

    /// Whether the call succeeded, so that there is an answer.
    ///
    /// # Errors
    /// What the code means.
    fn judge(&self, service: &str) -> Result<(), Problem> {
        let name = usize::try_from(self.code).ok().and_then(|code| CODES.get(code));
        let name = name.map_or_else(|| format!("status {}", self.code), |name| (*name).to_owned());
        let (reason, advice) = match self.code {
            0 => return Ok(()),
            5 => (
                Reason::Missing,
                format!(" (the server knows no service \"{service}\")"),
            ),
            7 | 16 => (Reason::Auth, String::new()),
            12 => (
                Reason::Protocol,
                " (the server has no health service, grpc.health.v1.Health)".to_owned(),
            ),
            _ => (Reason::Status, String::new()),
        };
        let message = match self.message.is_empty() {
            true => String::new(),
            false => format!(": {}", self.message),
        };
        Err(Problem::new(reason, format_args!("{name}{message}{advice}")))
    }
}

/// The one message in a body.
fn message<'b>(body: &'b [u8], head: &HeaderMap) -> Result<&'b [u8], Failure> {
    let (message, rest) = framed(body, head)?;
    if rest.is_empty() {
        return Ok(message);
    }
    framed(rest, head)?;
    Err(Failure::broken(UNKNOWN, "its answer has more than one message"))
}

/// A message, and what comes after it.
fn framed<'b>(body: &'b [u8], head: &HeaderMap) -> Result<(&'b [u8], &'b [u8]), Failure> {
    let Some((prefix, rest)) = body.split_first_chunk::<PREFIX_BYTES>() else {
        let what = format_args!("its answer ends with {} bytes, which are no message", body.len());
        return Err(Failure::broken(INTERNAL, what));
    };
    let [flag, length @ ..] = *prefix;
    let length = u32::from_be_bytes(length);
    let split = usize::try_from(length)
        .ok()
        .and_then(|length| rest.split_at_checked(length));
    let Some(split) = split else {
        let what = format_args!(
            "its answer says that it has {length} bytes, and has {}",
            rest.len()
        );
        return Err(Failure::broken(INTERNAL, what));
    };
    let encoding = head
        .get("grpc-encoding")
        .map_or(&b"identity"[..], HeaderValue::as_bytes);
    match (flag, encoding) {
        (0, _) => Ok(split),
        (1, b"identity" | b"") => Err(Failure::broken(
            INTERNAL,
            "its answer is compressed, and does not say how",
        )),
        (1, _) => Err(Failure::broken(
            UNIMPLEMENTED,
            "its answer is compressed, which was not offered",
        )),
        (flag, _) => {
            let what = format_args!("its answer has the unknown flag {flag} before its message");
            Err(Failure::broken(INTERNAL, what))
        }
    }
}

/// The number in a message.
fn response(message: &[u8]) -> Result<i32, String> {
    match HealthCheckResponse::decode(message) {
        Ok(response) => Ok(response.status),
        Err(error) => Err(format!("its answer is no HealthCheckResponse: {error}")),
    }
}

/// The number in the body of an answer that is fine but for that. For tests with arbitrary input.
///
/// # Errors
/// Why it is no response of the protocol.
pub fn fuzz_parse(body: &[u8]) -> Result<i32, String> {
    let message = message(body, &HeaderMap::new()).map_err(|failure| failure.problem.to_string())?;
    response(message)
}

/// What the number means.
///
/// # Errors
/// Where it is not SERVING.
pub fn judge(status: i32, service: &str) -> Result<(), Problem> {
    let name = usize::try_from(status)
        .ok()
        .and_then(|status| SERVING_STATUSES.get(status));
    let what = match service {
        "" => "the server".to_owned(),
        service => format!("the service \"{service}\""),
    };
    let reason = match status {
        1 => return Ok(()),
        0 | 2 => Reason::State,
        3 => Reason::Missing,
        _ => Reason::Protocol,
    };
    Err(match name {
        Some(name) => Problem::new(reason, format_args!("{what} is {name}")),
        None => Problem::new(
            reason,
            format_args!("{what} has the unknown serving status {status}"),
        ),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn head(status: u16, headers: &[(&'static str, &'static str)]) -> Parts {
        let mut response = http::Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        response.body(()).unwrap().into_parts().0
    }

    const OK: (&str, &str) = ("content-type", "application/grpc");
    const SERVING: &[u8] = b"\0\0\0\0\x02\x08\x01";

    fn trailers(status: &[&'static str]) -> HeaderMap {
        let mut trailers = HeaderMap::new();
        for status in status {
            trailers.append("grpc-status", HeaderValue::from_static(status));
        }
        trailers
    }

    /// The status code and the text of a failure.
    fn failed(outcome: Result<i32, Failure>) -> (u32, String) {
        let Failure { code, problem } = outcome.unwrap_err();
        (code, problem.to_string())
    }

    #[test]
    fn messages_are_framed() {
        assert_eq!(&request("")[..], [0; 5]);
        assert_eq!(&request("a.B")[..], b"\0\0\0\0\x05\x0a\x03a.B");
        assert_eq!(fuzz_parse(b"\0\0\0\0\x02\x08\x02"), Ok(2));
        // A field with its default is left out; fields of later versions are passed over.
        assert_eq!(fuzz_parse(b"\0\0\0\0\0"), Ok(0));
        assert_eq!(fuzz_parse(b"\0\0\0\0\x05\x08\x01\x12\x01a"), Ok(1));
        let error = fuzz_parse(b"\0\0\0\0\x01\x08").unwrap_err();
        assert!(
            error.starts_with("its answer is no HealthCheckResponse: "),
            "{error}"
        );
        let answered = |body: &[u8], encoding: &'static [(&str, &str)]| {
            let head = head(200, &[&[OK], encoding].concat());
            failed(outcome(&head, body, Some(&trailers(&["0"])), ""))
        };
        let gzip: &[(&str, &str)] = &[("grpc-encoding", "gzip")];
        for (body, encoding, code, wrong) in [
            (
                &b"\0\0"[..],
                &[][..],
                13,
                "ends with 2 bytes, which are no message",
            ),
            (b"\x01\0\0\0\0", &[], 13, "is compressed, and does not say how"),
            (b"\x01\0\0\0\0", gzip, 12, "is compressed, which was not offered"),
            (
                b"\x02\0\0\0\0",
                gzip,
                13,
                "has the unknown flag 2 before its message",
            ),
            (
                b"\0\0\0\0\x03\x08\x01",
                &[],
                13,
                "says that it has 3 bytes, and has 2",
            ),
            (
                b"\0\xff\xff\xff\xff\x08",
                &[],
                13,
                "says that it has 4294967295 bytes, and has 1",
            ),
            (
                b"\0\0\0\0\0\0",
                &[],
                13,
                "ends with 1 bytes, which are no message",
            ),
            (b"\0\0\0\0\0\0\0\0\0\0", &[], 2, "has more than one message"),
        ] {
            let expected = (code, format!("protocol: its answer {wrong}"));
            assert_eq!(answered(body, encoding), expected);
        }
    }

    #[test]
    fn a_status_is_in_the_trailers_or_in_a_head_without_a_body() {
        let fine = head(200, &[OK]);
        let told = |status: &[&'static str]| outcome(&fine, SERVING, Some(&trailers(status)), "");
        assert_eq!(told(&["0"]), Ok(1));
        assert_eq!(told(&["14", "0"]), Ok(1));
        assert_eq!(failed(told(&["0", "14"])), (14, "status: UNAVAILABLE".to_owned()));
        assert_eq!(failed(told(&[])).0, 2);
        assert_eq!(failed(told(&["x"])).0, 13);
        assert_eq!(failed(told(&["-1"])).0, u32::MAX);
        let mut message = trailers(&["5"]);
        message.insert("grpc-message", "no%20such%3A é".parse().unwrap());
        let (code, text) = failed(outcome(&fine, b"", Some(&message), "a"));
        assert_eq!(code, 5);
        assert!(text.starts_with("missing: NOT_FOUND: no such: é"), "{text}");
        let alone = |status: &'static str, body: &[u8]| {
            failed(outcome(
                &head(200, &[OK, ("grpc-status", status)]),
                body,
                None,
                "",
            ))
        };
        assert_eq!(alone("7", b"").0, 7);
        assert_eq!(
            alone("0", b""),
            (
                2,
                "protocol: it says OK, but its answer has no message".to_owned()
            )
        );
        assert_eq!(alone("0", SERVING).0, 13);
    }

    #[test]
    fn what_is_not_of_grpc_has_no_status_that_counts() {
        let answered = |status: u16, kind: &'static str| {
            let headers = [("content-type", kind), ("grpc-status", "0")];
            outcome(&head(status, &headers), SERVING, Some(&trailers(&["0"])), "")
        };
        for kind in [
            "application/grpc",
            "application/grpc+proto",
            "Application/GRPC;a=b",
        ] {
            assert_eq!(answered(200, kind), Ok(1), "{kind}");
        }
        for kind in ["text/html", "application/grpc-web", "application/json", ""] {
            assert_eq!(failed(answered(200, kind)).0, 2, "{kind}");
        }
        let (code, text) = failed(outcome(&head(200, &[]), SERVING, Some(&trailers(&["0"])), ""));
        assert_eq!(code, 2);
        assert!(text.ends_with("there is no content type"), "{text}");
        for (http, code) in [
            (400, 13),
            (401, 16),
            (403, 7),
            (404, 12),
            (429, 14),
            (503, 14),
            (500, 2),
            (201, 2),
        ] {
            assert_eq!(failed(answered(http, "application/grpc")).0, code, "{http}");
        }
        assert_eq!(
            failed(answered(503, "text/html")).1,
            "status: UNAVAILABLE: HTTP status 503 Service Unavailable"
        );
    }

    #[test]
    fn codes_and_statuses_have_reasons() {
        let judged = |code, message: &str| {
            let message = message.to_owned();
            Status { code, message }.judge("a").unwrap_err().to_string()
        };
        assert_eq!(Status::default().judge("a"), Ok(()));
        assert_eq!(
            judged(5, "unknown service"),
            "missing: NOT_FOUND: unknown service (the server knows no service \"a\")"
        );
        assert_eq!(
            judged(12, ""),
            "protocol: UNIMPLEMENTED (the server has no health service, grpc.health.v1.Health)"
        );
        assert_eq!(judged(16, "no token"), "auth: UNAUTHENTICATED: no token");
        assert_eq!(judged(7, ""), "auth: PERMISSION_DENIED");
        assert_eq!(
            judged(14, "HTTP status 503 Service Unavailable"),
            "status: UNAVAILABLE: HTTP status 503 Service Unavailable"
        );
        assert_eq!(judged(99, ""), "status: status 99");
        let judged = |status, service| judge(status, service).unwrap_err().to_string();
        assert_eq!(judge(1, ""), Ok(()));
        assert_eq!(judged(0, ""), "state: the server is UNKNOWN");
        assert_eq!(judged(2, "a"), "state: the service \"a\" is NOT_SERVING");
        assert_eq!(judged(3, "a"), "missing: the service \"a\" is SERVICE_UNKNOWN");
        assert_eq!(
            judged(-1, "a"),
            "protocol: the service \"a\" has the unknown serving status -1"
        );
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(body in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = fuzz_parse(&body).map(|status| judge(status, ""));
        }
    }
}
