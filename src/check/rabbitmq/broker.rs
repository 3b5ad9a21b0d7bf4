//! The AMQP side of a rabbitmq check.

use std::time::Duration;

use super::families::{QUEUE_CONSUMERS, QUEUE_MESSAGES_READY, VERSION_INFO, push};
use super::warnings::{Warnings, Weight};
use crate::check::amqp::{AmqpError, Connection, Credentials, Login, QueueState};
use crate::config::address::HostPort;
use crate::config::rabbitmq::{BrokerLogin, QueueSettings, RabbitmqSettings};
use crate::config::secret::Secret;
use crate::model::{Problem, Reason};
use crate::net::endpoint::HostEndpoint;
use crate::net::network::Network;
use crate::net::read_budget::ReadBudget;
use crate::net::reusable::Reusable;
use crate::net::run_recorder::{Phase, RunRecorder, Step};
use crate::net::shortage;

/// How long the close of a connection that is replaced or not kept is waited for.
const PARTING: Duration = Duration::from_secs(1);
/// What the broker may send in a run: a login has about 1 kB, a queue 300 bytes.
const MAX_BYTES: u64 = 1 << 20;

/// The broker, and the connection to it between runs.
#[derive(Debug)]
pub struct Broker {
    address: HostPort,
    endpoint: HostEndpoint,
    login: BrokerLogin,
    vhost: String,
    is_reusing: bool,
    read_budget: ReadBudget,
    idle: Option<Session>,
}

/// A connection that later runs may reuse.
pub type Session = Reusable<Connection>;

impl Broker {
    /// The broker of these settings.
    pub fn new(settings: &RabbitmqSettings, network: &Network) -> Self {
        let endpoint = HostEndpoint::new(network, &settings.address, settings.preference);
        Self {
            address: settings.address.clone(),
            endpoint: endpoint.with_tls(settings.tls.as_ref(), &[]),
            login: settings.login.clone(),
            vhost: settings.vhost.clone(),
            is_reusing: settings.reuse_connection,
            read_budget: ReadBudget::new(MAX_BYTES),
            idle: None,
        }
    }

    /// Opens a channel, looks at the queues, closes the channel. The names of the queues that exist, and the connection for
    /// [`Self::rest`].
    pub async fn look(
        &mut self,
        queues: &[QueueSettings],
        trace: &mut RunRecorder<'_>,
        warnings: &mut Warnings,
    ) -> Result<(Vec<String>, Session), Problem> {
        self.read_budget.renew();
        let mut session = self.session(trace).await?;
        let version = &session.version;
        if !version.is_empty() {
            push(trace.report, &VERSION_INFO, version.clone().into(), 1.0);
        }
        trace.enter(Phase::Processing);
        let looked = self.ask(&mut session, queues, trace, warnings).await;
        let existing = looked.map_err(|error| error.problem(&self.address, trace.step()))?;
        if let Some(why) = session.blocked() {
            let message = format!("{}: the broker blocks publishers: {why}", self.address);
            warnings.add(Weight::Alarm, Problem::new(Reason::State, message));
        }
        Ok((existing, session))
    }

    /// After a clean run: keeps the connection, or closes it.
    pub async fn rest(&mut self, session: Session, trace: &mut RunRecorder<'_>) {
        if self.is_reusing {
            self.idle = Some(session);
        } else {
            part(session, trace).await;
        }
    }

    /// A connection with an open channel: the kept one, where it still is one, or a new one.
    async fn session(&mut self, trace: &mut RunRecorder<'_>) -> Result<Session, Problem> {
        let idle = self.idle.take();
        let password = self.password()?;
        if let Some(mut session) = idle {
            if !session.is_current(password.as_ref()) {
                part(session, trace).await;
            } else {
                trace.at(Step::Doing("opening a channel on the connection kept".into()));
                session.record_certificates(trace);
                trace.enter(Phase::Processing);
                match session.open_channel().await {
                    Ok(()) => return Ok(session),
                    // The broker was restarted, or somebody closed the connection: the broker that is there now counts.
                    Err(error) if error.is_stale() => {}
                    Err(error) => return Err(error.problem(&self.address, trace.step())),
                }
            }
        }
        let mut session = self.connect(password, trace).await?;
        trace.at(Step::Doing("opening a channel".into()));
        match session.open_channel().await {
            Ok(()) => Ok(session),
            Err(error) => Err(error.problem(&self.address, trace.step())),
        }
    }

    fn password(&self) -> Result<Option<Secret>, Problem> {
        match &self.login {
            BrokerLogin::External => Ok(None),
            BrokerLogin::Plain { password, .. } => match password.read_line() {
                Ok(password) => Ok(Some(password)),
                Err(error) => Err(shortage::problem(Reason::Auth, &error, &error)),
            },
        }
    }

    async fn connect(
        &mut self,
        password: Option<Secret>,
        trace: &mut RunRecorder<'_>,
    ) -> Result<Session, Problem> {
        let (stream, _) = self.endpoint.connect(&self.read_budget, trace).await?;
        let credentials = match (&self.login, &password) {
            (BrokerLogin::Plain { user, .. }, Some(password)) => Credentials::Plain { user, password },
            _ => Credentials::External,
        };
        let login = Login {
            credentials,
            vhost: &self.vhost,
        };
        let opened = Connection::open(stream, &login, trace).await;
        let connection = opened.map_err(|error| error.problem(&self.address, trace.step()))?;
        Ok(Reusable::new(connection, password, trace))
    }

    /// Asks for each queue, then closes the channel.
    async fn ask(
        &self,
        connection: &mut Connection,
        queues: &[QueueSettings],
        trace: &mut RunRecorder<'_>,
        warnings: &mut Warnings,
    ) -> Result<Vec<String>, AmqpError> {
        let mut existing = Vec::new();
        for queue in queues {
            trace.at(Step::Doing(format!("asking for the queue {}", queue.name).into()));
            if !connection.is_channel_open() {
                connection.open_channel().await?;
            }
            match connection.inspect_queue(&queue.name).await {
                Ok(state) => {
                    existing.push(queue.name.clone());
                    self.judge(queue, &state, trace, warnings);
                }
                // A refusal (404: there is no such queue) costs the channel, not the connection.
                Err(error @ AmqpError::ChannelClosed(_)) => {
                    warnings.add(Weight::Queue, error.problem(&self.address, trace.step()));
                }
                Err(error) => return Err(error),
            }
        }
        trace.at(Step::Doing("closing the channel".into()));
        if connection.is_channel_open() {
            connection.close_channel().await?;
        }
        Ok(existing)
    }

    fn judge(
        &self,
        queue: &QueueSettings,
        state: &QueueState,
        trace: &mut RunRecorder<'_>,
        warnings: &mut Warnings,
    ) {
        let name = &queue.name;
        let values = [
            (&QUEUE_MESSAGES_READY, state.messages),
            (&QUEUE_CONSUMERS, state.consumers),
        ];
        for (family, value) in values {
            push(trace.report, family, name.clone().into(), value.into());
        }
        if let Some(most) = queue.max_messages.filter(|most| state.messages > *most) {
            let message = format!(
                "{}: {} messages wait in the queue {name}, more than max_messages ({most}): are its consumers too slow?",
                self.address, state.messages
            );
            warnings.add(Weight::Limit, Problem::new(Reason::Limit, message));
        }
        if let Some(fewest) = queue.min_consumers.filter(|fewest| state.consumers < *fewest) {
            let message = format!(
                "{}: the queue {name} has {} consumers, fewer than min_consumers ({fewest}): start its workers",
                self.address, state.consumers
            );
            warnings.add(Weight::Limit, Problem::new(Reason::Missing, message));
        }
    }
}

/// Closes a connection before another one is made, so that there is one at a time; a broker that does not answer is left.
async fn part(session: Session, trace: &mut RunRecorder<'_>) {
    trace.at(Step::Doing("closing the connection".into()));
    let _ = tokio::time::timeout(PARTING, session.into_inner().close()).await;
}
