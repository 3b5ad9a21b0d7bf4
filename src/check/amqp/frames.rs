//! Frames on the wire: whole ones, one after the other, none longer than agreed.

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

/// Type, channel and size before a frame's payload.
const HEAD_BYTES: usize = 7;
/// What a frame has beside its payload: the head and the end mark.
pub const AROUND_PAYLOAD: usize = HEAD_BYTES + 1;
/// How much is kept allocated while nothing is under way.
const KEPT_BYTES: usize = 4 << 10;

/// The two directions of a connection. Shows nothing of what goes over it.
pub struct Frames {
    stream: Stream,
    /// What came and is no whole frame yet.
    received: Vec<u8>,
    /// The longest frame, all of it counted.
    most: usize,
    /// A frame was begun and not ended: nothing else can be sent any more.
    is_sending: bool,
}

impl Frames {
    /// Over a new connection. Until another size is agreed, frames have the smallest size that everybody must take.
    pub fn new(stream: Stream) -> Self {
        Self {
            stream,
            received: Vec::new(),
            most: FRAME_MIN_SIZE as usize,
            is_sending: false,
        }
    }

    /// From now on frames of this size come and go.
    pub fn agree(&mut self, most: usize) {
        self.most = most;
    }

    /// The longest payload of a frame.
    pub fn most_payload(&self) -> usize {
        self.most - AROUND_PAYLOAD
    }

    /// Sends bytes that are no frame.
    ///
    /// # Errors
    /// When the socket fails.
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

    /// Sends frames. When this is cancelled the connection is of no more use.
    ///
    /// # Errors
    /// When the socket fails.
    pub async fn send(&mut self, frames: &[AMQPFrame]) -> Result<(), AmqpError> {
        let mut bytes = Vec::new();
        for frame in frames {
            bytes = written(frame, bytes)?;
        }
        self.send_bytes(&bytes).await
    }

    /// Hands a frame to the system at once, if it takes it: for the moment in which a connection is dropped.
    pub fn send_parting(&mut self, frame: &AMQPFrame) {
        let Ok(bytes) = written(frame, Vec::new()) else {
            return;
        };
        if self.is_sending {
            return;
        }
        let mut context = Context::from_waker(Waker::noop());
        let mut stream = Pin::new(&mut self.stream);
        if let Poll::Ready(Ok(_)) = stream.as_mut().poll_write(&mut context, &bytes) {
            // Whether it goes out is not to be waited for.
            let _ = stream.as_mut().poll_flush(&mut context);
            let _ = stream.poll_shutdown(&mut context);
        }
    }

    /// The next frame. May be cancelled and called again.
    ///
    /// # Errors
    /// When the socket fails or ends, or what comes is no frame that a server sends.
    pub async fn receive(&mut self) -> Result<AMQPFrame, AmqpError> {
        loop {
            let most = self.most_payload();
            if let Some(frame) = parse(&mut self.received, most)? {
                return Ok(frame);
            }
            if self.received.is_empty() && self.received.capacity() > KEPT_BYTES {
                self.received = Vec::with_capacity(KEPT_BYTES);
            }
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err(AmqpError::Ended);
            }
        }
    }
}

/// Takes a frame with a payload of at most `most` bytes off what came, if it is whole.
pub(super) fn parse(received: &mut Vec<u8>, most: usize) -> Result<Option<AMQPFrame>, AmqpError> {
    let Some(&kind) = received.first() else {
        return Ok(None);
    };
    if !matches!(kind, FRAME_METHOD | FRAME_HEADER | FRAME_BODY | FRAME_HEARTBEAT) {
        return foreign(received);
    }
    let Some(head) = received.first_chunk::<HEAD_BYTES>() else {
        return Ok(None);
    };
    let size = u32::from_be_bytes([head[3], head[4], head[5], head[6]]) as usize;
    if size > most {
        let what = format!("a frame of {size} bytes, where {most} is the most");
        return Err(AmqpError::Protocol(what));
    }
    let Some(whole) = received.get(..size + AROUND_PAYLOAD) else {
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
    received.drain(..size + AROUND_PAYLOAD);
    Ok(Some(frame))
}

/// What begins with no frame: a server that speaks another version answers with the header of that one, all others
/// with what they speak.
fn foreign(received: &[u8]) -> Result<Option<AMQPFrame>, AmqpError> {
    let begun = &received[..received.len().min(4)];
    let what = match received {
        [b'A', b'M', b'Q', b'P', id, major, minor, revision, ..] => match [*id, *major, *minor, *revision] {
            [0, 0, 9, 1] => "it only sent our protocol header back".to_owned(),
            [id, major, minor, revision] => {
                format!("it wants version {major}.{minor}.{revision}, protocol {id}")
            }
        },
        _ if begun == &b"AMQP"[..begun.len()] => return Ok(None),
        [b'H', b'T', b'T', b'P', ..] => "it answered in HTTP: is this the port of the management?".to_owned(),
        _ if begun == &b"HTTP"[..begun.len()] => return Ok(None),
        // A TLS alert.
        [0x15, ..] => "it speaks TLS: use amqps://".to_owned(),
        _ => "its answer is no frame".to_owned(),
    };
    Err(AmqpError::Protocol(what))
}

/// `bytes` with the frame after them.
fn written(frame: &AMQPFrame, bytes: Vec<u8>) -> Result<Vec<u8>, AmqpError> {
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
