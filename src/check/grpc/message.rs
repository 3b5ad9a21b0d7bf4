//! The messages of the health checking protocol and their framing (gRPC's PROTOCOL-HTTP2.md, "Length-Prefixed-Message").

use bytes::{BufMut, Bytes, BytesMut};
use http::HeaderMap;
use http::header::HeaderValue;
use prost::Message;

use super::status::{Failure, INTERNAL, UNIMPLEMENTED, UNKNOWN};

/// The length of the prefix of a message: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;

/// Requests the status of a service.
#[derive(Clone, PartialEq, Message)]
struct HealthCheckRequest {
    /// The service's name; empty for the whole server.
    #[prost(string, tag = "1")]
    service: String,
}

/// The response.
#[derive(Clone, PartialEq, Message)]
struct HealthCheckResponse {
    /// The number of a serving status. Later versions can add numbers.
    #[prost(int32, tag = "1")]
    status: i32,
}

/// Builds the body of the request.
pub fn request(service: &str) -> Bytes {
    let message = HealthCheckRequest {
        service: service.to_owned(),
    };
    let mut body = BytesMut::new();
    body.put_u8(0);
    // The configuration limits the length of the name.
    body.put_u32(u32::try_from(message.encoded_len()).unwrap_or(u32::MAX));
    body.put_slice(&message.encode_to_vec());
    body.freeze()
}

/// Returns the one message in a body.
///
/// # Errors
/// If there is not exactly one valid message.
pub fn unframe<'b>(body: &'b [u8], head: &HeaderMap) -> Result<&'b [u8], Failure> {
    let (message, rest) = split_message(body, head)?;
    if rest.is_empty() {
        return Ok(message);
    }
    split_message(rest, head)?;
    Err(Failure::protocol(
        UNKNOWN,
        "the response has more than one message",
    ))
}

/// Splits a body into its first message and the rest.
fn split_message<'b>(body: &'b [u8], head: &HeaderMap) -> Result<(&'b [u8], &'b [u8]), Failure> {
    let Some((prefix, rest)) = body.split_first_chunk::<PREFIX_BYTES>() else {
        let what = format_args!(
            "the response ends with {} bytes, which are not a message",
            body.len()
        );
        return Err(Failure::protocol(INTERNAL, what));
    };
    let [flag, length @ ..] = *prefix;
    let length = u32::from_be_bytes(length);
    let split = usize::try_from(length)
        .ok()
        .and_then(|length| rest.split_at_checked(length));
    let Some(split) = split else {
        let what = format_args!("the response announces {length} bytes, but has {}", rest.len());
        return Err(Failure::protocol(INTERNAL, what));
    };
    let encoding = head
        .get("grpc-encoding")
        .map_or(&b"identity"[..], HeaderValue::as_bytes);
    match (flag, encoding) {
        (0, _) => Ok(split),
        (1, b"identity" | b"") => Err(Failure::protocol(
            INTERNAL,
            "the response is compressed, but does not name the compression",
        )),
        (1, _) => Err(Failure::protocol(
            UNIMPLEMENTED,
            "the response is compressed, although compression was not offered",
        )),
        (flag, _) => {
            let what = format_args!("the response has the unknown flag {flag} before the message");
            Err(Failure::protocol(INTERNAL, what))
        }
    }
}

/// Decodes the serving status in a message.
///
/// # Errors
/// If the message is malformed.
pub fn decode(message: &[u8]) -> Result<i32, String> {
    match HealthCheckResponse::decode(message) {
        Ok(response) => Ok(response.status),
        Err(error) => Err(format!("the response is not a HealthCheckResponse: {error}")),
    }
}

/// Decodes the serving status in a body. For tests with arbitrary input.
///
/// # Errors
/// If the body is malformed.
pub fn fuzz_parse(body: &[u8]) -> Result<i32, String> {
    let message = unframe(body, &HeaderMap::new()).map_err(|failure| failure.problem.to_string())?;
    decode(message)
}
