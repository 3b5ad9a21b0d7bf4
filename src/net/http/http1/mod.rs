//! One request and its response over HTTP/1.1 (RFC 9112), on a connection that is not reused.
//!
//! hyper needs three buffers of 8 to 9 KB for a connection. Thousands of targets may hang at the same time, so this client allocates
//! nothing but the request until something arrives. `beside_hyper` compares what both make of the same bytes.

mod chunked;
mod failure;
mod head;
mod request;

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, response};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use self::chunked::{Chunked, Part};
pub use self::failure::Failure;
use self::head::{Framing, Head, HeadReader};
use self::request::Outgoing;
use super::early_response::is_gone;
use super::limits::MAX_HEAD_BYTES;

/// How many bytes are read at once, into the stack.
const READ_BYTES: usize = 16 << 10;

/// A connection.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A request and its response on one connection.
pub struct Http1 {
    stream: Box<dyn Stream>,
    request: Outgoing,
    head: HeadReader,
    /// What arrived and was not used yet.
    received: BytesMut,
    /// Why writing failed, if the server closed the connection. A server may respond before it has read the whole request, and then
    /// close (RFC 9112, section 9.6), so this is reported only when no response is left to be read.
    write_error: Option<io::Error>,
    body: Body,
    trailers: Option<HeaderMap>,
    /// Whether the stream is shut down at the end, for the close_notify of TLS.
    ends_with_shutdown: bool,
}

/// What is left of the body.
enum Body {
    /// Nothing: the body is complete.
    Complete,
    /// This many bytes.
    Length(u64),
    /// Chunks (RFC 9112, section 7.1).
    Chunked(Box<Chunked>),
    /// Everything until the server closes the connection.
    UntilClose,
}

impl Http1 {
    /// Prepares to send a request. At the end the stream is shut down. If `is_plain`, it is only closed, which sends the same FIN with
    /// one system call less.
    pub fn new<S>(stream: S, request: Request<Bytes>, is_plain: bool) -> Box<Self>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        Box::new(Self {
            stream: Box::new(stream),
            head: HeadReader::new(request.method().clone()),
            request: Outgoing::new(request),
            received: BytesMut::new(),
            write_error: None,
            body: Body::Complete,
            trailers: None,
            ends_with_shutdown: !is_plain,
        })
    }

    /// Sends the request, and reads the head of its response.
    ///
    /// # Errors
    /// Why there is no response.
    pub async fn send(&mut self) -> Result<response::Parts, Failure> {
        let Head { head, framing } = poll_fn(|cx| self.poll_head(cx)).await?;
        self.body = match framing {
            Framing::Empty | Framing::Length(0) => Body::Complete,
            Framing::Length(length) => Body::Length(length),
            Framing::Chunked => Body::Chunked(Box::default()),
            Framing::UntilClose => Body::UntilClose,
        };
        if matches!(self.body, Body::Complete) {
            self.shut_down().await;
        }
        Ok(head)
    }

    /// The next bytes of the body, or `None` at its end.
    ///
    /// # Errors
    /// Why the body is not complete.
    pub async fn data(&mut self) -> Result<Option<Bytes>, Failure> {
        if matches!(self.body, Body::Complete) {
            return Ok(None);
        }
        let data = poll_fn(|cx| self.poll_data(cx)).await?;
        if matches!(self.body, Body::Complete) {
            self.shut_down().await;
        }
        Ok(data)
    }

    /// The trailers. They arrive after the last byte of the body.
    pub fn trailers(&self) -> Option<&HeaderMap> {
        self.trailers.as_ref()
    }

    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Head, Failure>> {
        loop {
            // Before writing, which may fail: what has arrived counts.
            if let Some(head) = self.head.read(&mut self.received)? {
                return Poll::Ready(Ok(head));
            }
            self.write(cx)?;
            let end = match ready!(self.poll_receive(cx, MAX_HEAD_BYTES - self.received.len())) {
                Ok(0) => Failure::Closed,
                Ok(_) => continue,
                Err(failure) => failure,
            };
            return Poll::Ready(Err(self.head.look_again(&mut self.received).unwrap_or(end)));
        }
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Failure>> {
        loop {
            if let Some(data) = self.take_data()? {
                return Poll::Ready(Ok(Some(data)));
            }
            if matches!(self.body, Body::Complete) {
                return Poll::Ready(Ok(None));
            }
            self.write(cx)?;
            if ready!(self.poll_receive(cx, READ_BYTES))? == 0 {
                return Poll::Ready(match self.body {
                    Body::UntilClose => {
                        self.body = Body::Complete;
                        Ok(None)
                    }
                    _ => Err(Failure::Closed),
                });
            }
        }
    }

    /// The part of the body that has arrived.
    fn take_data(&mut self) -> Result<Option<Bytes>, Failure> {
        match &mut self.body {
            Body::Complete => Ok(None),
            Body::UntilClose => Ok((!self.received.is_empty()).then(|| self.received.split().freeze())),
            Body::Length(_) if self.received.is_empty() => Ok(None),
            Body::Length(left) => {
                let length =
                    usize::try_from(*left).map_or(self.received.len(), |left| left.min(self.received.len()));
                *left -= length as u64;
                if *left == 0 {
                    self.body = Body::Complete;
                }
                Ok(Some(self.received.split_to(length).freeze()))
            }
            Body::Chunked(chunked) => match chunked.next(&mut self.received)? {
                None => Ok(None),
                Some(Part::Data(data)) => Ok(Some(data)),
                Some(Part::End(trailers)) => {
                    self.trailers = trailers;
                    self.body = Body::Complete;
                    Ok(None)
                }
            },
        }
    }

    /// Reads what has arrived, at most `limit` bytes. Returns its length, 0 if the server closed the connection.
    fn poll_receive(&mut self, cx: &mut Context<'_>, limit: usize) -> Poll<Result<usize, Failure>> {
        // A buffer on the heap would be kept while the server hangs.
        let mut buffer = [MaybeUninit::uninit(); READ_BYTES];
        let mut buffer = ReadBuf::uninit(&mut buffer[..limit.min(READ_BYTES)]);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
        let length = buffer.filled().len();
        self.received.extend_from_slice(buffer.filled());
        // The system reports a reset to the writer only. The reader then sees a regular end. After BrokenPipe the server did close
        // the connection regularly.
        match self
            .write_error
            .take_if(|error| length == 0 && error.kind() != io::ErrorKind::BrokenPipe)
        {
            Some(error) => Poll::Ready(Err(error.into())),
            None => Poll::Ready(Ok(length)),
        }
    }

    /// Writes as much of the request as is possible now.
    fn write(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        match self.request.poll_write(cx, &mut self.stream) {
            Poll::Ready(Err(error)) if is_gone(&error) => {
                self.write_error = Some(error);
                self.request.discard();
                Ok(())
            }
            Poll::Ready(Err(error)) => Err(error.into()),
            Poll::Ready(Ok(())) | Poll::Pending => Ok(()),
        }
    }

    /// Shuts the stream down if that has to be done, without waiting for it: the response is complete.
    async fn shut_down(&mut self) {
        if self.ends_with_shutdown && self.write_error.is_none() {
            poll_fn(|cx| {
                let _ = Pin::new(&mut self.stream).poll_shutdown(cx);
                Poll::Ready(())
            })
            .await;
        }
    }
}

#[cfg(test)]
mod tests;
