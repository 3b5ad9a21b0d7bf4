//! Reads the head of a response (RFC 9112, sections 4 and 5), and determines how long its body is (section 6.3).

use std::mem::MaybeUninit;

use bytes::{Buf, Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Version, response};
use httparse::ParserConfig;

use super::failure::Failure;
use crate::net::http::limits::{MAX_HEAD_BYTES, MAX_HEADERS};

/// The head of a response.
pub struct Head {
    pub head: response::Parts,
    pub framing: Framing,
}

/// How the end of a body is recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    Empty,
    /// The body has this many bytes.
    Length(u64),
    /// The body has chunks.
    Chunked,
    /// The body ends where the server closes the connection.
    UntilClose,
}

/// Reads the head of the response to one request.
pub struct HeadReader {
    method: Method,
    /// How much of an incomplete head was searched for its end. It is parsed when it has one, and when its first bytes arrive.
    searched: Option<usize>,
}

impl HeadReader {
    /// A reader for the response to a request with this method.
    pub fn new(method: Method) -> Self {
        Self {
            method,
            searched: None,
        }
    }

    /// Takes the head from what has arrived. `None` if it is not complete. Interim responses (RFC 9110, section 15.2) are ignored,
    /// apart from 101, after which the protocol is another one.
    pub fn read(&mut self, received: &mut BytesMut) -> Result<Option<Head>, Failure> {
        let is_worth_it = match self.searched {
            None => !received.is_empty(),
            Some(before) => has_end(received, before) || received.len() >= MAX_HEAD_BYTES,
        };
        let head = match is_worth_it {
            true => take_head(received)?,
            false => None,
        };
        let Some(head) = head else {
            if received.len() >= MAX_HEAD_BYTES {
                return Err(Failure::TooLarge);
            }
            self.searched = Some(received.len()).filter(|length| *length > 0);
            return Ok(None);
        };
        self.searched = None;
        let framing = framing(&head, &self.method)?;
        Ok(Some(Head { head, framing }))
    }

    /// What is wrong with an incomplete head. While more of it may arrive, this is found out only at its end.
    pub fn look_again(&mut self, received: &mut BytesMut) -> Option<Failure> {
        self.searched = None;
        self.read(received).err()
    }
}

/// Whether an empty line ends in the bytes after the first `before`. A line may end without CR (RFC 9112, section 2.2).
fn has_end(bytes: &[u8], before: usize) -> bool {
    let start = before.saturating_sub("\r\n\r".len());
    let mut ends = memchr::memchr_iter(b'\n', &bytes[start..]);
    ends.any(|end| {
        let rest = &bytes[start + end + 1..];
        rest.starts_with(b"\n") || rest.starts_with(b"\r\n")
    })
}

/// Takes a complete head from the start of `received`, and the interim responses before it.
fn take_head(received: &mut BytesMut) -> Result<Option<response::Parts>, Failure> {
    let mut bytes = received.split().freeze();
    let mut last = None;
    while let Some((length, head)) = parse(&bytes)? {
        bytes.advance(length);
        if !head.status.is_informational() || head.status == StatusCode::SWITCHING_PROTOCOLS {
            last = Some(head);
            break;
        }
    }
    // Once, however many interim responses there are.
    received.extend_from_slice(&bytes);
    Ok(last)
}

/// Parses one head, and returns its length. `None` if it is not complete.
fn parse(bytes: &Bytes) -> Result<Option<(usize, response::Parts)>, Failure> {
    let mut config = ParserConfig::default();
    config
        // User agents treat a line break in a value as a space (RFC 9112, section 5.2). Proxies remove spaces after a header name
        // (section 5.1).
        .allow_obsolete_multiline_headers_in_responses(true)
        .allow_spaces_after_header_name_in_responses(true);
    let mut fields = [MaybeUninit::uninit(); MAX_HEADERS];
    let mut parsed = httparse::Response::new(&mut []);
    let status = config.parse_response_with_uninit_headers(&mut parsed, bytes, &mut fields);
    let length = match status.map_err(invalid)? {
        httparse::Status::Complete(length) => length,
        httparse::Status::Partial => return Ok(None),
    };
    if length > MAX_HEAD_BYTES {
        return Err(Failure::TooLarge);
    }
    let (mut head, ()) = Response::new(()).into_parts();
    head.status =
        StatusCode::from_u16(parsed.code.unwrap_or_default()).map_err(|_| Failure::Invalid(STATUS))?;
    head.version = match parsed.version {
        Some(0) => Version::HTTP_10,
        _ => Version::HTTP_11,
    };
    let mut headers = HeaderMap::with_capacity(parsed.headers.len());
    for field in parsed.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| Failure::Invalid(FIELD))?;
        let value = match field.value.contains(&b'\n') {
            false => bytes.slice_ref(field.value),
            true => unfold(field.value),
        };
        let value = HeaderValue::from_maybe_shared(value).map_err(|_| Failure::Invalid(FIELD))?;
        headers.append(name, value);
    }
    head.headers = headers;
    Ok(Some((length, head)))
}

const STATUS: &str = "invalid HTTP status-code parsed";
const FIELD: &str = "invalid HTTP header parsed";

fn invalid(error: httparse::Error) -> Failure {
    match error {
        httparse::Error::TooManyHeaders => Failure::TooLarge,
        httparse::Error::Status => Failure::Invalid(STATUS),
        httparse::Error::Version => Failure::Invalid("invalid HTTP version parsed"),
        httparse::Error::HeaderName
        | httparse::Error::HeaderValue
        | httparse::Error::NewLine
        | httparse::Error::Token => Failure::Invalid(FIELD),
    }
}

/// Replaces each line break of a value, and the white space around it, by one space (RFC 9112, section 5.2).
fn unfold(value: &[u8]) -> Bytes {
    let lines = value.split(|byte| *byte == b'\n');
    let lines: Vec<&[u8]> = lines.map(<[u8]>::trim_ascii).collect();
    lines.join(&b' ').into()
}

/// How the end of the body is recognised (RFC 9112, section 6.3).
fn framing(head: &response::Parts, method: &Method) -> Result<Framing, Failure> {
    let is_empty = match head.status.as_u16() {
        101 | 204 | 304 => true,
        200..=299 if method == Method::CONNECT => true,
        _ => method == Method::HEAD,
    };
    if is_empty {
        return Ok(Framing::Empty);
    }
    if let Some(last) = head.headers.get_all(TRANSFER_ENCODING).iter().next_back() {
        return match head.version {
            Version::HTTP_10 => Err(Failure::Invalid("unexpected transfer-encoding parsed")),
            _ if last.to_str().is_ok_and(ends_with_chunked) => Ok(Framing::Chunked),
            _ => Ok(Framing::UntilClose),
        };
    }
    let mut length = None;
    for value in head.headers.get_all(CONTENT_LENGTH) {
        // The same length several times is one length.
        for number in value.as_bytes().split(|byte| *byte == b',') {
            let number = parse_length(number.trim_ascii());
            if number.is_none() || length.is_some_and(|length| Some(length) != number) {
                return Err(Failure::Invalid("invalid content-length parsed"));
            }
            length = number;
        }
    }
    Ok(length.map_or(Framing::UntilClose, Framing::Length))
}

/// Whether chunked is the last of these transfer codings.
fn ends_with_chunked(codings: &str) -> bool {
    codings
        .rsplit(',')
        .next()
        .is_some_and(|last| last.trim().eq_ignore_ascii_case("chunked"))
}

/// Parses digits only: no sign.
fn parse_length(digits: &[u8]) -> Option<u64> {
    let is_number = digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits)
        .ok()
        .filter(|_| is_number)?
        .parse()
        .ok()
}
