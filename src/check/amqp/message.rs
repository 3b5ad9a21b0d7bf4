//! Messages that come: each one a method, a header, and bodies until its size is reached.

use std::collections::VecDeque;

use amq_protocol::frame::AMQPContentHeader;
use amq_protocol::protocol::BasicProperties;
use amq_protocol::protocol::basic::{Deliver, GetOk};

use super::error::AmqpError;

/// The largest message, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 1 << 20;
/// How much of messages that nobody has taken yet is held, in bytes.
const MAX_HELD_BYTES: usize = 4 << 20;
/// How many messages that nobody has taken yet are held.
const MAX_HELD: usize = 10_000;

/// A message from the broker.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// The consumer it is for; `None` where it was asked for.
    pub consumer_tag: Option<String>,
    /// What to acknowledge it by.
    pub delivery_tag: u64,
    /// Whether it was delivered before.
    pub redelivered: bool,
    /// The exchange it was published to.
    pub exchange: String,
    /// With this key.
    pub routing_key: String,
    /// Its properties.
    pub properties: BasicProperties,
    /// Its body.
    pub body: Vec<u8>,
}

/// Messages that have come, and the one that is coming.
#[derive(Debug, Default)]
pub struct Inbox {
    ready: VecDeque<Message>,
    ready_bytes: usize,
    coming: Option<Coming>,
}

#[derive(Debug)]
struct Coming {
    message: Message,
    /// The size of its body; unknown until the header is there.
    size: Option<usize>,
}

impl Inbox {
    /// A message for a consumer begins.
    pub fn deliver(&mut self, deliver: Deliver) -> Result<(), AmqpError> {
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

    /// A message that was asked for begins.
    pub fn got(&mut self, got: GetOk) -> Result<(), AmqpError> {
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
        if self.coming.is_some() {
            return Err(out_of_place());
        }
        self.coming = Some(Coming { message, size: None });
        Ok(())
    }

    /// Its header; whether the message is whole now.
    pub fn header(&mut self, header: AMQPContentHeader) -> Result<bool, AmqpError> {
        let Some(coming) = self.coming.as_mut().filter(|coming| coming.size.is_none()) else {
            return Err(out_of_place());
        };
        let size = usize::try_from(header.body_size).unwrap_or(usize::MAX);
        if size > MAX_MESSAGE_BYTES {
            let what = format!("a message has {size} bytes, where {MAX_MESSAGE_BYTES} are the most");
            return Err(AmqpError::Limit(what));
        }
        coming.size = Some(size);
        coming.message.properties = header.properties;
        self.end_if_whole()
    }

    /// Some of its body; whether the message is whole now.
    pub fn body(&mut self, body: &[u8]) -> Result<bool, AmqpError> {
        let Some(Coming {
            message,
            size: Some(size),
        }) = &mut self.coming
        else {
            return Err(out_of_place());
        };
        if body.len() > *size - message.body.len() {
            return Err(AmqpError::Protocol("a message is longer than it said".to_owned()));
        }
        message.body.extend_from_slice(body);
        self.end_if_whole()
    }

    fn end_if_whole(&mut self) -> Result<bool, AmqpError> {
        let is_whole = |coming: &Coming| coming.size == Some(coming.message.body.len());
        let Some(Coming { message, .. }) = self.coming.take_if(|coming| is_whole(coming)) else {
            return Ok(false);
        };
        self.ready_bytes += message.body.len();
        self.ready.push_back(message);
        if self.ready.len() > MAX_HELD || self.ready_bytes > MAX_HELD_BYTES {
            return Err(AmqpError::Limit(format!(
                "more than {MAX_HELD} messages or {MAX_HELD_BYTES} bytes of them came at once"
            )));
        }
        Ok(true)
    }

    /// Takes the oldest message.
    pub fn take(&mut self) -> Option<Message> {
        let message = self.ready.pop_front()?;
        self.ready_bytes -= message.body.len();
        Some(message)
    }

    /// Takes the message that was asked for, if it is there.
    pub fn take_got(&mut self) -> Option<Message> {
        let at = self
            .ready
            .iter()
            .position(|message| message.consumer_tag.is_none())?;
        let message = self.ready.remove(at)?;
        self.ready_bytes -= message.body.len();
        Some(message)
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

fn out_of_place() -> AmqpError {
    AmqpError::Protocol("a part of a message out of place".to_owned())
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
    fn a_message_is_put_together() {
        let mut inbox = Inbox::default();
        inbox
            .deliver(Deliver {
                consumer_tag: "me".into(),
                ..Deliver::default()
            })
            .unwrap();
        assert!(!inbox.header(header(5)).unwrap());
        assert!(!inbox.body(b"abc").unwrap());
        assert!(inbox.body(b"de").unwrap());
        inbox.got(GetOk::default()).unwrap();
        assert!(inbox.header(header(0)).unwrap());
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
    fn parts_come_in_order_and_within_bounds() {
        let mut inbox = Inbox::default();
        assert!(inbox.body(b"a").is_err());
        assert!(inbox.header(header(1)).is_err());
        inbox.deliver(Deliver::default()).unwrap();
        assert!(inbox.deliver(Deliver::default()).is_err());
        assert!(inbox.body(b"a").is_err());
        let error = inbox.header(header(u64::MAX)).unwrap_err();
        assert!(matches!(error, AmqpError::Limit(_)), "{error}");
        inbox.header(header(1)).unwrap();
        assert!(inbox.body(b"ab").is_err());
    }

    #[test]
    fn what_nobody_takes_is_bounded() {
        let mut inbox = Inbox::default();
        let mut one = || {
            inbox.deliver(Deliver::default())?;
            inbox.header(header(0))
        };
        assert!((0..MAX_HELD).all(|_| one().is_ok()));
        assert!(matches!(one(), Err(AmqpError::Limit(_))));
    }
}
