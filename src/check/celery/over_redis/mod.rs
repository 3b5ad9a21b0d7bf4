//! Asks workers over Redis, as Celery's Redis transport does: the ping goes to a channel, answers come to a list that a
//! binding names. A run removes both at its end; what a cancelled one left is removed by the next, and what a check that
//! is gone left, by any check of the same broker some hours later.

mod mailbox;

use std::time::Duration;

use redis::Value;
use tokio::time::{Instant, timeout_at};

use self::mailbox::{Mailbox, PREFIX};
use super::judge::Length;
use super::message::{MAX_REPLY_BYTES, Ping, Reply};
use super::{Finished, Received};
use crate::check::redis::client::{Opened, RedisClient};
use crate::check::redis::session::{Command, Session as Connection};
use crate::config::celery::{CelerySettings, MAX_WORKERS, RedisKeys};
use crate::config::redis::server::RedisServer;
use crate::model::{Problem, Reason, Report};
use crate::net::network::Network;
use crate::net::run_recorder::RunRecorder;

/// The most that is read in one run, in bytes: as many answers as there may be, with what Redis writes around them.
const ALLOWED: u64 = 2 * (MAX_WORKERS * MAX_REPLY_BYTES) as u64;

/// How often abandoned bindings are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_secs(3600);

/// How many bindings one run may look at on that search.
const SWEPT: u32 = 200;

/// The most bindings of unfinished runs that are remembered. More than one there is only while the broker is out of reach.
const MAX_LEFT: usize = 16;

/// How much later than asked for the broker may say that nothing came, before that is what the run waits for.
const GRACE: Duration = Duration::from_millis(500);

/// What is kept of the broker between runs.
#[derive(Debug)]
pub struct Link {
    client: RedisClient,
    mailbox: Mailbox,
    /// Bindings of runs that have not removed them.
    left: Vec<String>,
    /// Where the search for abandoned bindings goes on, and when it begins anew.
    cursor: Option<u64>,
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

/// Seconds since 1970.
fn unix_now() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.unwrap_or_default().as_secs()
}

impl Link {
    /// The link of the check with this name.
    pub fn new(
        settings: &CelerySettings,
        server: &RedisServer,
        keys: &RedisKeys,
        name: &str,
        network: &Network,
    ) -> Self {
        Self {
            client: RedisClient::new(server, network, settings.reuse_connection, ALLOWED),
            mailbox: Mailbox::new(keys, &settings.control_exchange, name),
            left: Vec::new(),
            cursor: Some(0),
            next_sweep: Instant::now() + SWEEP_INTERVAL,
        }
    }

    /// Sends the ping, and gives the number of those who got it.
    ///
    /// # Errors
    /// Why that was not possible.
    pub async fn publish(
        &mut self,
        ping: &mut Ping,
        trace: &mut RunRecorder<'_>,
    ) -> Result<(Session, Option<usize>), Problem> {
        ping.routing_key = self.mailbox.routing_key(unix_now());
        let binding = self.mailbox.binding(&ping.routing_key);
        let commands = self.commands(ping, &binding);
        // From here on the broker may have it, whatever becomes of this run.
        self.left.push(binding.clone());
        let opened = self.client.open(&commands, trace).await?;
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
            let value = session.read_value(command.name(), trace).await?;
            match (command.name(), value) {
                ("PUBLISH", Value::Int(receivers)) => listening = usize::try_from(receivers).ok(),
                ("SSCAN", value) => session.abandoned = self.swept(value),
                _ => {}
            }
        }
        self.left = vec![binding];
        Ok((session, listening))
    }

    /// Removes what earlier runs left, goes on with the search for abandoned bindings, binds our queue, and pings.
    fn commands(&mut self, ping: &Ping, binding: &str) -> Vec<Command> {
        let mailbox = &self.mailbox;
        let mut commands = vec![Command::new("DEL").arg(mailbox.answers())];
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
            commands.push(scan.arg("COUNT").arg(SWEPT));
        }
        commands.push(Command::new("SADD").arg(&mailbox.bindings).arg(binding));
        commands.push(publish(mailbox, ping));
        commands
    }

    /// What a step of the search for abandoned bindings found.
    fn swept(&mut self, found: Value) -> Vec<(String, Vec<String>)> {
        self.cursor = None;
        let Ok((cursor, bindings)) = redis::from_redis_value::<(u64, Vec<String>)>(found) else {
            return Vec::new();
        };
        self.cursor = Some(cursor).filter(|cursor| *cursor != 0);
        let now = unix_now();
        let abandoned = bindings.into_iter().filter_map(|binding| {
            let lists = self.mailbox.abandoned(&binding, now)?;
            Some((binding, lists))
        });
        abandoned.collect()
    }

    /// Keeps the connection of a run that went well.
    pub fn keep(&mut self, session: Session) {
        self.left.clear();
        self.client.keep(session.opened);
    }
}

fn publish(mailbox: &Mailbox, ping: &Ping) -> Command {
    Command::new("PUBLISH")
        .arg(mailbox.channel(&ping.exchange))
        .arg(ping.envelope())
}

impl Session {
    /// Sends another ping, to be answered where the first one is.
    ///
    /// # Errors
    /// Why that was not possible.
    pub async fn ping_again(&mut self, ping: &Ping, trace: &mut RunRecorder<'_>) -> Result<(), Problem> {
        let command = publish(&self.mailbox, ping);
        self.connection().send(&[command], trace).await?;
        self.read_value("PUBLISH", trace).await?;
        Ok(())
    }

    fn connection(&mut self) -> &mut Connection {
        &mut self.opened.session
    }

    /// Reads the value of the next outstanding command.
    async fn read_value(
        &mut self,
        name: &'static str,
        trace: &mut RunRecorder<'_>,
    ) -> Result<Value, Problem> {
        let reply = self.connection().reply(trace).await?;
        reply.map_err(|error| self.opened.session.refused(name, &error))
    }

    /// The next message in the list of answers; `None` where none comes until then.
    ///
    /// # Errors
    /// Why there is no connection any more.
    pub async fn receive(
        &mut self,
        until: Instant,
        trace: &mut RunRecorder<'_>,
    ) -> Result<Option<Received>, Problem> {
        let wait = until.saturating_duration_since(Instant::now());
        if wait < Duration::from_millis(1) {
            return Ok(None);
        }
        let command = Command::new("BRPOP")
            .arg(self.mailbox.answers())
            .arg(wait.as_secs_f64());
        // The step that the caller has set says more than that of a single command.
        let mut unseen = Report::default();
        let mut unseen = RunRecorder::new(&mut unseen);
        self.connection().send(&[command], &mut unseen).await?;
        let reply = match timeout_at(until + GRACE, self.connection().reply(&mut unseen)).await {
            Ok(reply) => reply?,
            Err(_) => self.connection().reply(trace).await?,
        };
        let value = reply.map_err(|error| self.opened.session.refused("BRPOP", &error))?;
        match value {
            Value::Nil => Ok(None),
            Value::Array(parts) => match parts.as_slice() {
                [_, Value::BulkString(message)] => Ok(Some(Reply::from_envelope(message))),
                _ => Err(strange()),
            },
            _ => Err(strange()),
        }
    }

    /// Asks for the lengths of the queues, and removes what the run has made.
    ///
    /// # Errors
    /// Why there is no connection any more.
    pub async fn finish(
        &mut self,
        settings: &CelerySettings,
        trace: &mut RunRecorder<'_>,
    ) -> Result<Finished, Problem> {
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
        commands.push(Command::new("DEL").arg(self.mailbox.answers()));
        let tidying = 2 + 2 * self.abandoned.len();
        for (binding, lists) in std::mem::take(&mut self.abandoned) {
            commands.push(Command::new("SREM").arg(&self.mailbox.bindings).arg(binding));
            commands.push(Command::new("DEL").arg(lists));
        }
        self.connection().send(&commands, trace).await?;
        let mut lengths = Vec::with_capacity(counts.len());
        for count in counts {
            let mut length = Length::Messages(0);
            for _ in 0..count {
                let reply = self.connection().reply(trace).await?;
                length = added(length, reply.map_err(|error| error.code().to_owned()));
            }
            lengths.push(length);
        }
        for _ in 0..tidying {
            self.read_value("DEL", trace).await?;
        }
        Ok(Finished {
            lengths,
            silent: None,
        })
    }
}

/// The length of a queue with one more of its lists.
fn added(length: Length, reply: Result<Value, String>) -> Length {
    match (length, reply) {
        (Length::Messages(sum), Ok(Value::Int(more))) => {
            Length::Messages(sum.saturating_add(u64::try_from(more).unwrap_or(0)))
        }
        (Length::Messages(_), Err(code)) if code == "WRONGTYPE" => {
            Length::Unknown("the key of this name is no list".to_owned())
        }
        (Length::Messages(_), Err(code)) => {
            Length::Unknown(format!("the broker does not tell its length ({code})"))
        }
        (Length::Messages(_), Ok(_)) => Length::Unknown("the broker answers with no number".to_owned()),
        (unknown, _) => unknown,
    }
}

fn strange() -> Problem {
    Problem::new(
        Reason::Protocol,
        "BRPOP is not answered with an element of a list: is this Redis?",
    )
}
