//! The broker of a check, over either transport.

use tokio::time::Instant;

use super::judge::FinalFacts;
use super::message::{Ping, Received};
use super::{over_amqp, over_redis};
use crate::config::celery::{Broker, CelerySettings};
use crate::model::Problem;
use crate::net::network::Network;
use crate::net::run_recorder::RunRecorder;

/// The state of a check's connection to its broker between runs.
#[derive(Debug)]
pub enum BrokerClient {
    /// Over Redis.
    Redis(Box<over_redis::Client>),
    /// Over AMQP.
    Amqp(Box<over_amqp::Client>),
}

/// A connection to a broker during a run. The run owns it, so a cancelled run closes it.
pub enum BrokerSession {
    /// Over Redis.
    Redis(Box<over_redis::Session>),
    /// Over AMQP.
    Amqp(Box<over_amqp::Session>),
}

impl BrokerClient {
    /// The client of a check with this name.
    pub fn new(settings: &CelerySettings, name: &str, network: &Network) -> Self {
        match &settings.broker {
            Broker::Redis { server, keys } => {
                let client = over_redis::Client::new(settings, server, keys, name, network);
                Self::Redis(Box::new(client))
            }
            Broker::Amqp(server) => {
                let client = over_amqp::Client::new(settings, server, name, network);
                Self::Amqp(Box::new(client))
            }
        }
    }

    /// Sends the ping. Returns the session, and the number of workers that listen, if the broker reports it.
    ///
    /// # Errors
    /// Why the ping could not be sent.
    pub async fn publish(
        &mut self,
        ping: &mut Ping,
        recorder: &mut RunRecorder<'_>,
    ) -> Result<(BrokerSession, Option<usize>), Problem> {
        match self {
            Self::Redis(client) => {
                let (session, listening) = client.publish(ping, recorder).await?;
                Ok((BrokerSession::Redis(Box::new(session)), listening))
            }
            Self::Amqp(client) => {
                let (session, listening) = client.publish(ping, recorder).await?;
                Ok((BrokerSession::Amqp(Box::new(session)), listening))
            }
        }
    }

    /// Stores the connection of a successful run for the next one.
    pub fn put_back(&mut self, session: BrokerSession) {
        match (self, session) {
            (Self::Redis(client), BrokerSession::Redis(session)) => client.put_back(*session),
            (Self::Amqp(client), BrokerSession::Amqp(session)) => client.put_back(*session),
            // A client only opens sessions of its own variant.
            _ => {}
        }
    }
}

impl BrokerSession {
    /// Why the broker accepts no messages, if it reported that.
    pub fn blocked(&self) -> Option<Problem> {
        match self {
            Self::Redis(_) => None,
            Self::Amqp(session) => session.blocked(),
        }
    }

    /// Sends another ping. Replies arrive in the same place as those to the first one.
    ///
    /// # Errors
    /// Why the ping could not be sent.
    pub async fn send_another(&mut self, ping: &Ping, recorder: &mut RunRecorder<'_>) -> Result<(), Problem> {
        match self {
            Self::Redis(session) => session.send_another(ping, recorder).await,
            Self::Amqp(session) => session.send_another(ping).await,
        }
    }

    /// Waits for the next reply; `None` if none arrives before `until`.
    ///
    /// # Errors
    /// The connection is broken.
    pub async fn receive(
        &mut self,
        until: Instant,
        recorder: &mut RunRecorder<'_>,
    ) -> Result<Option<Received>, Problem> {
        match self {
            Self::Redis(session) => session.receive(until, recorder).await,
            Self::Amqp(session) => session.receive(until).await,
        }
    }

    /// Reads the lengths of the queues and removes what the run has created. `silent` are the workers that did not reply.
    ///
    /// # Errors
    /// The connection is broken.
    pub async fn finish(
        &mut self,
        settings: &CelerySettings,
        silent: &[String],
        recorder: &mut RunRecorder<'_>,
    ) -> Result<FinalFacts, Problem> {
        match self {
            Self::Redis(session) => session.finish(settings, recorder).await,
            Self::Amqp(session) => session.finish(settings, silent, recorder).await,
        }
    }
}
