//! One request and its response over HTTP/2 (RFC 9113), with hyper.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::PoisonError;

use bytes::Bytes;
use http::{HeaderMap, Request, response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http2;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::driver::{Driver, drive};
use super::early_response::EarlyResponse;
use super::frames::FrameReader;
use super::http2_driver::{Http2Driver, Tasks};
use super::limits::{MAX_HEAD_BYTES, MAX_HEADERS};
use super::problems;
use crate::model::{Problem, Reason};

/// The largest head that the library accepts. It counts 32 more bytes for every field (RFC 9113, section 6.5.2), and reports a
/// head that is too large as malformed. So its limit is higher than ours, and the size is measured here.
const MAX_HEADER_LIST_BYTES: u32 = 256 << 10;

/// How much of a body may be sent before the server extends the window (RFC 9113, section 6.9.2).
const WINDOW: u64 = (1 << 16) - 1;

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

/// The connection of a response whose head has arrived.
pub struct Http2 {
    body: Incoming,
    trailers: Option<HeaderMap>,
    driver: Option<Driver>,
    /// Whether the server may end its response before it has received the whole request.
    may_be_stopped: bool,
}

impl Http2 {
    /// Sends a request, and reads the head of its response.
    ///
    /// # Errors
    /// Why there is no response, and whether the server processed the request.
    pub async fn send<S>(
        stream: S,
        request: Request<Bytes>,
        peer: SocketAddr,
    ) -> Result<(response::Parts, Self), NoResponse>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        const DOING: &str = "waiting for the response";
        let may_be_stopped = request.body().len() as u64 > WINDOW;
        let tasks = Tasks::default();
        let (stream, frames) = FrameReader::new(EarlyResponse::new(stream));
        let handshake = http2::Builder::new(tasks.clone())
            .max_header_list_size(MAX_HEADER_LIST_BYTES)
            .handshake(TokioIo::new(stream));
        let (mut sender, connection) = handshake
            .await
            .map_err(|error| problems::of_hyper(&error, peer, DOING))?;
        let response = sender.send_request(request.map(Full::new));
        let driver: Driver = Box::pin(Http2Driver::new(connection, tasks));
        let mut driver = Some(driver);
        let response = drive(&mut driver, pin!(response)).await;
        let response = response.map_err(|error| {
            let frames = frames.lock().unwrap_or_else(PoisonError::into_inner);
            let problem = match frames.header_bytes() > MAX_HEAD_BYTES {
                true => problems::too_large(peer, DOING),
                false => problems::of_hyper(&error, peer, DOING),
            };
            NoResponse {
                problem,
                is_unprocessed: frames.is_unprocessed(),
            }
        })?;
        let (head, body) = response.into_parts();
        if head.headers.len() > MAX_HEADERS || size(&head.headers) > MAX_HEAD_BYTES {
            return Err(problems::too_large(peer, DOING).into());
        }
        let connection = Self {
            body,
            trailers: None,
            driver,
            may_be_stopped,
        };
        Ok((head, connection))
    }

    /// The trailers. They arrive after the last byte of the body.
    pub fn trailers(&self) -> Option<&HeaderMap> {
        self.trailers.as_ref()
    }

    /// The next bytes of the body, or `None` at its end.
    ///
    /// # Errors
    /// Why the body is not complete.
    pub async fn data(&mut self, peer: SocketAddr) -> Result<Option<Bytes>, Problem> {
        loop {
            match drive(&mut self.driver, pin!(self.body.frame())).await {
                None if self.is_whole() => return Ok(None),
                None => {
                    let message = format_args!("{peer}: it reset the stream before the end of the body");
                    return Err(Problem::new(Reason::Closed, message));
                }
                Some(Err(error)) => return Err(problems::of_hyper(&error, peer, "reading the body")),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => return Ok(Some(data)),
                    Err(other) => self.trailers = other.into_trailers().ok().or(self.trailers.take()),
                },
            }
        }
    }

    /// Whether a body without more data is complete. hyper reports no error if the server resets the stream with NO_ERROR, so the
    /// end of the stream must have arrived. Exception: a server may send a complete response, and then NO_ERROR to stop a request
    /// that is still being sent (RFC 9113, section 8.1). In this case hyper does not show the end of the stream, so the body counts
    /// as complete unless `Content-Length` announces more.
    fn is_whole(&self) -> bool {
        self.body.is_end_stream()
            || (self.may_be_stopped && self.body.size_hint().exact().is_none_or(|left| left == 0))
    }
}

/// The size that a head would have in HTTP/1.1, which the limit is defined for: status line, fields and blank line.
fn size(headers: &HeaderMap) -> usize {
    const STATUS_AND_END: usize = "HTTP/1.1 200 \r\n\r\n".len();
    let fields = headers.iter();
    let sizes = fields.map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len());
    STATUS_AND_END + sizes.sum::<usize>()
}
