//! A check's one connection to a Redis server. It is authenticated, reused by later runs, and replaced when it is closed or
//! outdated.

use redis::Value;

use super::session::{Command, RedisReply, RedisSession};
use crate::config::redis::server::{RedisEndpoint, RedisServer};
use crate::config::secret::Secret;
use crate::model::{Problem, Reason};
use crate::net::endpoint::{Endpoint, HostEndpoint};
use crate::net::network::Network;
use crate::net::read_budget::ReadBudget;
use crate::net::reusable::Reusable;
use crate::net::run_recorder::{Phase, RunRecorder};
use crate::net::shortage;

/// The client of one server.
#[derive(Debug)]
pub struct RedisClient {
    server: RedisServer,
    endpoint: Endpoint,
    is_reusing: bool,
    read_budget: ReadBudget,
    idle: Option<Reusable<RedisSession>>,
}

/// A connection that has responded in this run.
#[derive(Debug)]
pub struct Opened {
    /// The connection. The replies to all commands but the first can be read from it.
    pub session: Reusable<RedisSession>,
    /// The reply to the first command.
    pub first: RedisReply,
}

impl RedisClient {
    /// A client that reads at most `max_bytes` per run. If `is_reusing`, later runs reuse its connection.
    pub fn new(server: &RedisServer, network: &Network, is_reusing: bool, max_bytes: u64) -> Self {
        let endpoint = match &server.endpoint {
            RedisEndpoint::Unix(path) => Endpoint::Unix(path.clone()),
            RedisEndpoint::Host {
                address,
                preference,
                tls,
            } => HostEndpoint::new(network, address, *preference)
                .with_tls(tls.as_ref(), &[])
                .into(),
        };
        Self {
            server: server.clone(),
            endpoint,
            is_reusing,
            read_budget: ReadBudget::new(max_bytes),
            idle: None,
        }
    }

    /// Starts a run: sends `commands` on an authenticated connection with the right database, and waits for the reply to the
    /// first one. The other replies are outstanding. A reused connection that the server has closed is replaced once. The
    /// caller owns the connection until it gives it to [`Self::put_back`].
    ///
    /// # Errors
    /// Why there is no connection, or no reply.
    pub async fn open(
        &mut self,
        commands: &[Command],
        recorder: &mut RunRecorder<'_>,
    ) -> Result<Opened, Problem> {
        self.read_budget.renew();
        let idle = self.idle.take();
        let password = match &self.server.password {
            None => None,
            Some(source) => match source.read() {
                Ok(password) => Some(password),
                Err(error) => return Err(shortage::problem(Reason::Auth, &error, &error)),
            },
        };
        if let Some(session) = idle
            && session.is_current(password.as_ref())
            && let Some(result) = reuse(session, commands, recorder).await
        {
            return result;
        }
        let stream = self.endpoint.connect(&self.read_budget, recorder).await?;
        recorder.enter(Phase::Processing);
        let session = RedisSession::new(stream, self.server.endpoint.to_string());
        let (session, first) = self
            .log_in(session, password.as_ref(), commands, recorder)
            .await?;
        let session = Reusable::new(session, password, recorder);
        Ok(Opened { session, first })
    }

    /// Logs in on a new connection, and waits for the first reply.
    async fn log_in(
        &self,
        mut session: RedisSession,
        password: Option<&Secret>,
        commands: &[Command],
        recorder: &mut RunRecorder<'_>,
    ) -> Result<(RedisSession, RedisReply), Problem> {
        let mut login = self.login_commands(password);
        let login_count = login.len();
        login.extend(commands.iter().cloned());
        let first = async {
            session.send(&login, recorder).await?;
            for command in &login[..login_count] {
                if let Err(error) = session.reply(recorder).await? {
                    return Err(session.refused(command.name(), &error));
                }
            }
            session.reply(recorder).await
        };
        match first.await {
            Ok(first) => Ok((session, first)),
            // A TLS server closes the connection of a client without TLS.
            Err(problem) if problem.reason == Reason::Closed && self.is_plain() => {
                let message = format_args!("{} (for a TLS port, use rediss://)", problem.message());
                Err(Problem::new(Reason::Closed, message))
            }
            Err(problem) => Err(problem),
        }
    }

    fn is_plain(&self) -> bool {
        matches!(&self.server.endpoint, RedisEndpoint::Host { tls: None, .. })
    }

    /// Stores the connection for the next run, if connections are reused and no reply is outstanding.
    pub fn put_back(&mut self, opened: Opened) {
        if self.is_reusing && opened.session.is_answered() {
            self.idle = Some(opened.session);
        }
    }

    /// The commands that authenticate a new connection and select the database.
    fn login_commands(&self, password: Option<&Secret>) -> Vec<Command> {
        let mut commands = Vec::new();
        if let Some(password) = password {
            // Servers before Redis 6 do not support user names.
            let auth = Command::new("AUTH").arg(self.server.username.as_deref());
            commands.push(auth.arg(password.expose()));
        }
        // New connections use database 0. Sentinels have no databases, and cluster nodes only this one.
        if self.server.database != 0 {
            commands.push(Command::new("SELECT").arg(self.server.database));
        }
        commands
    }
}

/// Sends the commands on a reused connection, and waits for the first reply. `None` if the connection is closed, or if
/// unexpected data has arrived on it.
async fn reuse(
    mut session: Reusable<RedisSession>,
    commands: &[Command],
    recorder: &mut RunRecorder<'_>,
) -> Option<Result<Opened, Problem>> {
    if !session.is_idle().await {
        return None;
    }
    let first = async {
        session.send(commands, recorder).await?;
        session.reply(recorder).await
    };
    match first.await {
        Ok(first) => {
            session.record_certificates(recorder);
            Some(Ok(Opened { session, first }))
        }
        Err(problem) if problem.reason == Reason::Closed => None,
        Err(problem) => Some(Err(problem)),
    }
}

/// The text of a reply, if it is one.
pub fn text(value: &Value) -> Option<std::borrow::Cow<'_, str>> {
    match value {
        Value::BulkString(bytes) => Some(String::from_utf8_lossy(bytes)),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text.into()),
        Value::Okay => Some("OK".into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
