//! Incoming messages: a method, a header, and bodies until the announced size is reached.

use std::collections::VecDeque;

use amq_protocol::frame::AMQPContentHeader;
use amq_protocol::protocol::BasicProperties;
use amq_protocol::protocol::basic::{Deliver, GetOk};

use super::error::AmqpError;

/// The largest message, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 1 << 20;
/// The maximum size of all queued messages, in bytes.
const MAX_QUEUED_BYTES: usize = 4 << 20;
/// The maximum number of queued messages.
const MAX_QUEUED: usize = 10_000;

/// A message from the broker.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// The consumer that receives it; `None` for the reply to a get.
    pub consumer_tag: Option<String>,
    /// The tag that acknowledges it.
    pub delivery_tag: u64,
    /// Whether it was delivered before.
    pub redelivered: bool,
    /// The exchange it was published to.
    pub exchange: String,
    /// Its routing key.
    pub routing_key: String,
    /// Its properties.
    pub properties: BasicProperties,
    /// Its body.
    pub body: Vec<u8>,
}

/// Messages that have arrived, and the one that is incomplete.
#[derive(Debug, Default)]
pub struct Inbox {
    ready: VecDeque<Message>,
    ready_bytes: usize,
    incomplete: Option<Incomplete>,
}

#[derive(Debug)]
struct Incomplete {
    message: Message,
    /// The size of its body; unknown until the header arrives.
    size: Option<usize>,
}

impl Inbox {
    /// Starts a message for a consumer.
    pub fn start_delivery(&mut self, deliver: Deliver) -> Result<(), AmqpError> {
        self.begin(Message {
            consumer_tag: Some(deliver.consumer_tag.into()),
            delivery_tag: deliver.delivery_tag,
            redelivered: deliver.redelivered,
            exchange: deliver.exchange.into(),
            routing_key: deliver.routing_key.into(),
            properties: BasicProperties::default(),
            body: Vec::new(),
        })
    }

    /// Starts the message of a get.
    pub fn start_get(&mut self, got: GetOk) -> Result<(), AmqpError> {
        self.begin(Message {
            consumer_tag: None,
            delivery_tag: got.delivery_tag,
            redelivered: got.redelivered,
            exchange: got.exchange.into(),
            routing_key: got.routing_key.into(),
            properties: BasicProperties::default(),
            body: Vec::new(),
        })
    }

    fn begin(&mut self, message: Message) -> Result<(), AmqpError> {
        if self.incomplete.is_some() {
            return Err(unexpected_part());
        }
        self.incomplete = Some(Incomplete { message, size: None });
        Ok(())
    }

    /// Adds the header. Returns whether the message is complete.
    pub fn add_header(&mut self, header: AMQPContentHeader) -> Result<bool, AmqpError> {
        let Some(incomplete) = self
            .incomplete
            .as_mut()
            .filter(|incomplete| incomplete.size.is_none())
        else {
            return Err(unexpected_part());
        };
        let size = usize::try_from(header.body_size).unwrap_or(usize::MAX);
        if size > MAX_MESSAGE_BYTES {
            let what = format!("a message has {size} bytes, the limit is {MAX_MESSAGE_BYTES}");
            return Err(AmqpError::Limit(what));
        }
        incomplete.size = Some(size);
        incomplete.message.properties = header.properties;
        self.finish_if_complete()
    }

    /// Adds a part of the body. Returns whether the message is complete.
    pub fn add_body(&mut self, body: &[u8]) -> Result<bool, AmqpError> {
        let Some(Incomplete {
            message,
            size: Some(size),
        }) = &mut self.incomplete
        else {
            return Err(unexpected_part());
        };
        if body.len() > *size - message.body.len() {
            return Err(AmqpError::Protocol(
                "a message is longer than its header states".to_owned(),
            ));
        }
        message.body.extend_from_slice(body);
        self.finish_if_complete()
    }

    fn finish_if_complete(&mut self) -> Result<bool, AmqpError> {
        let is_complete = |incomplete: &Incomplete| incomplete.size == Some(incomplete.message.body.len());
        let Some(Incomplete { message, .. }) = self.incomplete.take_if(|incomplete| is_complete(incomplete))
        else {
            return Ok(false);
        };
        self.ready_bytes += message.body.len();
        self.ready.push_back(message);
        if self.ready.len() > MAX_QUEUED || self.ready_bytes > MAX_QUEUED_BYTES {
            return Err(AmqpError::Limit(format!(
                "more than {MAX_QUEUED} messages or {MAX_QUEUED_BYTES} bytes of messages are waiting"
            )));
        }
        Ok(true)
    }

    /// Removes the oldest message.
    pub fn take(&mut self) -> Option<Message> {
        let message = self.ready.pop_front()?;
        self.ready_bytes -= message.body.len();
        Some(message)
    }

    /// Removes the message of a get.
    pub fn take_got(&mut self) -> Option<Message> {
        let at = self
            .ready
            .iter()
            .position(|message| message.consumer_tag.is_none())?;
        let message = self.ready.remove(at)?;
        self.ready_bytes -= message.body.len();
        Some(message)
    }

    /// Drops all messages.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

fn unexpected_part() -> AmqpError {
    AmqpError::Protocol("an unexpected part of a message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(body_size: u64) -> AMQPContentHeader {
        AMQPContentHeader {
            class_id: 60,
            body_size,
            properties: BasicProperties::default().with_correlation_id("7".into()),
        }
    }

    #[test]
    fn a_message_is_assembled() {
        let mut inbox = Inbox::default();
        inbox
            .start_delivery(Deliver {
                consumer_tag: "me".into(),
                ..Deliver::default()
            })
            .unwrap();
        assert!(!inbox.add_header(header(5)).unwrap());
        assert!(!inbox.add_body(b"abc").unwrap());
        assert!(inbox.add_body(b"de").unwrap());
        inbox.start_get(GetOk::default()).unwrap();
        assert!(inbox.add_header(header(0)).unwrap());
        assert_eq!(inbox.take_got().unwrap().body, b"");
        let message = inbox.take().unwrap();
        assert_eq!((message.body.as_slice(), inbox.ready_bytes), (&b"abcde"[..], 0));
        assert_eq!(
            message.properties.correlation_id().as_ref().unwrap().as_str(),
            "7"
        );
        assert_eq!(inbox.take(), None);
    }

    #[test]
    fn parts_must_come_in_order_and_within_limits() {
        let mut inbox = Inbox::default();
        assert!(inbox.add_body(b"a").is_err());
        assert!(inbox.add_header(header(1)).is_err());
        inbox.start_delivery(Deliver::default()).unwrap();
        assert!(inbox.start_delivery(Deliver::default()).is_err());
        assert!(inbox.add_body(b"a").is_err());
        let error = inbox.add_header(header(u64::MAX)).unwrap_err();
        assert!(matches!(error, AmqpError::Limit(_)), "{error}");
        inbox.add_header(header(1)).unwrap();
        assert!(inbox.add_body(b"ab").is_err());
    }

    #[test]
    fn queued_messages_are_bounded() {
        let mut inbox = Inbox::default();
        let mut one = || {
            inbox.start_delivery(Deliver::default())?;
            inbox.add_header(header(0))
        };
        assert!((0..MAX_QUEUED).all(|_| one().is_ok()));
        assert!(matches!(one(), Err(AmqpError::Limit(_))));
    }
}
