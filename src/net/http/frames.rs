//! Parses the HTTP/2 frames of a server (RFC 9113, section 4.1), to find out what the library does not report: whether the
//! server processed the request, and the size of the response's head. Every connection has one request.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The stream of the only request (RFC 9113, section 5.1.1).
const OUR_STREAM: u32 = 1;
/// The length of a frame's header.
const HEAD_BYTES: usize = 9;
/// How much of a payload is parsed: the stream and the code of a GOAWAY.
const KEPT_BYTES: usize = 8;

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
/// The error code REFUSED_STREAM (RFC 9113, section 7).
const REFUSED_STREAM: u32 = 7;

/// The frames that a server has sent so far.
#[derive(Debug, Default)]
pub struct Frames {
    head: Vec<u8>,
    payload: Vec<u8>,
    /// How much of the payload is missing.
    left: usize,
    is_refused: bool,
    last_processed: Option<u32>,
    header_bytes: usize,
}

impl Frames {
    /// Whether the server reported that it did not process the request, so that a retry is safe (RFC 9113, section 8.7).
    pub fn is_unprocessed(&self) -> bool {
        let is_excluded = self.last_processed.is_some_and(|last| last < OUR_STREAM);
        self.header_bytes == 0 && (self.is_refused || is_excluded)
    }

    /// The compressed size of the response's head.
    pub fn header_bytes(&self) -> usize {
        self.header_bytes
    }

    /// Parses the next bytes.
    pub fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.head.len() < HEAD_BYTES {
                let (head, rest) = bytes.split_at(bytes.len().min(HEAD_BYTES - self.head.len()));
                self.head.extend_from_slice(head);
                bytes = rest;
                if let [high, middle, low, ..] = self.head[..]
                    && self.head.len() == HEAD_BYTES
                {
                    self.left = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
                }
            }
            let (payload, rest) = bytes.split_at(bytes.len().min(self.left));
            let kept = payload.len().min(KEPT_BYTES - self.payload.len());
            self.payload.extend_from_slice(&payload[..kept]);
            self.left -= payload.len();
            bytes = rest;
            if self.head.len() == HEAD_BYTES && self.left == 0 {
                self.end_frame();
            }
        }
    }

    /// Evaluates a complete frame.
    fn end_frame(&mut self) {
        let length =
            usize::from(self.head[0]) << 16 | usize::from(self.head[1]) << 8 | usize::from(self.head[2]);
        let stream = stream_number(&self.head[5..]);
        match self.head[3] {
            HEADERS | CONTINUATION if stream == OUR_STREAM => self.header_bytes += length,
            RST_STREAM if stream == OUR_STREAM => {
                self.is_refused |= self.payload.len() >= 4 && u32_of(&self.payload) == REFUSED_STREAM;
            }
            GOAWAY if self.payload.len() == KEPT_BYTES => {
                let last = stream_number(&self.payload);
                // GOAWAY may be repeated; the number never rises (RFC 9113, section 6.8).
                self.last_processed = Some(self.last_processed.map_or(last, |before| before.min(last)));
            }
            _ => {}
        }
        self.head.clear();
        self.payload.clear();
    }
}

/// The first four bytes as a number.
fn u32_of(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .take(4)
        .fold(0, |number, byte| number << 8 | u32::from(*byte))
}

/// The first four bytes as a stream number. The first bit is reserved.
fn stream_number(bytes: &[u8]) -> u32 {
    u32_of(bytes) & 0x7fff_ffff
}

/// A stream that parses the frames it reads.
#[derive(Debug)]
pub struct FrameReader<S> {
    inner: S,
    frames: Arc<Mutex<Frames>>,
}

impl<S> FrameReader<S> {
    /// Wraps a stream. Returns it with the parsed frames.
    pub fn new(inner: S) -> (Self, Arc<Mutex<Frames>>) {
        let frames = Arc::default();
        let reader = Self {
            inner,
            frames: Arc::clone(&frames),
        };
        (reader, frames)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for FrameReader<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = into.filled().len();
        ready!(Pin::new(&mut this.inner).poll_read(cx, into))?;
        let mut frames = this.frames.lock().unwrap_or_else(PoisonError::into_inner);
        frames.feed(&into.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for FrameReader<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
        let length = u8::try_from(payload.len()).unwrap();
        [&[0, 0, length, kind, 0, 0, 0, 0, stream], payload].concat()
    }

    #[test]
    fn a_request_is_unprocessed_if_the_server_reports_it() {
        let goaway = |last: u8| frame(GOAWAY, 0, &[0, 0, 0, last, 0, 0, 0, 0, b'b', b'y', b'e']);
        let graceful = frame(GOAWAY, 0, &[0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
        let reset = |code: u8, stream: u8| frame(RST_STREAM, stream, &[0, 0, 0, code]);
        let response = frame(HEADERS, 1, &[0x88]);
        for (frames, is_unprocessed) in [
            (vec![], false),
            (vec![goaway(0)], true),
            (vec![goaway(1)], false),
            (vec![graceful.clone()], false),
            (vec![graceful, goaway(0)], true),
            (vec![goaway(0), goaway(1)], true),
            (vec![reset(7, 1)], true),
            (vec![goaway(1), reset(7, 1)], true),
            (vec![reset(8, 1)], false),
            (vec![reset(7, 3)], false),
            (vec![response.clone(), reset(7, 1)], false),
            (vec![response, goaway(0)], false),
        ] {
            let bytes = [vec![frame(4, 0, &[])], frames].concat().concat();
            for size in [1, 4, bytes.len()] {
                let mut seen = Frames::default();
                bytes.chunks(size).for_each(|piece| seen.feed(piece));
                assert_eq!(seen.is_unprocessed(), is_unprocessed, "{bytes:?}");
            }
        }
    }

    #[test]
    fn the_head_of_a_response_is_measured() {
        let mut seen = Frames::default();
        let continued = [frame(HEADERS, 1, &[0; 200]), frame(CONTINUATION, 1, &[0; 100])].concat();
        seen.feed(&continued);
        seen.feed(&frame(0, 1, &[0; 50]));
        assert_eq!(seen.header_bytes(), 300);
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_with_bounded_memory(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut seen = Frames::default();
            bytes.chunks(7).for_each(|piece| seen.feed(piece));
            prop_assert!(seen.head.len() <= HEAD_BYTES && seen.payload.len() <= KEPT_BYTES);
        }
    }
}
