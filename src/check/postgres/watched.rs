//! The connection below the protocol: it looks at how the server begins to speak, since the library would wait for
//! gigabytes that garbage announces, and ends only when the server has ended too.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::net::stream::Stream;

/// A message's type and length (PostgreSQL's documentation, "Message Formats").
const HEADER_BYTES: usize = 5;
/// The longest first message: an error, or the names of authentication methods.
const MAX_FIRST_BYTES: u32 = 64 << 10;
/// What a server can say first: Authentication..., ErrorResponse, NoticeResponse, NegotiateProtocolVersion.
const FIRST: &[u8] = b"RENv";

/// The peer does not begin as a PostgreSQL server does.
#[derive(Debug, thiserror::Error)]
#[error("it does not speak PostgreSQL's protocol: is another service listening there?")]
pub struct NotPostgres;

/// A connection whose beginning is watched.
#[derive(Debug)]
pub struct Watched {
    stream: Stream,
    header: [u8; HEADER_BYTES],
    seen: usize,
}

impl Watched {
    /// Over `stream`, on which nothing of the protocol was received yet.
    pub fn new(stream: Stream) -> Self {
        Self {
            stream,
            header: [0; HEADER_BYTES],
            seen: 0,
        }
    }

    fn look(&mut self, received: &[u8]) -> io::Result<()> {
        let count = received.len().min(HEADER_BYTES - self.seen);
        self.header[self.seen..self.seen + count].copy_from_slice(&received[..count]);
        self.seen += count;
        let [kind, length @ ..] = self.header;
        let is_wrong = self.seen > 0 && !FIRST.contains(&kind)
            || self.seen == HEADER_BYTES && !(4..=MAX_FIRST_BYTES).contains(&u32::from_be_bytes(length));
        match is_wrong {
            true => Err(io::Error::new(io::ErrorKind::InvalidData, NotPostgres)),
            false => Ok(()),
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = into.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, into))?;
        Poll::Ready(match this.seen < HEADER_BYTES {
            true => this.look(&into.filled()[before..]),
            false => Ok(()),
        })
    }
}

impl AsyncWrite for Watched {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    /// Waits for the server's end too: until then it counts the connection, and might refuse the next one for it.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
        let mut rest = [0; 512];
        loop {
            let mut rest = ReadBuf::new(&mut rest);
            match ready!(Pin::new(&mut this.stream).poll_read(cx, &mut rest)) {
                Ok(()) if !rest.filled().is_empty() => {}
                // However it ended, it ended.
                Ok(()) | Err(_) => return Poll::Ready(Ok(())),
            }
        }
    }
}
