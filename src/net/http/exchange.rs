//! One request and its response on one connection. The connection is polled together with the request, in the same task.

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
/// The maximum number of header fields of a response. This is hyper's default. If the limit is set, hyper
/// allocates memory for every response.
const MAX_HEADERS: usize = 100;

/// The largest head that the library accepts over HTTP/2. It counts 32 more bytes for every field (RFC 9113, section 6.5.2), and
/// reports a head that is too large as malformed. So its limit is higher than ours, and the size is measured here.
const MAX_HEADER_LIST_BYTES: u32 = 256 << 10;

/// How much of a body may be sent over HTTP/2 before the server extends the window (RFC 9113, section 6.9.2).
const HTTP2_WINDOW: u64 = (1 << 16) - 1;

/// The body of a request, in memory.
pub type RequestBody = http_body_util::Full<Bytes>;

/// Reads and writes the bytes of a connection.
pub type Driver = Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>;

/// Why there is no response.
#[derive(Debug)]
pub struct NoResponse {
    /// What went wrong.
    pub problem: Problem,
    /// Whether the server reported that it did not process the request, so that a retry is safe (RFC 9113, section 8.7).
    pub is_unprocessed: bool,
}

impl From<Problem> for NoResponse {
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
    /// Whether the server may end its response before it has received the whole request.
    may_be_stopped: bool,
}

impl Exchange {
    /// Sends a request over HTTP/1.1. At the end the stream is shut down, for the close_notify of TLS. If `is_plain`, it is only
    /// closed, which sends the same FIN with one system call less per run.
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
        let handshake = http1_builder().handshake(TokioIo::new(EarlyResponse::new(stream)));
        let (mut sender, connection) = handshake
            .await
            .map_err(|error| problem(&error, peer, "waiting for the response"))?;
        let response = sender.send_request(request);
        let driver: Driver = match is_plain {
            true => Box::pin(async { connection.without_shutdown().await.map(drop) }),
            false => Box::pin(connection),
        };
        let mut driver = Some(driver);
        let response = drive(&mut driver, pin!(response)).await;
        let response = response.map_err(|error| problem(&error, peer, "waiting for the response"))?;
        let exchange = Self::of(response, driver, peer);
        match other_coding(&exchange.head.headers) {
            false => Ok(exchange),
            // The request did not offer another coding (RFC 9112, section 6.1), so the body can't be decoded.
            true => {
                let what = "its Transfer-Encoding is not only chunked";
                Err(Problem::new(Reason::Protocol, format_args!("{peer}: {what}")))
            }
        }
    }

    /// Sends a request over HTTP/2.
    ///
    /// # Errors
    /// Why there is no response, and whether the server processed the request.
    pub async fn http2<S>(
        stream: S,
        request: Request<RequestBody>,
        peer: SocketAddr,
    ) -> Result<Self, NoResponse>
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
            .map_err(|error| problem(&error, peer, "waiting for the response"))?;
        let response = sender.send_request(request);
        let driver: Driver = Box::pin(Http2Driver::new(connection, tasks));
        let mut driver = Some(driver);
        let response = drive(&mut driver, pin!(response)).await;
        let response = response.map_err(|error| {
            let frames = frames.lock().unwrap_or_else(PoisonError::into_inner);
            let problem = match frames.header_bytes() > MAX_HEAD_BYTES {
                true => too_large(peer, "waiting for the response"),
                false => problem(&error, peer, "waiting for the response"),
            };
            NoResponse {
                problem,
                is_unprocessed: frames.is_unprocessed(),
            }
        })?;
        let exchange = Self::of(response, driver, peer);
        let headers = &exchange.head.headers;
        if headers.len() > MAX_HEADERS || size(headers) > MAX_HEAD_BYTES {
            return Err(too_large(peer, "waiting for the response").into());
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

    /// The trailers. They arrive after the last byte of the body.
    pub fn trailers(&self) -> Option<&HeaderMap> {
        self.trailers.as_ref()
    }

    /// The next bytes of the body, or `None` at its end.
    ///
    /// # Errors
    /// Why the body is not complete.
    pub async fn data(&mut self) -> Result<Option<Bytes>, Problem> {
        loop {
            match drive(&mut self.driver, pin!(self.body.frame())).await {
                None if self.is_whole() => return Ok(None),
                None => {
                    let message =
                        format_args!("{}: it reset the stream before the end of the body", self.peer);
                    return Err(Problem::new(Reason::Closed, message));
                }
                Some(Err(error)) => return Err(problem(&error, self.peer, "reading the body")),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => return Ok(Some(data)),
                    Err(other) => self.trailers = other.into_trailers().ok().or(self.trailers.take()),
                },
            }
        }
    }

    /// Whether a body without more data is complete. Over HTTP/1.1 it is. Over HTTP/2 it may not be, because hyper reports no
    /// error if the server resets the stream with NO_ERROR. So the end of the stream must have arrived. Exception: a server may
    /// send a complete response, and then NO_ERROR to stop a request that is still being sent (RFC 9113, section 8.1). In this
    /// case hyper does not show the end of the stream, so the body counts as complete unless `Content-Length` announces more.
    fn is_whole(&self) -> bool {
        self.head.version != Version::HTTP_2
            || self.body.is_end_stream()
            || (self.may_be_stopped && self.body.size_hint().exact().is_none_or(|left| left == 0))
    }
}

/// The client's settings for HTTP/1.1.
pub(super) fn http1_builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .max_buf_size(MAX_HEAD_BYTES)
        .max_header_size(MAX_HEAD_BYTES)
        // User agents treat a line break in a value as a space (RFC 9112, section 5.2). Proxies remove spaces after a header
        // name (section 5.1).
        .allow_obsolete_multiline_headers_in_responses(true)
        .allow_spaces_after_header_name_in_responses(true);
    builder
}

/// Whether a body has another transfer coding than chunked, which every client has to support.
fn other_coding(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    codings.any(|coding| !coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked"))
}

/// The size that a head would have in HTTP/1.1, which the limit is defined for: status line, fields and blank line.
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

/// Waits for a future while the connection is driven. The future is polled before the connection, to send its requests, and
/// after it, to receive what arrived.
pub async fn drive<F: Future>(driver: &mut Option<Driver>, mut future: Pin<&mut F>) -> F::Output {
    poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(output);
        }
        if let Some(connection) = driver
            && connection.as_mut().poll(cx).is_ready()
        {
            // The request or the body receives the error as well.
            *driver = None;
        }
        future.as_mut().poll(cx)
    })
    .await
}

/// The problem of an error of hyper. The message contains `doing`, such as "listing the buckets".
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
                // An error that hyper itself found in a body has no error number.
                None if io.raw_os_error().is_none() && io_error::reason(io) != Reason::Closed => at(
                    Reason::Protocol,
                    &format_args!("the response is not valid HTTP ({io})"),
                ),
                None => io_error::problem(io, format_args!("{peer}, {doing}: {io}")),
            };
        }
        cause = inner.source();
    }
    if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        return at(Reason::Closed, &"it closed the connection before the end");
    }
    if error.is_parse_too_large() || has_sent_too_much(error) {
        return too_large(peer, doing);
    }
    let cause = error
        .source()
        .map(|cause| format!(": {cause}"))
        .unwrap_or_default();
    at(
        Reason::Protocol,
        &format_args!("the response is not valid HTTP ({error}{cause})"),
    )
}

/// Whether the library closed the connection because the server sent too much over HTTP/2: a head that is far too large, or
/// that has too many frames.
fn has_sent_too_much(error: &hyper::Error) -> bool {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(fault) = inner.downcast_ref::<h2::Error>() {
            return fault.is_library() && fault.reason() == Some(h2::Reason::ENHANCE_YOUR_CALM);
        }
        cause = inner.source();
    }
    false
}
