//! Sends a request (RFC 9112, section 3).

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::Request;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use tokio::io::AsyncWrite;

/// The part of a request that is not sent yet.
pub struct Outgoing {
    head: Bytes,
    body: Bytes,
    /// Whether everything was written but may still wait in this process, as it does with TLS.
    needs_flush: bool,
}

impl Outgoing {
    /// Prepares a request to be sent.
    pub fn new(request: Request<Bytes>) -> Self {
        let (parts, body) = request.into_parts();
        let target = parts.uri.to_string();
        let fields = parts.headers.iter();
        let sizes = fields.map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len());
        let line = parts.method.as_str().len()
            + target.len()
            + "  HTTP/1.1\r\n\r\ncontent-length: 4294967295\r\n".len();
        let mut head = Vec::with_capacity(line + sizes.sum::<usize>());
        for piece in [parts.method.as_str(), " ", &target, " HTTP/1.1\r\n"] {
            head.extend_from_slice(piece.as_bytes());
        }
        for (name, value) in &parts.headers {
            // The body is never chunked.
            if name != TRANSFER_ENCODING {
                for piece in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                    head.extend_from_slice(piece);
                }
            }
        }
        if !body.is_empty() && !parts.headers.contains_key(CONTENT_LENGTH) {
            head.extend_from_slice(CONTENT_LENGTH.as_str().as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(itoa::Buffer::new().format(body.len()).as_bytes());
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(b"\r\n");
        Self {
            head: head.into(),
            body,
            needs_flush: true,
        }
    }

    /// Sends the rest.
    pub fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        mut stream: impl AsyncWrite + Unpin,
    ) -> Poll<io::Result<()>> {
        while !(self.head.is_empty() && self.body.is_empty()) {
            let written = match self.body.is_empty() {
                true => Pin::new(&mut stream).poll_write(cx, &self.head),
                false => {
                    let pieces = [IoSlice::new(&self.head), IoSlice::new(&self.body)];
                    Pin::new(&mut stream).poll_write_vectored(cx, &pieces)
                }
            };
            match ready!(written)? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                length => self.advance(length),
            }
        }
        if self.needs_flush {
            ready!(Pin::new(&mut stream).poll_flush(cx))?;
            // Frees the memory.
            self.discard();
        }
        Poll::Ready(Ok(()))
    }

    /// Sends nothing more.
    pub fn discard(&mut self) {
        (self.head, self.body) = (Bytes::new(), Bytes::new());
        self.needs_flush = false;
    }

    /// How much is left.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.head.len() + self.body.len()
    }

    fn advance(&mut self, length: usize) {
        let of_head = length.min(self.head.len());
        self.head.advance(of_head);
        self.body.advance(length - of_head);
    }
}
