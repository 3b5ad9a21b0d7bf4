//! What can be done on the channel: look at queues, declare, bind, publish, consume.

use amq_protocol::frame::{AMQPContentHeader, AMQPFrame};
use amq_protocol::protocol::{AMQPClass, BasicProperties, basic, exchange, queue};

use super::error::AmqpError;
use super::{CHANNEL, Connection, Event, Message, short, unexpected};

/// The class of messages.
const BASIC: u16 = 60;

/// A queue as the broker describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueState {
    /// Its name, the broker's choice where none was given.
    pub name: String,
    /// The messages ready to be delivered; those delivered and not acknowledged are not counted.
    pub messages: u32,
    /// The consumers.
    pub consumers: u32,
}

/// Asks, and takes the answer out of the variant that is to come.
macro_rules! call {
    ($connection:expr, $class:ident, $module:ident, $method:ident($content:expr) -> $answer:ident) => {{
        let method = AMQPClass::$class($module::AMQPMethod::$method($content));
        $connection
            .frames
            .send(&[AMQPFrame::Method(CHANNEL, method)])
            .await?;
        match $connection.answer().await? {
            AMQPClass::$class($module::AMQPMethod::$answer(answer)) => answer,
            other => return Err(unexpected(&other)),
        }
    }};
}

/// A channel has to be open for these. `nowait` of what is declared must be false: an answer is waited for.
impl Connection {
    /// The queue of this name as it is. Where there is none the broker closes the channel with 404.
    ///
    /// # Errors
    /// Why the broker does not tell.
    pub async fn inspect_queue(&mut self, name: &str) -> Result<QueueState, AmqpError> {
        self.declare_queue(queue::Declare {
            queue: short(name)?,
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

    /// Deletes a queue, if there is one.
    ///
    /// # Errors
    /// Why the broker refuses.
    pub async fn delete_queue(&mut self, name: &str) -> Result<(), AmqpError> {
        let delete = queue::Delete {
            queue: short(name)?,
            ..queue::Delete::default()
        };
        call!(self, Queue, queue, Delete(delete) -> DeleteOk);
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

    /// Publishes a message. The broker does not answer: what it finds wrong closes the channel later on.
    ///
    /// # Errors
    /// When the connection fails.
    pub async fn publish(
        &mut self,
        exchange: &str,
        routing_key: &str,
        properties: BasicProperties,
        body: &[u8],
    ) -> Result<(), AmqpError> {
        let publish = basic::Publish {
            exchange: short(exchange)?,
            routing_key: short(routing_key)?,
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
        let pieces = body.chunks(self.frames.most_payload());
        frames.extend(pieces.map(|piece| AMQPFrame::Body(CHANNEL, piece.to_vec())));
        self.frames.send(&frames).await
    }

    /// Begins to consume; the consumer's tag. Messages come by [`Self::next_message`].
    ///
    /// # Errors
    /// Why the broker refuses.
    pub async fn consume(&mut self, consume: basic::Consume) -> Result<String, AmqpError> {
        let consuming = call!(self, Basic, basic, Consume(consume) -> ConsumeOk);
        Ok(consuming.consumer_tag.into())
    }

    /// Ends a consumer. Messages that came before may still be taken.
    ///
    /// # Errors
    /// Why the broker refuses.
    pub async fn cancel(&mut self, consumer_tag: &str) -> Result<(), AmqpError> {
        let cancel = basic::Cancel {
            consumer_tag: short(consumer_tag)?,
            nowait: false,
        };
        call!(self, Basic, basic, Cancel(cancel) -> CancelOk);
        Ok(())
    }

    /// The next message, waited for as long as it takes. May be cancelled and called again.
    ///
    /// # Errors
    /// When the connection fails, or the broker closes it, the channel or the consumer.
    pub async fn next_message(&mut self) -> Result<Message, AmqpError> {
        loop {
            if let Some(message) = self.inbox.take() {
                return Ok(message);
            }
            if let Event::Method(other) = self.event().await? {
                return Err(unexpected(&other));
            }
        }
    }

    /// The first message of a queue; none where it is empty.
    ///
    /// # Errors
    /// Why the broker refuses.
    pub async fn get(&mut self, name: &str, no_ack: bool) -> Result<Option<Message>, AmqpError> {
        let get = basic::Get {
            queue: short(name)?,
            no_ack,
        };
        let get = AMQPClass::Basic(basic::AMQPMethod::Get(get));
        self.frames.send(&[AMQPFrame::Method(CHANNEL, get)]).await?;
        loop {
            match self.event().await? {
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

    /// Acknowledges a message. The broker does not answer.
    ///
    /// # Errors
    /// When the connection fails.
    pub async fn ack(&mut self, delivery_tag: u64) -> Result<(), AmqpError> {
        let ack = basic::Ack {
            delivery_tag,
            multiple: false,
        };
        let ack = AMQPClass::Basic(basic::AMQPMethod::Ack(ack));
        self.frames.send(&[AMQPFrame::Method(CHANNEL, ack)]).await
    }
}
