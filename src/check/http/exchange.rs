//! One request and its response on one connection. The connection is polled beside the request, in the same task.

use std::error::Error;
use std::fmt::Display;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::Poll;

use bytes::Bytes;
use http::header::TRANSFER_ENCODING;
use http::{HeaderMap, Request, Version, response};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::RequestBody;
use super::http2::{Driven, Tasks};
use crate::check::{dial, tls};
use crate::model::{Problem, Reason};

/// The longest head of a response, in bytes.
pub const MAX_HEAD_BYTES: usize = 64 << 10;
/// The most header fields of a response; hyper's own limit, which it keeps without allocating.
const MAX_HEADERS: usize = 100;

/// How much of a body is sent by HTTP/2 without leave (RFC 9113, section 6.9.2).
const HTTP2_WINDOW: u64 = (1 << 16) - 1;

/// What moves the bytes of a connection.
pub type Driver = Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>;

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
            .handshake(TokioIo::new(stream));
        let (mut sender, connection) = handshake
            .await
            .map_err(|error| problem(&error, peer, "answering"))?;
        let response = sender.send_request(request);
        let driver: Driver = match is_plain {
            true => Box::pin(async { connection.without_shutdown().await.map(drop) }),
            false => Box::pin(connection),
        };
        let exchange = Self::respond(response, driver, peer).await?;
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
    /// Why there is no response.
    pub async fn http2<S>(stream: S, request: Request<RequestBody>, peer: SocketAddr) -> Result<Self, Problem>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let length = request.body().size_hint().lower();
        let tasks = Tasks::default();
        let handshake = http2::Builder::new(tasks.clone())
            .max_header_list_size(u32::try_from(MAX_HEAD_BYTES).unwrap_or(u32::MAX))
            .handshake(TokioIo::new(stream));
        let (mut sender, connection) = handshake
            .await
            .map_err(|error| problem(&error, peer, "answering"))?;
        let response = sender.send_request(request);
        let driver = Box::pin(Driven::new(connection, tasks));
        let exchange = Self::respond(response, driver, peer).await?;
        Ok(Self {
            may_be_stopped: length > HTTP2_WINDOW,
            ..exchange
        })
    }

    async fn respond(
        response: impl Future<Output = hyper::Result<response::Response<Incoming>>>,
        driver: Driver,
        peer: SocketAddr,
    ) -> Result<Self, Problem> {
        let mut driver = Some(driver);
        let response = drive(&mut driver, response).await;
        let (head, body) = response
            .map_err(|error| problem(&error, peer, "answering"))?
            .into_parts();
        Ok(Self {
            head,
            body,
            trailers: None,
            driver,
            peer,
            may_be_stopped: false,
        })
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
                Some(fault) => at(Reason::Tls, &tls::fault_text(fault)),
                None if io.kind() == io::ErrorKind::UnexpectedEof => {
                    at(Reason::Closed, &"it closed the connection before the end")
                }
                // What hyper itself finds wrong with a body has no number of the system's.
                None if io.raw_os_error().is_none() && dial::reason(io) != Reason::Closed => at(
                    Reason::Protocol,
                    &format_args!("it does not speak HTTP as it should ({io})"),
                ),
                None => dial::problem(io, format_args!("{peer}, {doing}: {io}")),
            };
        }
        cause = inner.source();
    }
    if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        return at(Reason::Closed, &"it closed the connection before the end");
    }
    if error.is_parse_too_large() {
        let what = format!("the header has more than {MAX_HEADERS} fields or {MAX_HEAD_BYTES} bytes");
        return at(Reason::Limit, &what);
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
