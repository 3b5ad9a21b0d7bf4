//! One request and its response on one connection. The connection is polled beside the request, in the same task.

use std::error::Error;
use std::fmt::Display;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::PoisonError;
use std::task::Poll;

use bytes::Bytes;
use http::header::TRANSFER_ENCODING;
use http::{HeaderMap, Request, Version, response};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::early_response::EarlyResponse;
use super::frames::FrameReader;
use super::http2_driver::{Http2Driver, Tasks};
use crate::model::{Problem, Reason};
use crate::net::{io_error, tls};

/// The longest head of a response, in bytes.
pub const MAX_HEAD_BYTES: usize = 64 << 10;
/// The most header fields of a response; hyper's own limit, which it keeps without allocating.
const MAX_HEADERS: usize = 100;

/// How large a head by HTTP/2 the library takes. It counts 32 bytes more for each field (RFC 9113, section 6.5.2), and its
/// error for a head that is too large is the one for a malformed head. So it takes more than a head may have, which is
/// measured here.
const MAX_HEADER_LIST_BYTES: u32 = 256 << 10;

/// How much of a body is sent by HTTP/2 without leave (RFC 9113, section 6.9.2).
const HTTP2_WINDOW: u64 = (1 << 16) - 1;

/// The body of a request, in memory.
pub type RequestBody = http_body_util::Full<Bytes>;

/// What moves the bytes of a connection.
pub type Driver = Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>;

/// Why there is no response.
#[derive(Debug)]
pub struct Unanswered {
    /// What went wrong.
    pub problem: Problem,
    /// Whether the server said that it has not processed the request, so that it may be asked again (RFC 9113, section 8.7).
    pub is_unprocessed: bool,
}

impl From<Problem> for Unanswered {
    fn from(problem: Problem) -> Self {
        Self {
            problem,
            is_unprocessed: false,
        }
    }
}

/// A response whose head has arrived.
pub struct Exchange {
    head: response::Parts,
    body: Incoming,
    trailers: Option<HeaderMap>,
    driver: Option<Driver>,
    peer: SocketAddr,
    /// Whether the request may still have been under way when the response was complete.
    may_be_stopped: bool,
}

impl Exchange {
    /// Requests by HTTP/1.1. At its end the stream is shut down, for TLS's close_notify, or only closed where `is_plain`:
    /// closing sends the same FIN, with one call of the kernel less in each run.
    ///
    /// # Errors
    /// Why there is no response.
    pub async fn http1<S>(
        stream: S,
        request: Request<RequestBody>,
        peer: SocketAddr,
        is_plain: bool,
    ) -> Result<Self, Problem>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let handshake = http1::Builder::new()
            .max_buf_size(MAX_HEAD_BYTES)
            .max_header_size(MAX_HEAD_BYTES)
            // RFC 9112, section 5.2: a user agent takes it for a space; and section 5.1, of proxies.
            .allow_obsolete_multiline_headers_in_responses(true)
            .allow_spaces_after_header_name_in_responses(true)
            .handshake(TokioIo::new(EarlyResponse::new(stream)));
        let (mut sender, connection) = handshake
            .await
            .map_err(|error| problem(&error, peer, "answering"))?;
        let response = sender.send_request(request);
        let driver: Driver = match is_plain {
            true => Box::pin(async { connection.without_shutdown().await.map(drop) }),
            false => Box::pin(connection),
        };
        let mut driver = Some(driver);
        let response = drive(&mut driver, response).await;
        let response = response.map_err(|error| problem(&error, peer, "answering"))?;
        let exchange = Self::of(response, driver, peer);
        match other_coding(&exchange.head.headers) {
            false => Ok(exchange),
            // RFC 9112, section 6.1: it was not asked for, so what comes can't be read.
            true => {
                let what = "its Transfer-Encoding is not chunked alone";
                Err(Problem::new(Reason::Protocol, format_args!("{peer}: {what}")))
            }
        }
    }

    /// Requests by HTTP/2.
    ///
    /// # Errors
    /// Why there is no response, and whether the server has processed the request.
    pub async fn http2<S>(
        stream: S,
        request: Request<RequestBody>,
        peer: SocketAddr,
    ) -> Result<Self, Unanswered>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let length = request.body().size_hint().lower();
        let tasks = Tasks::default();
        let (stream, frames) = FrameReader::new(EarlyResponse::new(stream));
        let handshake = http2::Builder::new(tasks.clone())
            .max_header_list_size(MAX_HEADER_LIST_BYTES)
            .handshake(TokioIo::new(stream));
        let (mut sender, connection) = handshake
            .await
            .map_err(|error| problem(&error, peer, "answering"))?;
        let response = sender.send_request(request);
        let driver: Driver = Box::pin(Http2Driver::new(connection, tasks));
        let mut driver = Some(driver);
        let response = drive(&mut driver, response).await;
        let response = response.map_err(|error| {
            let frames = frames.lock().unwrap_or_else(PoisonError::into_inner);
            let problem = match frames.header_bytes() > MAX_HEAD_BYTES {
                true => too_large(peer, "answering"),
                false => problem(&error, peer, "answering"),
            };
            Unanswered {
                problem,
                is_unprocessed: frames.is_unprocessed(),
            }
        })?;
        let exchange = Self::of(response, driver, peer);
        let headers = &exchange.head.headers;
        if headers.len() > MAX_HEADERS || size(headers) > MAX_HEAD_BYTES {
            return Err(too_large(peer, "answering").into());
        }
        Ok(Self {
            may_be_stopped: length > HTTP2_WINDOW,
            ..exchange
        })
    }

    fn of(response: response::Response<Incoming>, driver: Option<Driver>, peer: SocketAddr) -> Self {
        let (head, body) = response.into_parts();
        Self {
            head,
            body,
            trailers: None,
            driver,
            peer,
            may_be_stopped: false,
        }
    }

    /// The head of the response.
    pub fn head(&self) -> &response::Parts {
        &self.head
    }

    /// The trailers, which come after the last byte of the body.
    pub fn trailers(&self) -> Option<&HeaderMap> {
        self.trailers.as_ref()
    }

    /// The next bytes of the body; none after its end.
    ///
    /// # Errors
    /// Why the body is not complete.
    pub async fn data(&mut self) -> Result<Option<Bytes>, Problem> {
        loop {
            match drive(&mut self.driver, self.body.frame()).await {
                None if self.is_whole() => return Ok(None),
                None => {
                    let message = format_args!("{}: it gave up before the end of the body", self.peer);
                    return Err(Problem::new(Reason::Closed, message));
                }
                Some(Err(error)) => return Err(problem(&error, self.peer, "sending the body")),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => return Ok(Some(data)),
                    Err(other) => self.trailers = other.into_trailers().ok().or(self.trailers.take()),
                },
            }
        }
    }

    /// Whether a body of which no more comes is whole. By HTTP/2 it need not be: hyper ends it without an error where the
    /// stream was reset with NO_ERROR. With it a server also stops a request that is still being sent, after a complete
    /// response (RFC 9113, section 8.1); the end of that is not seen then, only that no length says otherwise.
    fn is_whole(&self) -> bool {
        self.head.version != Version::HTTP_2
            || self.body.is_end_stream()
            || (self.may_be_stopped && self.body.size_hint().exact().is_none_or(|left| left == 0))
    }
}

/// Whether a body comes in another transfer coding than the one that everybody has to know.
fn other_coding(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    codings.any(|coding| !coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked"))
}

/// How long a head is in HTTP/1.1, which the limit is written for: status line, fields, and the blank line after them.
fn size(headers: &HeaderMap) -> usize {
    const STATUS_AND_END: usize = "HTTP/1.1 200 \r\n\r\n".len();
    let fields = headers.iter();
    let sizes = fields.map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len());
    STATUS_AND_END + sizes.sum::<usize>()
}

/// The problem of a head that is too large.
fn too_large(peer: impl Display, doing: &str) -> Problem {
    let what = format_args!(
        "{peer}, {doing}: the header has more than {MAX_HEADERS} fields or {MAX_HEAD_BYTES} bytes"
    );
    Problem::new(Reason::Limit, what)
}

/// Waits for a future while the connection is driven. The future is polled before the connection, so that it can ask
/// for more, and after it, to take what has come.
pub async fn drive<F: Future>(driver: &mut Option<Driver>, future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(output);
        }
        if let Some(connection) = driver
            && connection.as_mut().poll(cx).is_ready()
        {
            // What failed is told to the request or the body too.
            *driver = None;
        }
        future.as_mut().poll(cx)
    })
    .await
}

/// What an error of hyper means.
pub fn problem(error: &hyper::Error, peer: impl Display, doing: &str) -> Problem {
    let at = |reason, what: &dyn Display| Problem::new(reason, format_args!("{peer}, {doing}: {what}"));
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(io) = inner.downcast_ref::<io::Error>() {
            return match io
                .get_ref()
                .and_then(|cause| cause.downcast_ref::<rustls::Error>())
            {
                Some(fault) => at(Reason::Tls, &tls::error_text(fault)),
                None if io.kind() == io::ErrorKind::UnexpectedEof => {
                    at(Reason::Closed, &"it closed the connection before the end")
                }
                // What hyper itself finds wrong with a body has no number of the system's.
                None if io.raw_os_error().is_none() && io_error::reason(io) != Reason::Closed => at(
                    Reason::Protocol,
                    &format_args!("it does not speak HTTP as it should ({io})"),
                ),
                None => io_error::problem(io, format_args!("{peer}, {doing}: {io}")),
            };
        }
        cause = inner.source();
    }
    if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        return at(Reason::Closed, &"it closed the connection before the end");
    }
    if error.is_parse_too_large() || is_calmed(error) {
        return too_large(peer, doing);
    }
    let cause = error
        .source()
        .map(|cause| format!(": {cause}"))
        .unwrap_or_default();
    at(
        Reason::Protocol,
        &format_args!("it does not speak HTTP as it should ({error}{cause})"),
    )
}

/// Whether the library gave up a server that sends too much by HTTP/2: a head of many times the limit, or in too many pieces.
fn is_calmed(error: &hyper::Error) -> bool {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(fault) = inner.downcast_ref::<h2::Error>() {
            return fault.is_library() && fault.reason() == Some(h2::Reason::ENHANCE_YOUR_CALM);
        }
        cause = inner.source();
    }
    false
}
