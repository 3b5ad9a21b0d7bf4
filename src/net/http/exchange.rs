//! One request and its response on one connection, over HTTP/1.1 or HTTP/2.

use std::net::SocketAddr;

use bytes::Bytes;
use http::header::TRANSFER_ENCODING;
use http::{HeaderMap, Request, response};
use tokio::io::{AsyncRead, AsyncWrite};

use super::http1::{Failure, Http1};
use super::http2::{Http2, NoResponse};
use super::problems;
use crate::model::{Problem, Reason};

/// A response whose head has arrived.
pub struct Exchange {
    head: response::Parts,
    connection: Connection,
    peer: SocketAddr,
}

enum Connection {
    Http1(Box<Http1>),
    Http2(Box<Http2>),
}

impl Exchange {
    /// Sends a request over HTTP/1.1. At the end the stream is shut down, for the close_notify of TLS. If `is_plain`, it is only
    /// closed, which sends the same FIN with one system call less per run.
    ///
    /// # Errors
    /// Why there is no response.
    pub fn http1<S>(
        stream: S,
        request: Request<Bytes>,
        peer: SocketAddr,
        is_plain: bool,
    ) -> impl Future<Output = Result<Self, Problem>> + Send
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        // Not in the future, which would have room for the request while the server hangs.
        let mut connection = Http1::new(stream, request, is_plain);
        async move {
            let sent = connection.send().await;
            let head = sent.map_err(|failure| problem(failure, peer, "waiting for the response"))?;
            if other_coding(&head.headers) {
                // The request did not offer another coding (RFC 9112, section 6.1), so the body can't be decoded.
                let what = "its Transfer-Encoding is not only chunked";
                return Err(Problem::new(Reason::Protocol, format_args!("{peer}: {what}")));
            }
            Ok(Self {
                head,
                connection: Connection::Http1(connection),
                peer,
            })
        }
    }

    /// Sends a request over HTTP/2.
    ///
    /// # Errors
    /// Why there is no response, and whether the server processed the request.
    pub async fn http2<S>(stream: S, request: Request<Bytes>, peer: SocketAddr) -> Result<Self, NoResponse>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (head, connection) = Http2::send(stream, request, peer).await?;
        Ok(Self {
            head,
            connection: Connection::Http2(Box::new(connection)),
            peer,
        })
    }

    /// The head of the response.
    pub fn head(&self) -> &response::Parts {
        &self.head
    }

    /// The trailers. They arrive after the last byte of the body.
    pub fn trailers(&self) -> Option<&HeaderMap> {
        match &self.connection {
            Connection::Http1(connection) => connection.trailers(),
            Connection::Http2(connection) => connection.trailers(),
        }
    }

    /// The next bytes of the body, or `None` at its end.
    ///
    /// # Errors
    /// Why the body is not complete.
    pub async fn data(&mut self) -> Result<Option<Bytes>, Problem> {
        match &mut self.connection {
            Connection::Http1(connection) => {
                let data = connection.data().await;
                data.map_err(|failure| problem(failure, self.peer, "reading the body"))
            }
            Connection::Http2(connection) => connection.data(self.peer).await,
        }
    }
}

/// Whether a body has another transfer coding than chunked, which every client has to support.
fn other_coding(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    codings.any(|coding| !coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked"))
}

/// The problem of a response over HTTP/1.1 that is not complete.
pub(super) fn problem(failure: Failure, peer: SocketAddr, doing: &str) -> Problem {
    match failure {
        Failure::Io(error) => problems::of_io(&error, peer, doing),
        Failure::Closed => problems::closed(peer, doing),
        Failure::TooLarge => problems::too_large(peer, doing),
        Failure::Invalid(what) => problems::invalid(peer, doing, what),
    }
}
