//! Pings workers over Redis, as Celery's Redis transport does. The ping goes to a channel; replies arrive in a list that a
//! binding names. A run removes both at its end. The next run removes what a cancelled run left, and hours later any check of
//! the same broker removes what a deleted check left.

mod mailbox;

use std::time::Duration;

use redis::Value;
use tokio::time::{Instant, timeout_at};

use self::mailbox::{Mailbox, PREFIX};
use super::judge::{FinalFacts, QueueLength};
use super::message::{MAX_REPLY_BYTES, Ping, Received, WorkerReply};
use crate::check::redis::client::{Opened, RedisClient};
use crate::check::redis::session::{Command, RedisSession};
use crate::config::celery::{CelerySettings, MAX_WORKERS, RedisKeys};
use crate::config::redis::server::RedisServer;
use crate::model::{Problem, Reason, Report};
use crate::net::network::Network;
use crate::net::run_recorder::RunRecorder;

/// The maximum number of bytes that a run reads: the maximum number of replies, with the data that Redis adds.
const MAX_BYTES: u64 = 2 * (MAX_WORKERS * MAX_REPLY_BYTES) as u64;

/// How often a check searches for abandoned bindings.
const SWEEP_INTERVAL: Duration = Duration::from_secs(3600);

/// How many bindings a run reads in that search.
const SWEEP_COUNT: u32 = 200;

/// The maximum number of bindings of unfinished runs to remember. There is more than one only while the broker is unreachable.
const MAX_LEFT: usize = 16;

/// How much later than requested the broker may report that no reply arrived. After that, the run waits for the broker
/// instead of for workers.
const GRACE: Duration = Duration::from_millis(500);

/// The state of a check's connection to its broker between runs.
#[derive(Debug)]
pub struct Client {
    client: RedisClient,
    mailbox: Mailbox,
    /// Bindings of runs that have not removed them.
    left: Vec<String>,
    /// Where the search for abandoned bindings continues.
    cursor: Option<u64>,
    /// When the search starts again.
    next_sweep: Instant,
}

/// A connection with a ping sent over it.
pub struct Session {
    opened: Opened,
    mailbox: Mailbox,
    binding: String,
    /// Abandoned bindings, with the lists behind them.
    abandoned: Vec<(String, Vec<String>)>,
}

/// The current Unix time in seconds.
fn unix_now() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.unwrap_or_default().as_secs()
}

impl Client {
    /// The client of a check with this name.
    pub fn new(
        settings: &CelerySettings,
        server: &RedisServer,
        keys: &RedisKeys,
        name: &str,
        network: &Network,
    ) -> Self {
        Self {
            client: RedisClient::new(server, network, settings.reuse_connection, MAX_BYTES),
            mailbox: Mailbox::new(keys, &settings.control_exchange, name),
            left: Vec::new(),
            cursor: Some(0),
            next_sweep: Instant::now() + SWEEP_INTERVAL,
        }
    }

    /// Sends the ping. Returns the session and the number of listeners that received it.
    ///
    /// # Errors
    /// Why the ping could not be sent.
    pub async fn publish(
        &mut self,
        ping: &mut Ping,
        recorder: &mut RunRecorder<'_>,
    ) -> Result<(Session, Option<usize>), Problem> {
        ping.routing_key = self.mailbox.routing_key(unix_now());
        let binding = self.mailbox.binding(&ping.routing_key);
        let commands = self.commands(ping, &binding);
        // The broker may create the binding even if this run fails or is cancelled.
        self.left.push(binding.clone());
        let opened = self.client.open(&commands, recorder).await?;
        if let Err(error) = &opened.first {
            return Err(opened.session.refused(commands[0].name(), error));
        }
        let mut session = Session {
            opened,
            mailbox: self.mailbox.clone(),
            binding: binding.clone(),
            abandoned: Vec::new(),
        };
        let mut listening = None;
        for command in &commands[1..] {
            let value = session.read_value(command.name(), recorder).await?;
            match (command.name(), value) {
                ("PUBLISH", Value::Int(receivers)) => listening = usize::try_from(receivers).ok(),
                ("SSCAN", value) => session.abandoned = self.parse_sweep(value),
                _ => {}
            }
        }
        self.left = vec![binding];
        Ok((session, listening))
    }

    /// The commands of a run: remove what earlier runs left, continue the search for abandoned bindings, bind our queue, ping.
    fn commands(&mut self, ping: &Ping, binding: &str) -> Vec<Command> {
        let mailbox = &self.mailbox;
        let mut commands = vec![Command::new("DEL").arg(mailbox.reply_lists())];
        self.left.retain(|left| left != binding);
        let surplus = self.left.len().saturating_sub(MAX_LEFT);
        self.left.drain(..surplus);
        if !self.left.is_empty() {
            commands.push(Command::new("SREM").arg(&mailbox.bindings).arg(&self.left));
        }
        if self.next_sweep <= Instant::now() {
            self.cursor = Some(0);
            self.next_sweep = Instant::now() + SWEEP_INTERVAL;
        }
        if let Some(cursor) = self.cursor {
            let scan = Command::new("SSCAN").arg(&mailbox.bindings).arg(cursor);
            let scan = scan.arg("MATCH").arg(format!("{PREFIX}*"));
            commands.push(scan.arg("COUNT").arg(SWEEP_COUNT));
        }
        commands.push(Command::new("SADD").arg(&mailbox.bindings).arg(binding));
        commands.push(publish(mailbox, ping));
        commands
    }

    /// Parses the reply to SSCAN. Returns abandoned bindings with their lists.
    fn parse_sweep(&mut self, found: Value) -> Vec<(String, Vec<String>)> {
        self.cursor = None;
        let Ok((cursor, bindings)) = redis::from_redis_value::<(u64, Vec<String>)>(found) else {
            return Vec::new();
        };
        self.cursor = Some(cursor).filter(|cursor| *cursor != 0);
        let now = unix_now();
        let abandoned = bindings.into_iter().filter_map(|binding| {
            let lists = self.mailbox.abandoned_lists(&binding, now)?;
            Some((binding, lists))
        });
        abandoned.collect()
    }

    /// Stores the connection of a successful run for the next one.
    pub fn put_back(&mut self, session: Session) {
        self.left.clear();
        self.client.put_back(session.opened);
    }
}

fn publish(mailbox: &Mailbox, ping: &Ping) -> Command {
    Command::new("PUBLISH")
        .arg(mailbox.channel(&ping.exchange))
        .arg(ping.envelope())
}

impl Session {
    /// Sends another ping. Replies arrive in the same place as those to the first one.
    ///
    /// # Errors
    /// Why the ping could not be sent.
    pub async fn send_another(&mut self, ping: &Ping, recorder: &mut RunRecorder<'_>) -> Result<(), Problem> {
        let command = publish(&self.mailbox, ping);
        self.connection().send(&[command], recorder).await?;
        self.read_value("PUBLISH", recorder).await?;
        Ok(())
    }

    fn connection(&mut self) -> &mut RedisSession {
        &mut self.opened.session
    }

    /// Waits for the reply to the next outstanding command, which must not be an error.
    async fn read_value(
        &mut self,
        name: &'static str,
        recorder: &mut RunRecorder<'_>,
    ) -> Result<Value, Problem> {
        let reply = self.connection().reply(recorder).await?;
        reply.map_err(|error| self.opened.session.refused(name, &error))
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
        let wait = until.saturating_duration_since(Instant::now());
        if wait < Duration::from_millis(1) {
            return Ok(None);
        }
        let command = Command::new("BRPOP")
            .arg(self.mailbox.reply_lists())
            .arg(wait.as_secs_f64());
        // The step that the caller has set is more useful than that of a single command.
        let mut ignored = Report::default();
        let mut ignored = RunRecorder::new(&mut ignored);
        self.connection().send(&[command], &mut ignored).await?;
        let reply = match timeout_at(until + GRACE, self.connection().reply(&mut ignored)).await {
            Ok(reply) => reply?,
            Err(_) => self.connection().reply(recorder).await?,
        };
        let value = reply.map_err(|error| self.opened.session.refused("BRPOP", &error))?;
        match value {
            Value::Nil => Ok(None),
            Value::Array(parts) => match parts.as_slice() {
                [_, Value::BulkString(message)] => Ok(Some(WorkerReply::from_envelope(message))),
                _ => Err(invalid_response()),
            },
            _ => Err(invalid_response()),
        }
    }

    /// Reads the lengths of the queues, and removes what the run has created.
    ///
    /// # Errors
    /// The connection is broken.
    pub async fn finish(
        &mut self,
        settings: &CelerySettings,
        recorder: &mut RunRecorder<'_>,
    ) -> Result<FinalFacts, Problem> {
        let mut commands = Vec::new();
        let mut counts = Vec::new();
        for queue in &settings.queues {
            let lists = self.mailbox.lists(&queue.name);
            counts.push(lists.len());
            commands.extend(lists.into_iter().map(|list| Command::new("LLEN").arg(list)));
        }
        commands.push(
            Command::new("SREM")
                .arg(&self.mailbox.bindings)
                .arg(&self.binding),
        );
        commands.push(Command::new("DEL").arg(self.mailbox.reply_lists()));
        let cleanup_count = 2 + 2 * self.abandoned.len();
        for (binding, lists) in std::mem::take(&mut self.abandoned) {
            commands.push(Command::new("SREM").arg(&self.mailbox.bindings).arg(binding));
            commands.push(Command::new("DEL").arg(lists));
        }
        self.connection().send(&commands, recorder).await?;
        let mut lengths = Vec::with_capacity(counts.len());
        for count in counts {
            let mut length = QueueLength::Messages(0);
            for _ in 0..count {
                let reply = self.connection().reply(recorder).await?;
                length = add_list(length, reply.map_err(|error| error.code().to_owned()));
            }
            lengths.push(length);
        }
        for _ in 0..cleanup_count {
            self.read_value("DEL", recorder).await?;
        }
        Ok(FinalFacts {
            lengths,
            silent: None,
        })
    }
}

/// Adds the length of one of a queue's lists to its total.
fn add_list(length: QueueLength, reply: Result<Value, String>) -> QueueLength {
    match (length, reply) {
        (QueueLength::Messages(sum), Ok(Value::Int(more))) => {
            QueueLength::Messages(sum.saturating_add(u64::try_from(more).unwrap_or(0)))
        }
        (QueueLength::Messages(_), Err(code)) if code == "WRONGTYPE" => {
            QueueLength::Unknown("the key with this name is not a list".to_owned())
        }
        (QueueLength::Messages(_), Err(code)) => {
            QueueLength::Unknown(format!("reading its length failed ({code})"))
        }
        (QueueLength::Messages(_), Ok(_)) => {
            QueueLength::Unknown("the broker did not return a number".to_owned())
        }
        (unknown, _) => unknown,
    }
}

fn invalid_response() -> Problem {
    Problem::new(
        Reason::Protocol,
        "the response to BRPOP is not a list element: is this a Redis server?",
    )
}
