//! The health checking protocol (grpc.health.v1) as HTTP/2 carries it: the messages, their framing, and what an answer means.
//! Sources: gRPC's PROTOCOL-HTTP2.md, health-checking.md and http-grpc-status-mapping.md.

use bytes::{BufMut, Bytes, BytesMut};
use http::HeaderMap;
use http::response::Parts;
use percent_encoding::percent_decode;
use prost::Message;

use crate::model::{Problem, Reason};

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

/// What came of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The status code.
    pub code: u32,
    /// What the server says about it.
    pub message: String,
}

impl Status {
    /// The status in the trailers; in the head where there is no body, or where something before the gRPC server answered.
    ///
    /// # Errors
    /// Where the answer is none of gRPC.
    pub fn read(head: &Parts, trailers: Option<&HeaderMap>) -> Result<Self, String> {
        let of = |headers: &HeaderMap| {
            let code = headers.get("grpc-status")?.to_str().ok()?.parse().ok()?;
            let message = headers.get("grpc-message").map(|message| {
                let message = percent_decode(message.as_bytes()).decode_utf8_lossy();
                message.into_owned()
            });
            Some(Self {
                code,
                message: message.unwrap_or_default(),
            })
        };
        if let Some(status) = trailers.and_then(of).or_else(|| of(&head.headers)) {
            return Ok(status);
        }
        let code = match head.status.as_u16() {
            200 => return Err("it answers by HTTP/2, but without a gRPC status".to_owned()),
            400 => 13,
            401 => 16,
            403 => 7,
            404 => 12,
            429 | 502 | 503 | 504 => 14,
            _ => 2,
        };
        Ok(Self {
            code,
            message: format!("HTTP status {}", head.status),
        })
    }

    /// Whether the call succeeded, so that there is an answer.
    ///
    /// # Errors
    /// What the code means.
    pub fn judge(&self, service: &str) -> Result<(), Problem> {
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

/// The number in the response's body.
///
/// # Errors
/// Why it is no response of the protocol.
pub fn response(body: &[u8]) -> Result<i32, String> {
    let Some((prefix, message)) = body.split_at_checked(PREFIX_BYTES) else {
        return Err(format!(
            "its answer has {} bytes, which is no message",
            body.len()
        ));
    };
    if prefix[0] != 0 {
        return Err("its answer is compressed, which was not offered".to_owned());
    }
    let length = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]);
    if usize::try_from(length) != Ok(message.len()) {
        return Err(format!(
            "its answer says that it has {length} bytes, and has {}",
            message.len()
        ));
    }
    match HealthCheckResponse::decode(message) {
        Ok(response) => Ok(response.status),
        Err(error) => Err(format!("its answer is no HealthCheckResponse: {error}")),
    }
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

    fn read(status: u16, headers: &[(&'static str, &'static str)]) -> Result<Status, String> {
        Status::read(&head(status, headers), None)
    }

    #[test]
    fn messages_are_framed() {
        assert_eq!(&request("")[..], [0; 5]);
        assert_eq!(&request("a.B")[..], b"\0\0\0\0\x05\x0a\x03a.B");
        assert_eq!(response(b"\0\0\0\0\x02\x08\x02"), Ok(2));
        // A field with its default is left out; fields of later versions are passed over.
        assert_eq!(response(b"\0\0\0\0\0"), Ok(0));
        assert_eq!(response(b"\0\0\0\0\x05\x08\x01\x12\x01a"), Ok(1));
        for (body, wrong) in [
            (&b"\0\0"[..], "its answer has 2 bytes, which is no message"),
            (b"\x01\0\0\0\0", "its answer is compressed, which was not offered"),
            (
                b"\0\0\0\0\x03\x08\x01",
                "its answer says that it has 3 bytes, and has 2",
            ),
            (
                b"\0\xff\xff\xff\xff\x08",
                "its answer says that it has 4294967295 bytes, and has 1",
            ),
        ] {
            assert_eq!(response(body).unwrap_err(), wrong);
        }
        let error = response(b"\0\0\0\0\x01\x08").unwrap_err();
        assert!(
            error.starts_with("its answer is no HealthCheckResponse: "),
            "{error}"
        );
    }

    #[test]
    fn a_status_is_in_the_trailers_in_the_head_or_made_of_the_one_of_http() {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", "5".parse().unwrap());
        trailers.insert("grpc-message", "no%20such%3A é".parse().unwrap());
        let status = Status::read(&head(200, &[]), Some(&trailers)).unwrap();
        assert_eq!((status.code, status.message.as_str()), (5, "no such: é"));
        assert_eq!(read(200, &[("grpc-status", "0")]).unwrap(), Status::default());
        for (http, code) in [(400, 13), (401, 16), (403, 7), (404, 12), (503, 14), (500, 2)] {
            assert_eq!(read(http, &[]).unwrap().code, code, "{http}");
        }
        assert_eq!(
            read(200, &[("grpc-status", "x")]).unwrap_err(),
            "it answers by HTTP/2, but without a gRPC status"
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
            let _ = response(&body).map(|status| judge(status, ""));
        }
    }
}
