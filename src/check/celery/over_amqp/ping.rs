//! Sends a ping over AMQP: looks up the workers' exchange, creates the queue for replies, and publishes.

use std::time::Duration;

use amq_protocol::protocol::{BasicProperties, basic, exchange, queue};
use amq_protocol::types::{AMQPValue, FieldTable};

use crate::check::amqp::{AmqpError, Connection, short_string};
use crate::check::celery::message::Ping;
use crate::net::run_recorder::{RunRecorder, Step};

/// How long a ping stays in the mailbox of a stopped worker, and our queue without us. Later, nobody reads them.
const EXPIRY: Duration = Duration::from_secs(10);

/// Opens a channel, creates a queue for replies and sends the ping. Returns whether the workers' exchange exists. An error
/// comes with the step that failed.
pub async fn send(
    connection: &mut Connection,
    ping: &Ping,
    recorder: &mut RunRecorder<'_>,
) -> Result<bool, (AmqpError, &'static str)> {
    let mut begin = |doing: &'static str| {
        recorder.at(Step::Doing(doing.into()));
        move |error| (error, doing)
    };
    let at = begin("opening a channel");
    connection.open_channel().await.map_err(at)?;
    let at = begin("looking up the workers' exchange");
    match look_up(connection, &ping.exchange).await {
        Err(error) if error.channel_code() == Some(NOT_FOUND) => return Ok(false),
        found => found.map_err(at)?,
    }
    let at = begin("declaring the exchange for replies");
    declare_reply_exchange(connection, &ping.reply_exchange)
        .await
        .map_err(at)?;
    let at = begin("declaring the queue for replies");
    declare_reply_queue(connection, ping).await.map_err(at)?;
    let at = begin(PUBLISHING);
    publish(connection, ping).await.map_err(at)?;
    Ok(true)
}

/// The step of publishing a ping.
pub const PUBLISHING: &str = "publishing the ping";

/// Publishes the ping to the workers' exchange.
pub async fn publish(connection: &mut Connection, ping: &Ping) -> Result<(), AmqpError> {
    connection
        .publish(&ping.exchange, "", properties(ping), &ping.body())
        .await
}

/// The code with which the broker closes a channel if an object does not exist.
pub const NOT_FOUND: u16 = 404;

async fn look_up(connection: &mut Connection, name: &str) -> Result<(), AmqpError> {
    let declare = exchange::Declare {
        exchange: short_string(name)?,
        passive: true,
        ..exchange::Declare::default()
    };
    connection.declare_exchange(declare).await
}

/// Declares the exchange for replies unless it exists. Workers create it with their first reply. An existing one is not
/// declared, because the broker would reject other arguments.
async fn declare_reply_exchange(connection: &mut Connection, name: &str) -> Result<(), AmqpError> {
    match look_up(connection, name).await {
        Err(error) if error.channel_code() == Some(NOT_FOUND) => {}
        found => return found,
    }
    connection.open_channel().await?;
    let declare = exchange::Declare {
        exchange: short_string(name)?,
        kind: short_string("direct")?,
        ..exchange::Declare::default()
    };
    connection.declare_exchange(declare).await
}

async fn declare_reply_queue(connection: &mut Connection, ping: &Ping) -> Result<(), AmqpError> {
    let name = format!("{}.{}", ping.routing_key, ping.reply_exchange);
    let mut arguments = FieldTable::default();
    let expiry = i32::try_from(EXPIRY.as_millis()).unwrap_or(i32::MAX);
    arguments.insert("x-expires".into(), AMQPValue::LongInt(expiry));
    let declare = queue::Declare {
        queue: short_string(&name)?,
        exclusive: true,
        auto_delete: true,
        arguments,
        ..queue::Declare::default()
    };
    connection.declare_queue(declare).await?;
    let bind = queue::Bind {
        queue: short_string(&name)?,
        exchange: short_string(&ping.reply_exchange)?,
        routing_key: short_string(&ping.routing_key)?,
        ..queue::Bind::default()
    };
    connection.bind_queue(bind).await?;
    let consume = basic::Consume {
        queue: short_string(&name)?,
        no_ack: true,
        ..basic::Consume::default()
    };
    connection.consume(consume).await?;
    Ok(())
}

fn properties(ping: &Ping) -> BasicProperties {
    let mut headers = FieldTable::default();
    headers.insert("clock".into(), AMQPValue::LongInt(1));
    headers.insert("expires".into(), AMQPValue::Double(ping.expires));
    BasicProperties::default()
        .with_content_type(ping.serializer.content_type().into())
        .with_content_encoding(ping.serializer.content_encoding().into())
        .with_headers(headers)
        .with_delivery_mode(1)
        .with_priority(0)
        .with_expiration(EXPIRY.as_millis().to_string().into())
}
