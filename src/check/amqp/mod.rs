//! A small AMQP 0-9-1 client for broker checks, based on the codec of amq-protocol: one connection with one channel.
//!
//! It spawns no task and no thread. The caller that waits for a reply reads the socket, and dropping the future or the
//! connection closes the socket at once. lapin does not fit: its connections live in threads and executors that keep running
//! when a run is cut off at its deadline.
//!
//! Everything the broker sends is bounded: the bytes per run by the stream's read budget, a frame by the negotiated size,
//! queued messages by number and size.
//!
//! ```text
//! Connection::open ─► open_channel ─► inspect_queue, publish, consume, next_message, ... ─► close_channel ─► close
//! ```
//!
//! Heartbeats are negotiated (every [`HEARTBEAT_SECONDS`]) so that the broker notices when this host is gone, but none are
//! sent: the broker counts any traffic, and checks replace a reused connection long before the broker considers it dead.

mod channel;
mod connection;
mod error;
mod frames;
mod handshake;
mod message;
mod nesting;
#[cfg(test)]
mod tests;

pub use self::channel::QueueState;
pub use self::connection::{Connection, short_string};
pub use self::error::{AmqpError, CloseReason};
pub use self::handshake::{Credentials, HEARTBEAT_SECONDS, Login};
pub use self::message::Message;

/// Parses frames that a server sent and returns their number. For tests with arbitrary input.
///
/// # Errors
/// Why the remaining bytes are not a valid frame.
#[doc(hidden)]
pub fn fuzz_parse(bytes: &[u8]) -> Result<usize, String> {
    let (mut received, mut count) = (bytes.to_vec(), 0);
    while let Some(frame) = frames::parse(&mut received, bytes.len()).map_err(|error| error.to_string())? {
        count += 1;
        drop(format!("{frame:?}"));
    }
    Ok(count)
}
