//! Frames on the wire: reads and writes whole frames up to the negotiated size.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use amq_protocol::frame::{AMQPFrame, gen_frame, parse_frame};
use amq_protocol::protocol::constants::{
    FRAME_BODY, FRAME_END, FRAME_HEADER, FRAME_HEARTBEAT, FRAME_METHOD, FRAME_MIN_SIZE,
};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::error::AmqpError;
use super::nesting::{is_header_safe, is_method_safe};
use crate::net::stream::Stream;

/// Type, channel and size in front of a frame's payload.
const HEAD_BYTES: usize = 7;
/// The bytes of a frame in addition to its payload: the head and the end marker.
pub const OVERHEAD_BYTES: usize = HEAD_BYTES + 1;
/// How large the receive buffer stays between frames.
const IDLE_BUFFER_BYTES: usize = 4 << 10;

/// Both directions of a connection. `Debug` shows none of the transferred data.
pub struct Frames {
    stream: Stream,
    /// Received bytes that are not a whole frame yet.
    received: Vec<u8>,
    /// The longest frame, including its overhead.
    max_frame: usize,
    /// A write has started and not finished. If it was cancelled, nothing else can be sent.
    is_sending: bool,
}

impl Frames {
    /// Wraps a new connection. Until another size is negotiated, frames have the smallest size that every peer accepts.
    pub fn new(stream: Stream) -> Self {
        Self {
            stream,
            received: Vec::new(),
            max_frame: FRAME_MIN_SIZE as usize,
            is_sending: false,
        }
    }

    /// Sets the negotiated maximum size of frames.
    pub fn set_max_frame(&mut self, max_frame: usize) {
        self.max_frame = max_frame;
    }

    /// The longest payload of a frame, in bytes.
    pub fn max_payload(&self) -> usize {
        self.max_frame - OVERHEAD_BYTES
    }

    /// Sends raw bytes.
    ///
    /// # Errors
    /// The socket fails.
    pub async fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), AmqpError> {
        if self.is_sending {
            return Err(AmqpError::Ended);
        }
        self.is_sending = true;
        self.stream.write_all(bytes).await?;
        self.stream.flush().await?;
        self.is_sending = false;
        Ok(())
    }

    /// Sends frames. If this is cancelled, the connection can't be used any more.
    ///
    /// # Errors
    /// The socket fails.
    pub async fn send(&mut self, frames: &[AMQPFrame]) -> Result<(), AmqpError> {
        let mut bytes = Vec::new();
        for frame in frames {
            bytes = encode(frame, bytes)?;
        }
        self.send_bytes(&bytes).await
    }

    /// Sends a frame without waiting, if the system takes it at once. For use when a connection is dropped.
    pub fn try_send_last(&mut self, frame: &AMQPFrame) {
        let Ok(bytes) = encode(frame, Vec::new()) else {
            return;
        };
        if self.is_sending {
            return;
        }
        let mut context = Context::from_waker(Waker::noop());
        let mut stream = Pin::new(&mut self.stream);
        if let Poll::Ready(Ok(_)) = stream.as_mut().poll_write(&mut context, &bytes) {
            // Nothing waits for the result.
            let _ = stream.as_mut().poll_flush(&mut context);
            let _ = stream.poll_shutdown(&mut context);
        }
    }

    /// Waits for the next frame. May be cancelled and called again.
    ///
    /// # Errors
    /// The socket fails or ends, or the bytes are not a frame that a server sends.
    pub async fn receive(&mut self) -> Result<AMQPFrame, AmqpError> {
        loop {
            let max_payload = self.max_payload();
            if let Some(frame) = parse(&mut self.received, max_payload)? {
                return Ok(frame);
            }
            if self.received.is_empty() && self.received.capacity() > IDLE_BUFFER_BYTES {
                self.received = Vec::with_capacity(IDLE_BUFFER_BYTES);
            }
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err(AmqpError::Ended);
            }
        }
    }
}

/// Removes the first frame from `received` if it is complete. Its payload may have at most `max_payload` bytes.
pub(super) fn parse(received: &mut Vec<u8>, max_payload: usize) -> Result<Option<AMQPFrame>, AmqpError> {
    let Some(&kind) = received.first() else {
        return Ok(None);
    };
    if !matches!(kind, FRAME_METHOD | FRAME_HEADER | FRAME_BODY | FRAME_HEARTBEAT) {
        return explain_foreign(received);
    }
    let Some(head) = received.first_chunk::<HEAD_BYTES>() else {
        return Ok(None);
    };
    let size = u32::from_be_bytes([head[3], head[4], head[5], head[6]]) as usize;
    if size > max_payload {
        let what = format!("a frame has {size} bytes, the limit is {max_payload}");
        return Err(AmqpError::Protocol(what));
    }
    let Some(whole) = received.get(..size + OVERHEAD_BYTES) else {
        return Ok(None);
    };
    let payload = &whole[HEAD_BYTES..HEAD_BYTES + size];
    let is_safe = whole.last() == Some(&FRAME_END)
        && match kind {
            FRAME_METHOD => is_method_safe(payload),
            FRAME_HEADER => is_header_safe(payload),
            _ => true,
        };
    let malformed = || AmqpError::Protocol("a malformed frame".to_owned());
    if !is_safe {
        return Err(malformed());
    }
    let frame = match parse_frame(whole) {
        Ok(([], frame)) => frame,
        _ => return Err(malformed()),
    };
    received.drain(..size + OVERHEAD_BYTES);
    Ok(Some(frame))
}

/// Explains bytes that are not a frame. A server that speaks another AMQP version responds with that version's
/// header. Any other server responds in its own protocol.
fn explain_foreign(received: &[u8]) -> Result<Option<AMQPFrame>, AmqpError> {
    let begun = &received[..received.len().min(4)];
    let what = match received {
        [b'A', b'M', b'Q', b'P', id, major, minor, revision, ..] => match [*id, *major, *minor, *revision] {
            [0, 0, 9, 1] => "the server echoes our protocol header".to_owned(),
            [id, major, minor, revision] => {
                format!("the server requires version {major}.{minor}.{revision}, protocol {id}")
            }
        },
        _ if begun == &b"AMQP"[..begun.len()] => return Ok(None),
        [b'H', b'T', b'T', b'P', ..] => {
            "the server responded with HTTP: is this the management port?".to_owned()
        }
        _ if begun == &b"HTTP"[..begun.len()] => return Ok(None),
        // A TLS alert.
        [0x15, ..] => "the server uses TLS: use amqps://".to_owned(),
        _ => "the data is not a frame".to_owned(),
    };
    Err(AmqpError::Protocol(what))
}

/// Appends the encoded frame to `bytes`.
fn encode(frame: &AMQPFrame, bytes: Vec<u8>) -> Result<Vec<u8>, AmqpError> {
    match gen_frame(frame)(bytes.into()) {
        Ok(context) => Ok(context.into_inner().0),
        Err(error) => Err(AmqpError::Socket(io::Error::other(error.to_string()))),
    }
}

impl std::fmt::Debug for Frames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Frames").finish_non_exhaustive()
    }
}
