//! Status codes of calls, and the problems that they mean. Sources: gRPC's PROTOCOL-HTTP2.md and
//! http-grpc-status-mapping.md.

use std::fmt::Display;

use http::header::{CONTENT_TYPE, HeaderValue};
use http::response::Parts;
use http::{HeaderMap, StatusCode};
use percent_encoding::percent_decode;

use crate::model::{Problem, Reason};

/// The content type of gRPC responses, or its beginning.
const GRPC_TYPE: &str = "application/grpc";

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

/// The status code of other failures.
pub const UNKNOWN: u32 = 2;
/// The status code of a call whose response is too large.
pub const RESOURCE_EXHAUSTED: u32 = 8;
/// The status code of a call whose response uses an unsupported feature.
pub const UNIMPLEMENTED: u32 = 12;
/// The status code of a call whose response violates the protocol.
pub const INTERNAL: u32 = 13;
/// The status code of a call whose deadline passed.
pub const DEADLINE_EXCEEDED: u32 = 4;
/// The status code of a call without a response.
pub const UNAVAILABLE: u32 = 14;

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The status code that a client reports.
    pub code: u32,
    /// The problem of the run.
    pub problem: Problem,
}

impl Failure {
    /// The response is not gRPC, or malformed.
    pub fn protocol(code: u32, what: impl Display) -> Self {
        Self {
            code,
            problem: Problem::new(Reason::Protocol, what),
        }
    }
}

/// Checks that the response is from a gRPC server and not from a proxy in front of it.
///
/// # Errors
/// If the HTTP status or the content type is not that of gRPC.
pub fn check_head(head: &Parts, service: &str) -> Result<(), Failure> {
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
            "the server responds with HTTP/2, but not gRPC: the content type is {:?}",
            String::from_utf8_lossy(value.as_bytes())
        ),
        None => "the server responds with HTTP/2, but not gRPC: there is no content type".to_owned(),
    };
    Err(Failure::protocol(UNKNOWN, what))
}

/// The status of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The status code.
    pub code: u32,
    /// The server's message about it.
    pub message: String,
}

impl Status {
    /// Parses the status in trailers. The last one counts if there are several.
    ///
    /// # Errors
    /// If there is no valid status.
    pub fn parse(trailers: &HeaderMap) -> Result<Self, Failure> {
        let mut code = None;
        for value in trailers.get_all("grpc-status") {
            let number = value.to_str().ok().and_then(|text| text.parse::<i32>().ok());
            let Some(number) = number else {
                let what = format_args!("the gRPC status {value:?} is not a number");
                return Err(Failure::protocol(INTERNAL, what));
            };
            // Negative numbers are converted as in Go.
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
            None => Err(Failure::protocol(UNKNOWN, "the response has no gRPC status")),
        }
    }

    /// Judges the status code.
    ///
    /// # Errors
    /// If it is not OK.
    pub fn judge(&self, service: &str) -> Result<(), Problem> {
        let name = usize::try_from(self.code).ok().and_then(|code| CODES.get(code));
        let name = name.map_or_else(|| format!("status {}", self.code), |name| (*name).to_owned());
        let (reason, advice) = match self.code {
            0 => return Ok(()),
            5 => (
                Reason::Missing,
                format!(" (the server does not know the service \"{service}\")"),
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
