//! Pings workers over AMQP, as Celery does. The ping goes to the fanout exchange to which every worker's mailbox is bound.
//! Replies arrive in an exclusive queue of this connection, which is deleted at the end of the run.

mod ping;

use amq_protocol::types::AMQPValue;
use tokio::time::{Instant, timeout_at};

use super::judge::{FinalFacts, QueueLength};
use super::message::{MAX_REPLY_BYTES, Ping, Received, WorkerReply};
use crate::check::amqp::{AmqpError, Connection, Credentials, Login};
use crate::config::celery::{AmqpServer, CelerySettings, MAX_WORKERS, Serializer};
use crate::config::secret::Secret;
use crate::model::{Problem, Reason};
use crate::net::endpoint::HostEndpoint;
use crate::net::network::Network;
use crate::net::read_budget::ReadBudget;
use crate::net::reusable::Reusable;
use crate::net::run_recorder::{RunRecorder, Step};
use crate::net::shortage;

/// The maximum number of bytes that a run reads: the maximum number of replies, with their properties.
const MAX_BYTES: u64 = 2 * (MAX_WORKERS * MAX_REPLY_BYTES) as u64;

/// The maximum number of silent workers whose mailboxes a run checks.
const MAX_PROBED: usize = 8;

/// How much of the broker's text a message about a queue quotes, in characters.
const MAX_QUOTED: usize = 120;

/// The state of a check's connection to its broker between runs.
#[derive(Debug)]
pub struct Client {
    server: AmqpServer,
    endpoint: HostEndpoint,
    is_reusing: bool,
    read_budget: ReadBudget,
    /// The routing key of replies, and the prefix of their queue's name.
    name: String,
    idle: Option<Reusable<Connection>>,
}

/// A connection with a ping sent over it.
pub struct Session {
    connection: Reusable<Connection>,
    at: String,
    /// Whether the exchange of the workers exists. The first worker that starts creates it.
    has_exchange: bool,
}

impl Client {
    /// The client of a check with this name.
    pub fn new(settings: &CelerySettings, server: &AmqpServer, name: &str, network: &Network) -> Self {
        let endpoint = HostEndpoint::new(network, &server.address, server.preference);
        Self {
            server: server.clone(),
            endpoint: endpoint.with_tls(server.tls.as_ref(), &[]),
            is_reusing: settings.reuse_connection,
            read_budget: ReadBudget::new(MAX_BYTES),
            name: name.to_owned(),
            idle: None,
        }
    }

    /// Sends the ping. The broker does not report how many workers received it.
    ///
    /// # Errors
    /// Why the ping could not be sent.
    pub async fn publish(
        &mut self,
        ping: &mut Ping,
        recorder: &mut RunRecorder<'_>,
    ) -> Result<(Session, Option<usize>), Problem> {
        self.read_budget.renew();
        ping.routing_key.clone_from(&self.name);
        let idle = self.idle.take();
        let password = self.server.password.read();
        let password = password.map_err(|error| shortage::problem(Reason::Auth, &error, &error))?;
        let at = self.server.address.to_string();
        if let Some(mut connection) = idle.filter(|idle| idle.is_current(Some(&password))) {
            connection.record_certificates(recorder);
            match ping::send(&mut connection, ping, recorder).await {
                Ok(has_exchange) => return Ok(session(connection, at, has_exchange)),
                Err((error, _)) if error.is_stale() => {}
                Err((error, doing)) => return Err(error.problem(at, doing)),
            }
        }
        let connection = self.connect(&password, recorder).await?;
        let mut connection = Reusable::new(connection, Some(password), recorder);
        match ping::send(&mut connection, ping, recorder).await {
            Ok(has_exchange) => Ok(session(connection, at, has_exchange)),
            Err((error, doing)) => Err(error.problem(at, doing)),
        }
    }

    async fn connect(
        &mut self,
        password: &Secret,
        recorder: &mut RunRecorder<'_>,
    ) -> Result<Connection, Problem> {
        let AmqpServer {
            address,
            user,
            virtual_host,
            ..
        } = &self.server;
        let (stream, _) = self.endpoint.connect(&self.read_budget, recorder).await?;
        let login = Login {
            credentials: Credentials::Plain { user, password },
            vhost: virtual_host,
        };
        let connection = Connection::open(stream, &login, recorder).await;
        connection.map_err(|error| error.problem(address, recorder.step().to_string()))
    }

    /// Stores the connection of a successful run for the next one.
    pub fn put_back(&mut self, session: Session) {
        if self.is_reusing {
            self.idle = Some(session.connection);
        }
    }
}

fn session(connection: Reusable<Connection>, at: String, has_exchange: bool) -> (Session, Option<usize>) {
    let listening = (!has_exchange).then_some(0);
    let session = Session {
        connection,
        at,
        has_exchange,
    };
    (session, listening)
}

impl Session {
    /// Waits for the next reply; `None` if none arrives before `until`.
    ///
    /// # Errors
    /// The connection is broken.
    pub async fn receive(&mut self, until: Instant) -> Result<Option<Received>, Problem> {
        if !self.has_exchange {
            return Ok(None);
        }
        let Ok(message) = timeout_at(until, self.connection.next_message()).await else {
            return Ok(None);
        };
        let message = message.map_err(|error| error.problem(&self.at, "waiting for workers"))?;
        let properties = &message.properties;
        let headers = properties.headers().as_ref();
        let ticket = headers.and_then(|headers| match headers.inner().get("ticket") {
            Some(AMQPValue::LongString(ticket)) => Some(ticket.to_string()),
            Some(AMQPValue::ShortString(ticket)) => Some(ticket.to_string()),
            _ => None,
        });
        let content_type = properties.content_type().as_ref();
        Ok(Some(Ok(WorkerReply {
            ticket,
            content_type: content_type
                .map_or_else(|| Serializer::Json.content_type().to_owned(), ToString::to_string),
            body: message.body,
        })))
    }

    /// Sends another ping. Replies arrive in the same place as those to the first one.
    ///
    /// # Errors
    /// Why the ping could not be sent.
    pub async fn send_another(&mut self, ping: &Ping) -> Result<(), Problem> {
        if !self.has_exchange {
            return Ok(());
        }
        let published = ping::publish(&mut self.connection, ping).await;
        published.map_err(|error| error.problem(&self.at, ping::PUBLISHING))
    }

    /// Why the broker accepts no messages, if it reported that. It then stops reading from publishing connections.
    pub fn blocked(&self) -> Option<Problem> {
        let why = self.connection.blocked()?;
        let why: String = why.chars().take(MAX_QUOTED).collect();
        let message = format_args!(
            "{}: the broker currently accepts no messages ({why}): free memory or disk space on it",
            self.at
        );
        Some(Problem::new(Reason::State, message))
    }

    /// Reads the lengths of the queues, checks the mailboxes of silent workers, and closes the channel, which deletes the
    /// queue for replies.
    ///
    /// # Errors
    /// The connection is broken.
    pub async fn finish(
        &mut self,
        settings: &CelerySettings,
        silent: &[String],
        recorder: &mut RunRecorder<'_>,
    ) -> Result<FinalFacts, Problem> {
        let mut lengths = Vec::with_capacity(settings.queues.len());
        for queue in &settings.queues {
            recorder.at(Step::Doing(
                format!("reading the length of the queue {}", queue.name).into(),
            ));
            lengths.push(match self.inspect(&queue.name).await? {
                Ok((messages, _)) => QueueLength::Messages(messages.into()),
                Err(why) => QueueLength::Unknown(why),
            });
        }
        let mut listening = 0;
        for worker in silent.iter().take(MAX_PROBED) {
            recorder.at(Step::Doing(
                "checking the mailboxes of workers that did not reply".into(),
            ));
            let mailbox = format!("{worker}.{}.pidbox", settings.control_exchange);
            if let Ok((_, consumers)) = self.inspect(&mailbox).await?
                && consumers > 0
            {
                listening += 1;
            }
        }
        recorder.at(Step::Doing("closing the channel".into()));
        let connection = &mut self.connection;
        if connection.is_channel_open() {
            let closed = connection.close_channel().await;
            closed.map_err(|error| error.problem(&self.at, "closing the channel"))?;
        }
        Ok(FinalFacts {
            lengths,
            silent: Some(listening),
        })
    }

    /// The messages and consumers of a queue, or why the broker does not report them.
    async fn inspect(&mut self, name: &str) -> Result<Result<(u32, u32), String>, Problem> {
        let connection = &mut self.connection;
        let inspected = async {
            if !connection.is_channel_open() {
                connection.open_channel().await?;
            }
            connection.inspect_queue(name).await
        };
        match inspected.await {
            Ok(state) => Ok(Ok((state.messages, state.consumers))),
            Err(error) if error.channel_code() == Some(ping::NOT_FOUND) => {
                Ok(Err("not found on the broker".to_owned()))
            }
            Err(AmqpError::ChannelClosed(reply)) => {
                Ok(Err(reply.to_string().chars().take(MAX_QUOTED).collect()))
            }
            Err(error) => Err(error.problem(&self.at, format_args!("inspecting the queue {name}"))),
        }
    }
}
