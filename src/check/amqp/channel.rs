//! Operations on the channel: inspect, declare and bind queues, publish, consume.

use amq_protocol::frame::{AMQPContentHeader, AMQPFrame};
use amq_protocol::protocol::{AMQPClass, BasicProperties, basic, exchange, queue};

use super::connection::{CHANNEL, Connection, Event, short_string, unexpected};
use super::error::AmqpError;
use super::message::Message;

/// The class id of messages.
const BASIC: u16 = 60;

/// A queue as the broker describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueState {
    /// Its name; chosen by the broker if the declaration has none.
    pub name: String,
    /// Messages ready for delivery, without those that are delivered but not acknowledged.
    pub messages: u32,
    /// Number of consumers.
    pub consumers: u32,
}

/// Sends a method and returns the content of the expected reply.
macro_rules! call {
    ($connection:expr, $class:ident, $module:ident, $method:ident($content:expr) -> $reply:ident) => {{
        let method = AMQPClass::$class($module::AMQPMethod::$method($content));
        $connection
            .frames
            .send(&[AMQPFrame::Method(CHANNEL, method)])
            .await?;
        match $connection.next_method().await? {
            AMQPClass::$class($module::AMQPMethod::$reply(reply)) => reply,
            other => return Err(unexpected(&other)),
        }
    }};
}

/// All of these need an open channel. `nowait` must be false in declarations, because they wait for the reply.
impl Connection {
    /// Returns the state of the queue with this name. If it does not exist, the broker closes the channel with code 404.
    ///
    /// # Errors
    /// Why the broker refuses.
    pub async fn inspect_queue(&mut self, name: &str) -> Result<QueueState, AmqpError> {
        self.declare_queue(queue::Declare {
            queue: short_string(name)?,
            passive: true,
            ..queue::Declare::default()
        })
        .await
    }

    /// Declares a queue.
    ///
    /// # Errors
    /// Why the broker refuses.
    pub async fn declare_queue(&mut self, declare: queue::Declare) -> Result<QueueState, AmqpError> {
        let declared = call!(self, Queue, queue, Declare(declare) -> DeclareOk);
        Ok(QueueState {
            name: declared.queue.into(),
            messages: declared.message_count,
            consumers: declared.consumer_count,
        })
    }

    /// Binds a queue to an exchange.
    ///
    /// # Errors
    /// Why the broker refuses.
    pub async fn bind_queue(&mut self, bind: queue::Bind) -> Result<(), AmqpError> {
        call!(self, Queue, queue, Bind(bind) -> BindOk);
        Ok(())
    }

    /// Declares an exchange.
    ///
    /// # Errors
    /// Why the broker refuses.
    pub async fn declare_exchange(&mut self, declare: exchange::Declare) -> Result<(), AmqpError> {
        call!(self, Exchange, exchange, Declare(declare) -> DeclareOk);
        Ok(())
    }

    /// Publishes a message. The broker does not confirm it: if something is wrong, it closes the channel later.
    ///
    /// # Errors
    /// The connection fails.
    pub async fn publish(
        &mut self,
        exchange: &str,
        routing_key: &str,
        properties: BasicProperties,
        body: &[u8],
    ) -> Result<(), AmqpError> {
        let publish = basic::Publish {
            exchange: short_string(exchange)?,
            routing_key: short_string(routing_key)?,
            ..basic::Publish::default()
        };
        let publish = AMQPClass::Basic(basic::AMQPMethod::Publish(publish));
        let header = AMQPContentHeader {
            class_id: BASIC,
            body_size: body.len() as u64,
            properties,
        };
        let mut frames = vec![
            AMQPFrame::Method(CHANNEL, publish),
            AMQPFrame::Header(CHANNEL, header),
        ];
        let pieces = body.chunks(self.frames.max_payload());
        frames.extend(pieces.map(|piece| AMQPFrame::Body(CHANNEL, piece.to_vec())));
        self.frames.send(&frames).await
    }

    /// Starts a consumer and returns its tag. [`Self::next_message`] returns the messages.
    ///
    /// # Errors
    /// Why the broker refuses.
    pub async fn consume(&mut self, consume: basic::Consume) -> Result<String, AmqpError> {
        let consuming = call!(self, Basic, basic, Consume(consume) -> ConsumeOk);
        Ok(consuming.consumer_tag.into())
    }

    /// Ends a consumer. Messages that have already arrived can still be read.
    ///
    /// # Errors
    /// Why the broker refuses.
    pub async fn cancel(&mut self, consumer_tag: &str) -> Result<(), AmqpError> {
        let cancel = basic::Cancel {
            consumer_tag: short_string(consumer_tag)?,
            nowait: false,
        };
        call!(self, Basic, basic, Cancel(cancel) -> CancelOk);
        Ok(())
    }

    /// Waits for the next message, without a limit. May be cancelled and called again.
    ///
    /// # Errors
    /// The connection fails, or the broker closes it, the channel or the consumer.
    pub async fn next_message(&mut self) -> Result<Message, AmqpError> {
        loop {
            if let Some(message) = self.inbox.take() {
                return Ok(message);
            }
            if let Event::Method(other) = self.next_event().await? {
                return Err(unexpected(&other));
            }
        }
    }

    /// Gets the first message of a queue; `None` if the queue is empty.
    ///
    /// # Errors
    /// Why the broker refuses.
    pub async fn get(&mut self, name: &str, no_ack: bool) -> Result<Option<Message>, AmqpError> {
        let get = basic::Get {
            queue: short_string(name)?,
            no_ack,
        };
        let get = AMQPClass::Basic(basic::AMQPMethod::Get(get));
        self.frames.send(&[AMQPFrame::Method(CHANNEL, get)]).await?;
        loop {
            match self.next_event().await? {
                Event::Method(AMQPClass::Basic(basic::AMQPMethod::GetEmpty(_))) => return Ok(None),
                Event::Method(other) => return Err(unexpected(&other)),
                Event::Message => {
                    if let Some(message) = self.inbox.take_got() {
                        return Ok(Some(message));
                    }
                }
            }
        }
    }

    /// Acknowledges a message. The broker does not confirm it.
    ///
    /// # Errors
    /// The connection fails.
    pub async fn ack(&mut self, delivery_tag: u64) -> Result<(), AmqpError> {
        let ack = basic::Ack {
            delivery_tag,
            multiple: false,
        };
        let ack = AMQPClass::Basic(basic::AMQPMethod::Ack(ack));
        self.frames.send(&[AMQPFrame::Method(CHANNEL, ack)]).await
    }
}
