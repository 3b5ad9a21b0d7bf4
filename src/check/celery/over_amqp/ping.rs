//! Sends a ping over AMQP: looks for the workers' exchange, and makes the queue that answers come to.

use std::time::Duration;

use amq_protocol::protocol::{BasicProperties, basic, exchange, queue};
use amq_protocol::types::{AMQPValue, FieldTable};

use crate::check::amqp::{AmqpError, Connection, short};
use crate::check::celery::message::Ping;
use crate::net::run_recorder::{RunRecorder, Step};

/// How long a ping may wait in the mailbox of a worker that is stopped, and our queue for us: nobody reads it later.
const EXPIRY: Duration = Duration::from_secs(10);

/// Opens a channel, makes a queue for answers and sends the ping; whether there is anybody to hear it. An error comes with
/// what was being done.
pub async fn send(
    connection: &mut Connection,
    ping: &Ping,
    trace: &mut RunRecorder<'_>,
) -> Result<bool, (AmqpError, &'static str)> {
    let mut begin = |doing: &'static str| {
        trace.at(Step::Doing(doing.into()));
        move |error| (error, doing)
    };
    let at = begin("opening a channel");
    connection.open_channel().await.map_err(at)?;
    let at = begin("looking for the workers' exchange");
    match look_up(connection, &ping.exchange).await {
        Err(error) if error.channel_code() == Some(NOT_FOUND) => return Ok(false),
        found => found.map_err(at)?,
    }
    let at = begin("declaring the exchange for answers");
    answers_exchange(connection, &ping.reply_exchange)
        .await
        .map_err(at)?;
    let at = begin("declaring the queue for answers");
    answers_queue(connection, ping).await.map_err(at)?;
    let at = begin(PUBLISHING);
    publish(connection, ping).await.map_err(at)?;
    Ok(true)
}

/// What is being done while a ping is sent.
pub const PUBLISHING: &str = "publishing the ping";

/// Sends the ping to the workers' exchange.
pub async fn publish(connection: &mut Connection, ping: &Ping) -> Result<(), AmqpError> {
    connection
        .publish(&ping.exchange, "", properties(ping), &ping.body())
        .await
}

/// The code of a channel's end over something that is not there.
pub const NOT_FOUND: u16 = 404;

async fn look_up(connection: &mut Connection, name: &str) -> Result<(), AmqpError> {
    let declare = exchange::Declare {
        exchange: short(name)?,
        passive: true,
        ..exchange::Declare::default()
    };
    connection.declare_exchange(declare).await
}

/// Workers make this exchange when they answer for the first time, so it may be missing. Where it is there, it is taken as
/// it is: a declaration with other arguments would be refused.
async fn answers_exchange(connection: &mut Connection, name: &str) -> Result<(), AmqpError> {
    match look_up(connection, name).await {
        Err(error) if error.channel_code() == Some(NOT_FOUND) => {}
        found => return found,
    }
    connection.open_channel().await?;
    let declare = exchange::Declare {
        exchange: short(name)?,
        kind: short("direct")?,
        ..exchange::Declare::default()
    };
    connection.declare_exchange(declare).await
}

async fn answers_queue(connection: &mut Connection, ping: &Ping) -> Result<(), AmqpError> {
    let name = format!("{}.{}", ping.routing_key, ping.reply_exchange);
    let mut arguments = FieldTable::default();
    let expiry = i32::try_from(EXPIRY.as_millis()).unwrap_or(i32::MAX);
    arguments.insert("x-expires".into(), AMQPValue::LongInt(expiry));
    let declare = queue::Declare {
        queue: short(&name)?,
        exclusive: true,
        auto_delete: true,
        arguments,
        ..queue::Declare::default()
    };
    connection.declare_queue(declare).await?;
    let bind = queue::Bind {
        queue: short(&name)?,
        exchange: short(&ping.reply_exchange)?,
        routing_key: short(&ping.routing_key)?,
        ..queue::Bind::default()
    };
    connection.bind_queue(bind).await?;
    let consume = basic::Consume {
        queue: short(&name)?,
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
