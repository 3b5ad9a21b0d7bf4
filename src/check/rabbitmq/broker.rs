//! The AMQP side of a rabbitmq check.

use std::time::Duration;

use super::families::{QUEUE_CONSUMERS, QUEUE_MESSAGES_READY, VERSION_INFO, push};
use super::warnings::{Severity, Warnings};
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

/// How long a run waits for the close of a connection that it does not reuse.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// The maximum number of bytes that a run reads. A login has about 1 kB, a queue 300 bytes.
const MAX_BYTES: u64 = 1 << 20;

/// The broker, and its connection between runs.
#[derive(Debug)]
pub struct Broker {
    address: HostPort,
    endpoint: HostEndpoint,
    login: BrokerLogin,
    vhost: String,
    is_reusing: bool,
    read_budget: ReadBudget,
    idle: Option<ReusableConnection>,
}

/// A connection that later runs may reuse.
pub type ReusableConnection = Reusable<Connection>;

impl Broker {
    /// The broker with these settings.
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

    /// Opens a channel, inspects the queues, and closes the channel. Returns the names of the queues that exist, and the
    /// session for [`Self::store_or_close`].
    pub async fn inspect(
        &mut self,
        queues: &[QueueSettings],
        recorder: &mut RunRecorder<'_>,
        warnings: &mut Warnings,
    ) -> Result<(Vec<String>, ReusableConnection), Problem> {
        self.read_budget.renew();
        let mut session = self.session(recorder).await?;
        let version = &session.version;
        if !version.is_empty() {
            push(recorder.report, &VERSION_INFO, version.clone().into(), 1.0);
        }
        recorder.enter(Phase::Processing);
        let inspected = self
            .inspect_queues(&mut session, queues, recorder, warnings)
            .await;
        let existing = inspected.map_err(|error| error.problem(&self.address, recorder.step()))?;
        if let Some(why) = session.blocked() {
            let message = format!("{}: the broker blocks publishers: {why}", self.address);
            warnings.add(Severity::Alarm, Problem::new(Reason::State, message));
        }
        Ok((existing, session))
    }

    /// Ends a successful run: stores the connection for the next run, or closes it.
    pub async fn store_or_close(&mut self, session: ReusableConnection, recorder: &mut RunRecorder<'_>) {
        if self.is_reusing {
            self.idle = Some(session);
        } else {
            close(session, recorder).await;
        }
    }

    /// Returns a connection with an open channel. Reuses the stored one if it is still valid.
    async fn session(&mut self, recorder: &mut RunRecorder<'_>) -> Result<ReusableConnection, Problem> {
        let idle = self.idle.take();
        let password = self.password()?;
        if let Some(mut session) = idle {
            if !session.is_current(password.as_ref()) {
                close(session, recorder).await;
            } else {
                recorder.at(Step::Doing("opening a channel on the reused connection".into()));
                session.record_certificates(recorder);
                recorder.enter(Phase::Processing);
                match session.open_channel().await {
                    Ok(()) => return Ok(session),
                    // The broker has restarted or closed the connection, so a new connection decides.
                    Err(error) if error.is_stale() => {}
                    Err(error) => return Err(error.problem(&self.address, recorder.step())),
                }
            }
        }
        let mut session = self.connect(password, recorder).await?;
        recorder.at(Step::Doing("opening a channel".into()));
        match session.open_channel().await {
            Ok(()) => Ok(session),
            Err(error) => Err(error.problem(&self.address, recorder.step())),
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
        recorder: &mut RunRecorder<'_>,
    ) -> Result<ReusableConnection, Problem> {
        let (stream, _) = self.endpoint.connect(&self.read_budget, recorder).await?;
        let credentials = match (&self.login, &password) {
            (BrokerLogin::Plain { user, .. }, Some(password)) => Credentials::Plain { user, password },
            _ => Credentials::External,
        };
        let login = Login {
            credentials,
            vhost: &self.vhost,
        };
        let opened = Connection::open(stream, &login, recorder).await;
        let connection = opened.map_err(|error| error.problem(&self.address, recorder.step()))?;
        Ok(Reusable::new(connection, password, recorder))
    }

    /// Inspects each queue, then closes the channel.
    async fn inspect_queues(
        &self,
        connection: &mut Connection,
        queues: &[QueueSettings],
        recorder: &mut RunRecorder<'_>,
        warnings: &mut Warnings,
    ) -> Result<Vec<String>, AmqpError> {
        let mut existing = Vec::new();
        for queue in queues {
            recorder.at(Step::Doing(format!("inspecting the queue {}", queue.name).into()));
            if !connection.is_channel_open() {
                connection.open_channel().await?;
            }
            match connection.inspect_queue(&queue.name).await {
                Ok(state) => {
                    existing.push(queue.name.clone());
                    self.judge(queue, &state, recorder, warnings);
                }
                // If the broker refuses, for example with 404, it closes the channel but not the connection.
                Err(error @ AmqpError::ChannelClosed(_)) => {
                    warnings.add(Severity::Queue, error.problem(&self.address, recorder.step()));
                }
                Err(error) => return Err(error),
            }
        }
        recorder.at(Step::Doing("closing the channel".into()));
        if connection.is_channel_open() {
            connection.close_channel().await?;
        }
        Ok(existing)
    }

    fn judge(
        &self,
        queue: &QueueSettings,
        state: &QueueState,
        recorder: &mut RunRecorder<'_>,
        warnings: &mut Warnings,
    ) {
        let name = &queue.name;
        let values = [
            (&QUEUE_MESSAGES_READY, state.messages),
            (&QUEUE_CONSUMERS, state.consumers),
        ];
        for (family, value) in values {
            push(recorder.report, family, name.clone().into(), value.into());
        }
        if let Some(max) = queue.max_messages.filter(|max| state.messages > *max) {
            let message = format!(
                "{}: the queue {name} has {} ready messages, the limit (max_messages) is {max}: check its consumers",
                self.address, state.messages
            );
            warnings.add(Severity::Limit, Problem::new(Reason::Limit, message));
        }
        if let Some(min) = queue.min_consumers.filter(|min| state.consumers < *min) {
            let message = format!(
                "{}: the queue {name} has {} consumers, the minimum (min_consumers) is {min}: start more consumers",
                self.address, state.consumers
            );
            warnings.add(Severity::Limit, Problem::new(Reason::Missing, message));
        }
    }
}

/// Closes a connection before another one is opened, so that a check never has two. Gives up if the broker does not respond.
async fn close(session: ReusableConnection, recorder: &mut RunRecorder<'_>) {
    recorder.at(Step::Doing("closing the connection".into()));
    let _ = tokio::time::timeout(CLOSE_TIMEOUT, session.into_inner().close()).await;
}
