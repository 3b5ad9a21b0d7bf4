//! The stream below the protocol. It checks the first message of the server, because the library would wait for gigabytes if
//! the length is garbage. Its shutdown waits until the server has closed the connection too.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::net::stream::Stream;

/// The type and length of a message (PostgreSQL's documentation, "Message Formats").
const HEADER_BYTES: usize = 5;
/// The maximum length of the first message: an error, or the names of authentication methods.
const MAX_FIRST_BYTES: u32 = 64 << 10;
/// The valid types of a first message: Authentication..., ErrorResponse, NoticeResponse, NegotiateProtocolVersion.
const FIRST_TYPES: &[u8] = b"RENv";
/// The server's first message is not valid.
#[derive(Debug, thiserror::Error)]
#[error("not a valid PostgreSQL response: is another service listening there?")]
pub struct NotPostgres;

/// A stream whose first message is checked.
#[derive(Debug)]
pub struct CheckedStream {
    stream: Stream,
    header: [u8; HEADER_BYTES],
    seen: usize,
}

impl CheckedStream {
    /// Wraps `stream`, on which nothing has been received yet.
    pub fn new(stream: Stream) -> Self {
        Self {
            stream,
            header: [0; HEADER_BYTES],
            seen: 0,
        }
    }

    fn check_header(&mut self, received: &[u8]) -> io::Result<()> {
        let count = received.len().min(HEADER_BYTES - self.seen);
        self.header[self.seen..self.seen + count].copy_from_slice(&received[..count]);
        self.seen += count;
        let [kind, length @ ..] = self.header;
        let is_wrong = self.seen > 0 && !FIRST_TYPES.contains(&kind)
            || self.seen == HEADER_BYTES && !(4..=MAX_FIRST_BYTES).contains(&u32::from_be_bytes(length));
        match is_wrong {
            true => Err(io::Error::new(io::ErrorKind::InvalidData, NotPostgres)),
            false => Ok(()),
        }
    }
}

impl AsyncRead for CheckedStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = into.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, into))?;
        Poll::Ready(match this.seen < HEADER_BYTES {
            true => this.check_header(&into.filled()[before..]),
            false => Ok(()),
        })
    }
}

impl AsyncWrite for CheckedStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    /// Waits for the server to close too: until then it counts the connection, and might refuse the next one because of it.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
        let mut rest = [0; 512];
        loop {
            let mut rest = ReadBuf::new(&mut rest);
            match ready!(Pin::new(&mut this.stream).poll_read(cx, &mut rest)) {
                Ok(()) if !rest.filled().is_empty() => {}
                // The connection is closed, with or without an error.
                Ok(()) | Err(_) => return Poll::Ready(Ok(())),
            }
        }
    }
}
