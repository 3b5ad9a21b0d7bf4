//! Commands and replies on one connection to a Redis server. The redis crate encodes and parses them (RESP2). The parser runs
//! in the task of the run, so cancelling the run ends everything.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, Read};
use std::pin::Pin;
use std::task::{Context, Poll};

use redis::{Cmd, Parser, ServerError, ToRedisArgs, Value};
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};

use super::fault;
use crate::model::{Problem, Reason};
use crate::net::io_error;
use crate::net::run_recorder::{RunRecorder, Step};
use crate::net::stream::Stream;
use crate::net::tls;

/// A command, and its name for messages.
#[derive(Clone)]
pub struct Command {
    name: &'static str,
    command: Cmd,
}

impl Command {
    /// A command without arguments yet.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            command: redis::cmd(name),
        }
    }

    /// The name of the command.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Adds an argument (or several, depending on the type).
    #[must_use]
    pub fn arg(mut self, argument: impl ToRedisArgs) -> Self {
        self.command.arg(argument);
        self
    }
}

/// `Debug` shows no arguments, because they may contain a password.
impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Command").field(&self.name).finish()
    }
}

/// A server's reply to a command: a value, or an error whose first word, in capitals, is its kind.
pub type RedisReply = Result<Value, ServerError>;

/// A connection that sends commands and receives replies in order.
pub struct RedisSession {
    stream: Stream,
    parser: Parser,
    /// The server's address, for messages.
    at: String,
    /// The names of the commands whose replies have not been read yet.
    pending: VecDeque<&'static str>,
}

impl std::fmt::Debug for RedisSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisSession")
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

impl RedisSession {
    /// Starts a session on a new connection.
    pub fn new(stream: Stream, at: String) -> Self {
        Self {
            stream,
            parser: Parser::new(),
            at,
            pending: VecDeque::new(),
        }
    }

    /// The server's address.
    pub fn at(&self) -> &str {
        &self.at
    }

    /// Sends commands in one packet. Each has a reply that must be read with [`Self::reply`], in the same order.
    ///
    /// # Errors
    /// The connection is broken.
    pub async fn send(
        &mut self,
        commands: &[Command],
        recorder: &mut RunRecorder<'_>,
    ) -> Result<(), Problem> {
        let Some(first) = commands.first() else {
            return Ok(());
        };
        recorder.at(Step::Doing(
            format!("sending {} to {}", first.name, self.at).into(),
        ));
        let mut packed = Vec::new();
        for command in commands {
            packed.extend(command.command.get_packed_command());
            self.pending.push_back(command.name);
        }
        let sent = async {
            self.stream.write_all(&packed).await?;
            self.stream.flush().await
        };
        match sent.await {
            Ok(()) => Ok(()),
            // A server that rejects a client gives the reason before it closes the connection.
            Err(error) => match self.reply(recorder).await {
                Ok(Err(error)) => Err(self.refused(first.name, &error)),
                _ => Err(self.broken(first.name, &error)),
            },
        }
    }

    /// Waits for the next reply. If this is cancelled, a partly read reply is not lost: call it again.
    ///
    /// # Errors
    /// The connection is broken, or the data is not the Redis protocol.
    pub async fn reply(&mut self, recorder: &mut RunRecorder<'_>) -> Result<RedisReply, Problem> {
        let name = self.pending.front().copied().unwrap_or("nothing");
        recorder.at(Step::Doing(
            format!("waiting for the response of {} to {name}", self.at).into(),
        ));
        let (stream, parser) = (&mut self.stream, &mut self.parser);
        let received = poll_fn(|cx| {
            let mut feed = Feed {
                stream,
                cx,
                stopped: Stopped::AtGarbage,
            };
            match (parser.parse_value(&mut feed), feed.stopped) {
                (Ok(value), _) => Poll::Ready(Ok(value)),
                (Err(_), Stopped::ToWait) => Poll::Pending,
                (Err(_), stopped) => Poll::Ready(Err(stopped)),
            }
        });
        match received.await {
            Ok(value) => {
                self.pending.pop_front();
                Ok(match value {
                    Value::ServerError(error) => Err(error),
                    value => Ok(value),
                })
            }
            Err(Stopped::Broken(error)) => Err(self.broken(name, &error)),
            Err(Stopped::AtEnd) => {
                let message = format_args!(
                    "{}: the server closed the connection before its response",
                    self.doing(name)
                );
                Err(Problem::new(Reason::Closed, message))
            }
            Err(Stopped::AtGarbage | Stopped::ToWait) => {
                let message = format_args!(
                    "{}: the response is not the Redis protocol: is this the port of another service, or a TLS port \
                     (use rediss://)?",
                    self.doing(name)
                );
                Err(Problem::new(Reason::Protocol, message))
            }
        }
    }

    /// Sends one command and waits for its reply. No other reply may be outstanding.
    ///
    /// # Errors
    /// Why there is no reply.
    pub async fn command(
        &mut self,
        command: Command,
        recorder: &mut RunRecorder<'_>,
    ) -> Result<RedisReply, Problem> {
        self.send(&[command], recorder).await?;
        self.reply(recorder).await
    }

    /// Converts the server's error reply to a problem.
    pub fn refused(&self, name: &'static str, error: &ServerError) -> Problem {
        fault::problem(&self.at, name, error)
    }

    /// Whether all replies have been read.
    pub fn is_answered(&self) -> bool {
        self.pending.is_empty()
    }

    /// Whether all replies have been read and nothing else has arrived: a server sends nothing unasked unless it closes the
    /// connection. Drops bytes that the parser has read ahead.
    pub async fn is_idle(&mut self) -> bool {
        self.parser = Parser::new();
        let mut byte = [0];
        let stream = &mut self.stream;
        let has_come = poll_fn(|cx| {
            let came = Pin::new(&mut *stream).poll_read(cx, &mut ReadBuf::new(&mut byte));
            Poll::Ready(came.is_ready())
        });
        let has_come = has_come.await;
        self.is_answered() && !has_come
    }

    fn doing(&self, name: &str) -> String {
        format!("{}, {name}", self.at)
    }

    fn broken(&self, name: &str, error: &io::Error) -> Problem {
        let doing = self.doing(name);
        match error
            .get_ref()
            .and_then(|cause| cause.downcast_ref::<rustls::Error>())
        {
            Some(fault) => Problem::new(Reason::Tls, format_args!("{doing}: {}", tls::error_text(fault))),
            None => io_error::problem(error, format_args!("{doing}: {error}")),
        }
    }
}

/// Why the parser stopped reading.
enum Stopped {
    /// The data is not valid in the Redis protocol.
    AtGarbage,
    /// No more data is available yet.
    ToWait,
    /// The server closed the connection.
    AtEnd,
    /// The connection is broken, or the read budget is exceeded.
    Broken(io::Error),
}

/// Feeds available data of the stream to a parser that reads synchronously.
struct Feed<'s, 'c, 'w> {
    stream: &'s mut Stream,
    cx: &'c mut Context<'w>,
    stopped: Stopped,
}

impl Read for Feed<'_, '_, '_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut into = ReadBuf::new(into);
        self.stopped = match Pin::new(&mut *self.stream).poll_read(self.cx, &mut into) {
            Poll::Ready(Ok(())) if into.filled().is_empty() => Stopped::AtEnd,
            Poll::Ready(Ok(())) => Stopped::AtGarbage,
            Poll::Ready(Err(error)) => Stopped::Broken(error),
            Poll::Pending => Stopped::ToWait,
        };
        match self.stopped {
            Stopped::AtGarbage => Ok(into.filled().len()),
            // After an error, the parser keeps what it has parsed so far.
            _ => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}
