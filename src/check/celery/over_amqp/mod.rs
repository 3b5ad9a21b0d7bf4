//! Asks workers over AMQP, as Celery does: the ping goes to the fanout exchange that every worker's mailbox is bound to,
//! answers come to a queue of this connection's own, which ends with the run.

mod ping;

use amq_protocol::types::AMQPValue;
use tokio::time::{Instant, timeout_at};

use super::judge::Length;
use super::message::{MAX_REPLY_BYTES, Ping, Reply};
use super::{Finished, Received};
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

/// The most that is read in one run, in bytes: as many answers as there may be, with their properties.
const ALLOWED: u64 = 2 * (MAX_WORKERS * MAX_REPLY_BYTES) as u64;

/// How many silent workers' mailboxes are looked at in one run.
const MAX_PROBED: usize = 8;

/// How much of the broker's text a message about a queue quotes, in characters.
const MAX_QUOTED: usize = 120;

/// What is kept of the broker between runs.
#[derive(Debug)]
pub struct Link {
    server: AmqpServer,
    endpoint: HostEndpoint,
    is_reusing: bool,
    read_budget: ReadBudget,
    /// What answers are routed by; the queue for them is named after it.
    name: String,
    idle: Option<Reusable<Connection>>,
}

/// A connection with a ping sent over it.
pub struct Session {
    connection: Reusable<Connection>,
    at: String,
    /// Whether there is an exchange that a worker could listen at: the first one that starts makes it.
    is_heard: bool,
}

impl Link {
    /// The link of the check with this name.
    pub fn new(settings: &CelerySettings, server: &AmqpServer, name: &str, network: &Network) -> Self {
        let endpoint = HostEndpoint::new(network, &server.address, server.preference);
        Self {
            server: server.clone(),
            endpoint: endpoint.with_tls(server.tls.as_ref(), &[]),
            is_reusing: settings.reuse_connection,
            read_budget: ReadBudget::new(ALLOWED),
            name: name.to_owned(),
            idle: None,
        }
    }

    /// Sends the ping. How many got it the broker does not tell.
    ///
    /// # Errors
    /// Why that was not possible.
    pub async fn publish(
        &mut self,
        ping: &mut Ping,
        trace: &mut RunRecorder<'_>,
    ) -> Result<(Session, Option<usize>), Problem> {
        self.read_budget.renew();
        ping.routing_key.clone_from(&self.name);
        let idle = self.idle.take();
        let password = self.server.password.read();
        let password = password.map_err(|error| shortage::problem(Reason::Auth, &error, &error))?;
        let at = self.server.address.to_string();
        if let Some(mut connection) = idle.filter(|idle| idle.is_current(Some(&password))) {
            connection.record_certificates(trace);
            match ping::send(&mut connection, ping, trace).await {
                Ok(is_heard) => return Ok(session(connection, at, is_heard)),
                Err((error, _)) if error.is_stale() => {}
                Err((error, doing)) => return Err(error.problem(at, doing)),
            }
        }
        let connection = self.connect(&password, trace).await?;
        let mut connection = Reusable::new(connection, Some(password), trace);
        match ping::send(&mut connection, ping, trace).await {
            Ok(is_heard) => Ok(session(connection, at, is_heard)),
            Err((error, doing)) => Err(error.problem(at, doing)),
        }
    }

    async fn connect(
        &mut self,
        password: &Secret,
        trace: &mut RunRecorder<'_>,
    ) -> Result<Connection, Problem> {
        let AmqpServer {
            address,
            user,
            virtual_host,
            ..
        } = &self.server;
        let (stream, _) = self.endpoint.connect(&self.read_budget, trace).await?;
        let login = Login {
            credentials: Credentials::Plain { user, password },
            vhost: virtual_host,
        };
        let connection = Connection::open(stream, &login, trace).await;
        connection.map_err(|error| error.problem(address, trace.step().to_string()))
    }

    /// Keeps the connection of a run that went well.
    pub fn keep(&mut self, session: Session) {
        if self.is_reusing {
            self.idle = Some(session.connection);
        }
    }
}

fn session(connection: Reusable<Connection>, at: String, is_heard: bool) -> (Session, Option<usize>) {
    let listening = (!is_heard).then_some(0);
    let session = Session {
        connection,
        at,
        is_heard,
    };
    (session, listening)
}

impl Session {
    /// The next message in the queue for answers; `None` where none comes until then.
    ///
    /// # Errors
    /// Why there is no connection any more.
    pub async fn receive(&mut self, until: Instant) -> Result<Option<Received>, Problem> {
        if !self.is_heard {
            return Ok(None);
        }
        let Ok(message) = timeout_at(until, self.connection.next_message()).await else {
            return Ok(None);
        };
        let message = message.map_err(|error| error.problem(&self.at, "waiting for answers of workers"))?;
        let properties = &message.properties;
        let headers = properties.headers().as_ref();
        let ticket = headers.and_then(|headers| match headers.inner().get("ticket") {
            Some(AMQPValue::LongString(ticket)) => Some(ticket.to_string()),
            Some(AMQPValue::ShortString(ticket)) => Some(ticket.to_string()),
            _ => None,
        });
        let content_type = properties.content_type().as_ref();
        Ok(Some(Ok(Reply {
            ticket,
            content_type: content_type
                .map_or_else(|| Serializer::Json.content_type().to_owned(), ToString::to_string),
            body: message.body,
        })))
    }

    /// Sends another ping, to be answered where the first one is.
    ///
    /// # Errors
    /// Why that was not possible.
    pub async fn ping_again(&mut self, ping: &Ping) -> Result<(), Problem> {
        if !self.is_heard {
            return Ok(());
        }
        let published = ping::publish(&mut self.connection, ping).await;
        published.map_err(|error| error.problem(&self.at, ping::PUBLISHING))
    }

    /// Why the broker takes no messages, where it said so: then it does not read on from who publishes.
    pub fn blocked(&self) -> Option<Problem> {
        let why = self.connection.blocked()?;
        let why: String = why.chars().take(MAX_QUOTED).collect();
        let message = format_args!(
            "{}: the broker takes no messages at present ({why}): free memory or disk space there",
            self.at
        );
        Some(Problem::new(Reason::State, message))
    }

    /// Asks for the lengths of the queues and for the mailboxes of workers that did not answer, and ends the queue for
    /// answers.
    ///
    /// # Errors
    /// Why there is no connection any more.
    pub async fn finish(
        &mut self,
        settings: &CelerySettings,
        silent: &[String],
        trace: &mut RunRecorder<'_>,
    ) -> Result<Finished, Problem> {
        let mut lengths = Vec::with_capacity(settings.queues.len());
        for queue in &settings.queues {
            trace.at(Step::Doing(
                format!("asking for the length of the queue {}", queue.name).into(),
            ));
            lengths.push(match self.inspect(&queue.name).await? {
                Ok((messages, _)) => Length::Messages(messages.into()),
                Err(why) => Length::Unknown(why),
            });
        }
        let mut listening = 0;
        for worker in silent.iter().take(MAX_PROBED) {
            trace.at(Step::Doing(
                "looking for the mailboxes of workers that did not answer".into(),
            ));
            let mailbox = format!("{worker}.{}.pidbox", settings.control_exchange);
            if let Ok((_, consumers)) = self.inspect(&mailbox).await?
                && consumers > 0
            {
                listening += 1;
            }
        }
        trace.at(Step::Doing("closing the channel".into()));
        let connection = &mut self.connection;
        if connection.is_channel_open() {
            let closed = connection.close_channel().await;
            closed.map_err(|error| error.problem(&self.at, "closing the channel"))?;
        }
        Ok(Finished {
            lengths,
            silent: Some(listening),
        })
    }

    /// The messages and consumers of a queue, or why the broker does not tell them.
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
                Ok(Err("there is no such queue at the broker".to_owned()))
            }
            Err(AmqpError::ChannelClosed(reply)) => {
                Ok(Err(reply.to_string().chars().take(MAX_QUOTED).collect()))
            }
            Err(error) => Err(error.problem(&self.at, format_args!("asking for the queue {name}"))),
        }
    }
}
