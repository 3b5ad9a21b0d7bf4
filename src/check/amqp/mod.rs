//! A small AMQP 0-9-1 client on the codec of amq-protocol, for the checks of brokers: one connection with one channel.
//!
//! It has no task and no thread of its own: whoever waits for an answer reads the socket, and who drops the future or the
//! connection closes it at once. That is why it is not lapin, whose connections live in threads and executors that go on
//! when a run is cut off at its deadline.
//!
//! What the broker sends is bounded: the bytes of a run by the stream's allowance, a frame by the size agreed, messages
//! that nobody has taken yet by number and size.
//!
//! ```text
//! Connection::open ─► open_channel ─► inspect_queue, publish, consume, next_message, ... ─► close_channel ─► close
//! ```
//!
//! Heartbeats are agreed on (every [`HEARTBEAT_SECONDS`]) so that the broker notices when this host is gone, but none are
//! sent: the broker counts any traffic, and checks replace a kept connection long before it counts as dead.

mod channel;
mod error;
mod frames;
mod handshake;
mod message;
mod nesting;
#[cfg(test)]
mod tests;

use amq_protocol::frame::AMQPFrame;
use amq_protocol::protocol::{AMQPClass, basic, channel as channels, connection};
use amq_protocol::types::ShortString;

pub use self::channel::QueueState;
pub use self::error::{AmqpError, Reply};
use self::frames::Frames;
pub use self::handshake::{Credentials, HEARTBEAT_SECONDS, Login};
use self::message::Inbox;
pub use self::message::Message;

/// The only channel.
const CHANNEL: u16 = 1;

/// A connection to a broker, logged in, with its virtual host open.
#[derive(Debug)]
pub struct Connection {
    frames: Frames,
    /// The broker's name for itself, "RabbitMQ"; empty where it has none.
    pub product: String,
    /// Its version; empty where it tells none.
    pub version: String,
    blocked: Option<String>,
    inbox: Inbox,
    is_channel_open: bool,
    is_open: bool,
}

/// What came on the connection that has to do with what is waited for.
enum Event {
    /// The answer of the connection or the channel.
    Method(AMQPClass),
    /// A whole message, in the inbox now.
    Message,
}

impl Connection {
    /// Why the broker takes no messages at present, where it said so: an alarm of memory or disk. RabbitMQ says so only
    /// to connections that have published.
    pub fn blocked(&self) -> Option<&str> {
        self.blocked.as_deref()
    }

    /// Whether a channel is open. The broker closes it when it refuses an operation.
    pub fn is_channel_open(&self) -> bool {
        self.is_channel_open
    }

    /// Opens the channel.
    ///
    /// # Errors
    /// Why the broker opens none.
    pub async fn open_channel(&mut self) -> Result<(), AmqpError> {
        let open = AMQPClass::Channel(channels::AMQPMethod::Open(channels::Open {}));
        self.frames.send(&[AMQPFrame::Method(CHANNEL, open)]).await?;
        match self.answer().await? {
            AMQPClass::Channel(channels::AMQPMethod::OpenOk(_)) => {
                self.is_channel_open = true;
                Ok(())
            }
            other => Err(unexpected(&other)),
        }
    }

    /// Closes the channel.
    ///
    /// # Errors
    /// When the connection fails meanwhile.
    pub async fn close_channel(&mut self) -> Result<(), AmqpError> {
        let close = channels::Close {
            reply_code: REPLY_SUCCESS,
            ..channels::Close::default()
        };
        let close = AMQPClass::Channel(channels::AMQPMethod::Close(close));
        self.frames.send(&[AMQPFrame::Method(CHANNEL, close)]).await?;
        // Messages that were on their way are of no interest any more.
        loop {
            match self.event().await? {
                Event::Message => self.inbox.clear(),
                Event::Method(AMQPClass::Channel(channels::AMQPMethod::CloseOk(_))) => break,
                Event::Method(other) => return Err(unexpected(&other)),
            }
        }
        self.is_channel_open = false;
        self.inbox.clear();
        Ok(())
    }

    /// Closes the connection as the protocol wants it. Dropping it is as good for us, and costs the broker a warning in
    /// its log where the system does not take the parting word at once.
    ///
    /// # Errors
    /// When the connection fails meanwhile.
    pub async fn close(mut self) -> Result<(), AmqpError> {
        self.is_open = false;
        self.frames.send(&[AMQPFrame::Method(0, parting())]).await?;
        loop {
            match self.event().await {
                Ok(Event::Method(AMQPClass::Connection(connection::AMQPMethod::CloseOk(_)))) => return Ok(()),
                Ok(Event::Message) => self.inbox.clear(),
                Ok(Event::Method(_)) => {}
                Err(AmqpError::ConnectionClosed(_) | AmqpError::ChannelClosed(_)) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// The next answer on the connection or the channel; messages before it go to the inbox.
    async fn answer(&mut self) -> Result<AMQPClass, AmqpError> {
        loop {
            if let Event::Method(method) = self.event().await? {
                return Ok(method);
            }
        }
    }

    /// Reads until something is there. May be cancelled and called again.
    async fn event(&mut self) -> Result<Event, AmqpError> {
        use connection::AMQPMethod as C;
        loop {
            let (channel, method) = match self.frames.receive().await? {
                AMQPFrame::Heartbeat => continue,
                AMQPFrame::Method(channel @ (0 | CHANNEL), method) => (channel, method),
                AMQPFrame::Header(CHANNEL, header) => match self.inbox.header(header)? {
                    true => return Ok(Event::Message),
                    false => continue,
                },
                AMQPFrame::Body(CHANNEL, body) => match self.inbox.body(&body)? {
                    true => return Ok(Event::Message),
                    false => continue,
                },
                _ => return Err(AmqpError::Protocol("a frame out of place".to_owned())),
            };
            match (channel, method) {
                (0, AMQPClass::Connection(method)) => match method {
                    C::Blocked(blocked) => self.blocked = Some(blocked.reason.to_string()),
                    C::Unblocked(_) => self.blocked = None,
                    C::Close(close) => return Err(self.closed(&close).await),
                    other => return Ok(Event::Method(AMQPClass::Connection(other))),
                },
                (CHANNEL, AMQPClass::Channel(channels::AMQPMethod::Close(close))) => {
                    self.is_channel_open = false;
                    self.inbox.clear();
                    let ok = AMQPClass::Channel(channels::AMQPMethod::CloseOk(channels::CloseOk {}));
                    self.frames.send(&[AMQPFrame::Method(CHANNEL, ok)]).await?;
                    return Err(AmqpError::ChannelClosed((&close).into()));
                }
                (CHANNEL, AMQPClass::Channel(channels::AMQPMethod::Flow(flow))) => {
                    let ok = channels::AMQPMethod::FlowOk(channels::FlowOk { active: flow.active });
                    let ok = AMQPFrame::Method(CHANNEL, AMQPClass::Channel(ok));
                    self.frames.send(&[ok]).await?;
                }
                (CHANNEL, AMQPClass::Basic(method)) => match method {
                    basic::AMQPMethod::Deliver(deliver) => self.inbox.deliver(deliver)?,
                    basic::AMQPMethod::GetOk(got) => self.inbox.got(got)?,
                    basic::AMQPMethod::Cancel(cancel) => {
                        return Err(AmqpError::ConsumerCancelled(cancel.consumer_tag.to_string()));
                    }
                    other => return Ok(Event::Method(AMQPClass::Basic(other))),
                },
                (0, other) => return Err(unexpected(&other)),
                (_, other) => return Ok(Event::Method(other)),
            }
        }
    }

    /// Says that the broker's close was heard; what it means.
    async fn closed(&mut self, close: &connection::Close) -> AmqpError {
        self.is_open = false;
        let ok = AMQPClass::Connection(connection::AMQPMethod::CloseOk(connection::CloseOk {}));
        // It makes no difference whether the broker still hears it.
        let _ = self.frames.send(&[AMQPFrame::Method(0, ok)]).await;
        AmqpError::ConnectionClosed(close.into())
    }
}

impl Drop for Connection {
    /// A broker logs a warning for each connection that ends without a word.
    fn drop(&mut self) {
        if self.is_open {
            self.frames.send_parting(&AMQPFrame::Method(0, parting()));
        }
    }
}

/// The code of a close without a cause.
const REPLY_SUCCESS: u16 = 200;

fn parting() -> AMQPClass {
    AMQPClass::Connection(connection::AMQPMethod::Close(connection::Close {
        reply_code: REPLY_SUCCESS,
        ..connection::Close::default()
    }))
}

/// An answer to something that was not asked. Its content is not shown.
fn unexpected(method: &AMQPClass) -> AmqpError {
    let class = match method {
        AMQPClass::Connection(_) => "connection",
        AMQPClass::Channel(_) => "channel",
        AMQPClass::Exchange(_) => "exchange",
        AMQPClass::Queue(_) => "queue",
        AMQPClass::Basic(_) => "basic",
        _ => "another",
    };
    AmqpError::Protocol(format!("an answer of the class {class} that was not asked for"))
}

/// A name as the protocol bears it.
///
/// # Errors
/// When it has more than 255 bytes.
pub fn short(text: &str) -> Result<ShortString, AmqpError> {
    ShortString::try_new(text)
        .map_err(|_| AmqpError::Limit(format!("a name of {} bytes, where 255 are the most", text.len())))
}

/// Takes frames off what a server sent: how many there are. For tests with arbitrary input.
///
/// # Errors
/// Why the rest is no frame.
#[doc(hidden)]
pub fn fuzz_parse(bytes: &[u8]) -> Result<usize, String> {
    let (mut received, mut count) = (bytes.to_vec(), 0);
    while let Some(frame) = frames::parse(&mut received, bytes.len()).map_err(|error| error.to_string())? {
        count += 1;
        drop(format!("{frame:?}"));
    }
    Ok(count)
}
