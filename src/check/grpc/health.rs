//! The health checking protocol (grpc.health.v1): evaluates the response to a call. Source: gRPC's health-checking.md. If the
//! specifications do not define the status code of a malformed response, it is that of gRPC's Go client, which
//! blackbox_exporter uses.

use http::HeaderMap;
use http::response::Parts;

use super::message;
use super::status::{Failure, INTERNAL, Status, UNKNOWN, check_head};
use crate::model::{Problem, Reason};

/// How many bytes a response may have. It contains one number.
pub const MAX_BODY_BYTES: usize = 4 << 10;
/// The serving statuses of a service, in the order of their numbers.
pub const SERVING_STATUSES: [&str; 4] = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];

/// Returns the serving status in a response.
///
/// # Errors
/// Why the call failed.
pub fn evaluate(
    head: &Parts,
    body: &[u8],
    trailers: Option<&HeaderMap>,
    service: &str,
) -> Result<i32, Failure> {
    check_head(head, service)?;
    let content = match body {
        [] => None,
        body => Some(message::unframe(body, &head.headers)?),
    };
    // A response without a body may have its trailers in the head ("Trailers-Only").
    let trailers = trailers.or(body.is_empty().then_some(&head.headers));
    let Some(trailers) = trailers else {
        return Err(Failure::protocol(
            INTERNAL,
            "the response ends without a gRPC status",
        ));
    };
    let status = Status::parse(trailers)?;
    if let Err(problem) = status.judge(service) {
        let code = status.code;
        return Err(Failure { code, problem });
    }
    match content {
        Some(content) => message::decode(content).map_err(|what| Failure::protocol(INTERNAL, what)),
        None => Err(Failure::protocol(
            UNKNOWN,
            "the status is OK, but the response has no message",
        )),
    }
}

/// Judges a serving status.
///
/// # Errors
/// If it is not SERVING.
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
    use http::header::HeaderValue;
    use proptest::prelude::*;

    use super::message::{fuzz_parse, request};
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
    fn failed(result: Result<i32, Failure>) -> (u32, String) {
        let Failure { code, problem } = result.unwrap_err();
        (code, problem.to_string())
    }

    #[test]
    fn messages_are_framed() {
        assert_eq!(&request("")[..], [0; 5]);
        assert_eq!(&request("a.B")[..], b"\0\0\0\0\x05\x0a\x03a.B");
        assert_eq!(fuzz_parse(b"\0\0\0\0\x02\x08\x02"), Ok(2));
        // A field with its default value is omitted. Unknown fields are ignored.
        assert_eq!(fuzz_parse(b"\0\0\0\0\0"), Ok(0));
        assert_eq!(fuzz_parse(b"\0\0\0\0\x05\x08\x01\x12\x01a"), Ok(1));
        let error = fuzz_parse(b"\0\0\0\0\x01\x08").unwrap_err();
        assert!(
            error.starts_with("the response is not a HealthCheckResponse: "),
            "{error}"
        );
        let answered = |body: &[u8], encoding: &'static [(&str, &str)]| {
            let head = head(200, &[&[OK], encoding].concat());
            failed(evaluate(&head, body, Some(&trailers(&["0"])), ""))
        };
        let gzip: &[(&str, &str)] = &[("grpc-encoding", "gzip")];
        for (body, encoding, code, wrong) in [
            (
                &b"\0\0"[..],
                &[][..],
                13,
                "ends with 2 bytes, which are not a message",
            ),
            (
                b"\x01\0\0\0\0",
                &[],
                13,
                "is compressed, but does not name the compression",
            ),
            (
                b"\x01\0\0\0\0",
                gzip,
                12,
                "is compressed, although compression was not offered",
            ),
            (
                b"\x02\0\0\0\0",
                gzip,
                13,
                "has the unknown flag 2 before the message",
            ),
            (b"\0\0\0\0\x03\x08\x01", &[], 13, "announces 3 bytes, but has 2"),
            (
                b"\0\xff\xff\xff\xff\x08",
                &[],
                13,
                "announces 4294967295 bytes, but has 1",
            ),
            (
                b"\0\0\0\0\0\0",
                &[],
                13,
                "ends with 1 bytes, which are not a message",
            ),
            (b"\0\0\0\0\0\0\0\0\0\0", &[], 2, "has more than one message"),
        ] {
            let expected = (code, format!("protocol: the response {wrong}"));
            assert_eq!(answered(body, encoding), expected);
        }
    }

    #[test]
    fn the_status_is_in_the_trailers_or_in_the_head_without_a_body() {
        let fine = head(200, &[OK]);
        let with = |status: &[&'static str]| evaluate(&fine, SERVING, Some(&trailers(status)), "");
        assert_eq!(with(&["0"]), Ok(1));
        assert_eq!(with(&["14", "0"]), Ok(1));
        assert_eq!(failed(with(&["0", "14"])), (14, "status: UNAVAILABLE".to_owned()));
        assert_eq!(failed(with(&[])).0, 2);
        assert_eq!(failed(with(&["x"])).0, 13);
        assert_eq!(failed(with(&["-1"])).0, u32::MAX);
        let mut message = trailers(&["5"]);
        message.insert("grpc-message", "no%20such%3A é".parse().unwrap());
        let (code, text) = failed(evaluate(&fine, b"", Some(&message), "a"));
        assert_eq!(code, 5);
        assert!(text.starts_with("missing: NOT_FOUND: no such: é"), "{text}");
        let alone = |status: &'static str, body: &[u8]| {
            failed(evaluate(
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
                "protocol: the status is OK, but the response has no message".to_owned()
            )
        );
        assert_eq!(alone("0", SERVING).0, 13);
    }

    #[test]
    fn the_grpc_status_of_other_responses_is_ignored() {
        let answered = |status: u16, kind: &'static str| {
            let headers = [("content-type", kind), ("grpc-status", "0")];
            evaluate(&head(status, &headers), SERVING, Some(&trailers(&["0"])), "")
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
        let (code, text) = failed(evaluate(&head(200, &[]), SERVING, Some(&trailers(&["0"])), ""));
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
            "missing: NOT_FOUND: unknown service (the server does not know the service \"a\")"
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
        fn no_body_causes_a_panic(body in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = fuzz_parse(&body).map(|status| judge(status, ""));
        }
    }
}
