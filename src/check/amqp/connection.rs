//! A connection with its only channel: opening and closing, and the dispatch of incoming frames.

use amq_protocol::frame::AMQPFrame;
use amq_protocol::protocol::{AMQPClass, basic, channel as channels, connection};
use amq_protocol::types::ShortString;

use super::error::AmqpError;
use super::frames::Frames;
use super::message::Inbox;

/// The number of the only channel.
pub(super) const CHANNEL: u16 = 1;
/// The reply code of a normal close.
const REPLY_SUCCESS: u16 = 200;

/// A connection to a broker, logged in, with an open virtual host.
#[derive(Debug)]
pub struct Connection {
    pub(super) frames: Frames,
    /// The broker's product name, such as "RabbitMQ"; empty if unknown.
    pub product: String,
    /// The broker's version; empty if unknown.
    pub version: String,
    pub(super) blocked: Option<String>,
    pub(super) inbox: Inbox,
    pub(super) is_channel_open: bool,
    pub(super) is_open: bool,
}

/// An event that a caller waits for.
pub(super) enum Event {
    /// A method on the connection or the channel.
    Method(AMQPClass),
    /// A complete message, which is in the inbox now.
    Message,
}

impl Connection {
    /// Why the broker currently accepts no messages, such as a memory or disk alarm. RabbitMQ reports it only to connections
    /// that have published.
    pub fn blocked(&self) -> Option<&str> {
        self.blocked.as_deref()
    }

    /// Whether the channel is open. The broker closes it when it refuses an operation.
    pub fn is_channel_open(&self) -> bool {
        self.is_channel_open
    }

    /// Opens the channel.
    ///
    /// # Errors
    /// Why the broker does not open it.
    pub async fn open_channel(&mut self) -> Result<(), AmqpError> {
        let open = AMQPClass::Channel(channels::AMQPMethod::Open(channels::Open {}));
        self.frames.send(&[AMQPFrame::Method(CHANNEL, open)]).await?;
        match self.next_method().await? {
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
    /// The connection failed before the broker confirmed.
    pub async fn close_channel(&mut self) -> Result<(), AmqpError> {
        let close = channels::Close {
            reply_code: REPLY_SUCCESS,
            ..channels::Close::default()
        };
        let close = AMQPClass::Channel(channels::AMQPMethod::Close(close));
        self.frames.send(&[AMQPFrame::Method(CHANNEL, close)]).await?;
        // Messages still in transit no longer matter.
        loop {
            match self.next_event().await? {
                Event::Message => self.inbox.clear(),
                Event::Method(AMQPClass::Channel(channels::AMQPMethod::CloseOk(_))) => break,
                Event::Method(other) => return Err(unexpected(&other)),
            }
        }
        self.is_channel_open = false;
        self.inbox.clear();
        Ok(())
    }

    /// Closes the connection with the protocol's closing handshake. Dropping it sends the close frame only if the socket
    /// takes it at once. Otherwise the broker may log a warning.
    ///
    /// # Errors
    /// The connection failed before the broker confirmed.
    pub async fn close(mut self) -> Result<(), AmqpError> {
        self.is_open = false;
        self.frames.send(&[AMQPFrame::Method(0, close_method())]).await?;
        loop {
            match self.next_event().await {
                Ok(Event::Method(AMQPClass::Connection(connection::AMQPMethod::CloseOk(_)))) => return Ok(()),
                Ok(Event::Message) => self.inbox.clear(),
                Ok(Event::Method(_)) => {}
                Err(AmqpError::ConnectionClosed(_) | AmqpError::ChannelClosed(_)) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits for the next method on the connection or the channel. Messages before it go to the inbox.
    pub(super) async fn next_method(&mut self) -> Result<AMQPClass, AmqpError> {
        loop {
            if let Event::Method(method) = self.next_event().await? {
                return Ok(method);
            }
        }
    }

    /// Reads until an event is available. May be cancelled and called again.
    pub(super) async fn next_event(&mut self) -> Result<Event, AmqpError> {
        use connection::AMQPMethod as C;
        loop {
            let (channel, method) = match self.frames.receive().await? {
                AMQPFrame::Heartbeat => continue,
                AMQPFrame::Method(channel @ (0 | CHANNEL), method) => (channel, method),
                AMQPFrame::Header(CHANNEL, header) => match self.inbox.add_header(header)? {
                    true => return Ok(Event::Message),
                    false => continue,
                },
                AMQPFrame::Body(CHANNEL, body) => match self.inbox.add_body(&body)? {
                    true => return Ok(Event::Message),
                    false => continue,
                },
                _ => return Err(AmqpError::Protocol("an unexpected frame".to_owned())),
            };
            match (channel, method) {
                (0, AMQPClass::Connection(method)) => match method {
                    C::Blocked(blocked) => self.blocked = Some(blocked.reason.to_string()),
                    C::Unblocked(_) => self.blocked = None,
                    C::Close(close) => return Err(self.confirm_close(&close).await),
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
                    basic::AMQPMethod::Deliver(deliver) => self.inbox.start_delivery(deliver)?,
                    basic::AMQPMethod::GetOk(got) => self.inbox.start_get(got)?,
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

    /// Confirms the broker's close and returns it as an error.
    async fn confirm_close(&mut self, close: &connection::Close) -> AmqpError {
        self.is_open = false;
        let ok = AMQPClass::Connection(connection::AMQPMethod::CloseOk(connection::CloseOk {}));
        // The connection is over, whether or not the broker reads this.
        let _ = self.frames.send(&[AMQPFrame::Method(0, ok)]).await;
        AmqpError::ConnectionClosed(close.into())
    }
}

impl Drop for Connection {
    /// Sends a close frame if possible: a broker logs a warning for each connection that ends without one.
    fn drop(&mut self) {
        if self.is_open {
            self.frames.try_send_last(&AMQPFrame::Method(0, close_method()));
        }
    }
}

pub(super) fn close_method() -> AMQPClass {
    AMQPClass::Connection(connection::AMQPMethod::Close(connection::Close {
        reply_code: REPLY_SUCCESS,
        ..connection::Close::default()
    }))
}

/// The error for a method that does not belong here. Its content is not shown.
pub(super) fn unexpected(method: &AMQPClass) -> AmqpError {
    let class = match method {
        AMQPClass::Connection(_) => "connection",
        AMQPClass::Channel(_) => "channel",
        AMQPClass::Exchange(_) => "exchange",
        AMQPClass::Queue(_) => "queue",
        AMQPClass::Basic(_) => "basic",
        _ => "other",
    };
    AmqpError::Protocol(format!("an unexpected method of class {class}"))
}

/// Converts a name to the protocol's short string.
///
/// # Errors
/// The name is longer than 255 bytes.
pub fn short_string(text: &str) -> Result<ShortString, AmqpError> {
    ShortString::try_new(text)
        .map_err(|_| AmqpError::Limit(format!("a name has {} bytes, the limit is 255", text.len())))
}
