//! memcached's text protocol: reads responses from a connection, and parses statistics.
//!
//! Source: doc/protocol.txt in memcached's repository ("Error strings", "General-purpose statistics", "Meta commands").

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

use crate::model::{Problem, Reason, visible};
use crate::net::io_error;
use crate::net::run_recorder::{RunRecorder, Step};
use crate::net::stream::Stream;

/// How much of an unexpected response a message quotes, in bytes.
const MAX_QUOTED_BYTES: usize = 100;

/// A connection on which commands are sent, and their responses read in the same order.
pub struct Connection {
    stream: BufReader<Stream>,
    target: String,
}

impl Connection {
    /// A new connection. Messages call the server `target`.
    pub fn new(stream: Stream, target: String) -> Self {
        Self {
            stream: BufReader::new(stream),
            target,
        }
    }

    /// The name of the server for messages.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Sends commands.
    ///
    /// # Errors
    /// If the connection is broken.
    pub async fn send(&mut self, commands: &str) -> Result<(), Problem> {
        let sent = async {
            self.stream.write_all(commands.as_bytes()).await?;
            self.stream.flush().await
        };
        match sent.await {
            Ok(()) => Ok(()),
            // A server without a free connection sends an error before it closes.
            Err(error) => match self.line("the request").await {
                Ok(line) => Err(self.problem("the request", &line)),
                Err(_) => Err(io_error::problem(
                    &error,
                    format_args!("sending commands to {}: {error}", self.target),
                )),
            },
        }
    }

    /// Reads the first line of the response to a command.
    ///
    /// # Errors
    /// If the connection is broken, or the response is an error.
    pub async fn response(
        &mut self,
        command: &'static str,
        recorder: &mut RunRecorder<'_>,
    ) -> Result<String, Problem> {
        recorder.at(Step::Doing(
            format!("waiting for the response of {} to {command}", self.target).into(),
        ));
        let line = self.line(command).await?;
        match is_error(&line) {
            true => Err(self.problem(command, &line)),
            false => Ok(line),
        }
    }

    /// Reads a line without its line break. The read budget of the stream bounds its length.
    pub async fn line(&mut self, command: &str) -> Result<String, Problem> {
        let mut line = Vec::new();
        let read = self.stream.read_until(b'\n', &mut line).await;
        self.check(command, read)?;
        match line.strip_suffix(b"\r\n") {
            Some(text) => Ok(String::from_utf8_lossy(text).into_owned()),
            None if line.ends_with(b"\n") => Err(self.problem(command, &String::from_utf8_lossy(&line))),
            None => Err(self.closed(command)),
        }
    }

    /// Reads `length` bytes of data and the line break after them.
    pub async fn data(&mut self, command: &str, length: usize) -> Result<Vec<u8>, Problem> {
        let mut data = Vec::new();
        let limit = (length as u64).saturating_add(2);
        let read = (&mut self.stream).take(limit).read_to_end(&mut data).await;
        self.check(command, read)?;
        match data.strip_suffix(b"\r\n") {
            Some(value) if value.len() == length => Ok(value.to_vec()),
            _ => Err(self.closed(command)),
        }
    }

    fn check(&self, command: &str, read: std::io::Result<usize>) -> Result<(), Problem> {
        match read {
            Ok(0) => Err(self.closed(command)),
            Ok(_) => Ok(()),
            Err(error) => Err(io_error::problem(
                &error,
                format_args!("reading the response of {} to {command}: {error}", self.target),
            )),
        }
    }

    fn closed(&self, command: &str) -> Problem {
        let message = format_args!(
            "{}: the server closed the connection before the response to {command}",
            self.target
        );
        Problem::new(Reason::Closed, message)
    }

    /// Converts an error or unexpected response to a problem.
    pub fn problem(&self, command: &str, line: &str) -> Problem {
        let (reason, meaning) = explain(command, line);
        let message = format_args!(
            "{}: {meaning}; it responded to {command} with \"{}\"",
            self.target,
            visible(line.trim_end(), MAX_QUOTED_BYTES)
        );
        Problem::new(reason, message)
    }
}

fn is_error(line: &str) -> bool {
    let word = line.split(' ').next().unwrap_or_default();
    matches!(word, "ERROR" | "CLIENT_ERROR" | "SERVER_ERROR")
}

/// The reason of an error or unexpected response, what it means and what to do.
fn explain(command: &str, line: &str) -> (Reason, &'static str) {
    if line.starts_with("ERROR Too many open connections") {
        return (
            Reason::Limit,
            "the server has no free connection: raise its limit (-c), or find out which clients hold them",
        );
    }
    if line.starts_with("CLIENT_ERROR unauthenticated") {
        return (
            Reason::Auth,
            "the server requires a login, which memcached checks do not support: use a tcp check",
        );
    }
    if line.starts_with("SERVER_ERROR out of memory") {
        return (
            Reason::Limit,
            "the server has no memory for the value: raise its limit (-m), or let it evict items (without -M)",
        );
    }
    if line == "ERROR" && matches!(command, "ms" | "mg" | "md") {
        return (
            Reason::Protocol,
            "the server does not support meta commands: remove key, or use memcached 1.6 or later",
        );
    }
    match is_error(line) {
        true => (Reason::State, "the server reports an error: see its log"),
        false => (
            Reason::Protocol,
            "this is not the text protocol of memcached: see which server listens there, and whether it uses TLS",
        ),
    }
}

/// The statistics that a check uses. Absent if the server does not report them.
#[derive(Debug, Default, PartialEq)]
pub struct Statistics {
    /// Open connections.
    pub connections: Option<u64>,
    /// The limit of connections.
    pub max_connections: Option<u64>,
    /// Whether new connections are accepted.
    pub accepts_connections: Option<bool>,
    /// Items.
    pub items: Option<u64>,
    /// Memory used by items, in bytes.
    pub memory_used: Option<u64>,
    /// The limit of that, in bytes.
    pub memory_limit: Option<u64>,
    /// Items evicted to make room.
    pub evictions: Option<u64>,
    /// Requests for keys that were there.
    pub hits: Option<u64>,
    /// Requests for keys that were not there.
    pub misses: Option<u64>,
}

impl Statistics {
    /// Adds a line of the response to `stats`, such as `STAT curr_items 3`. Ignores unknown ones.
    ///
    /// # Errors
    /// If it is not such a line.
    pub fn add(&mut self, line: &str) -> Result<(), ()> {
        let (name, value) = line
            .strip_prefix("STAT ")
            .and_then(|rest| rest.split_once(' '))
            .ok_or(())?;
        let number = value.parse().ok();
        match name {
            "curr_connections" => self.connections = number,
            "max_connections" => self.max_connections = number,
            "accepting_conns" => self.accepts_connections = number.map(|number| number != 0),
            "curr_items" => self.items = number,
            "bytes" => self.memory_used = number,
            "limit_maxbytes" => self.memory_limit = number,
            "evictions" => self.evictions = number,
            "get_hits" => self.hits = number,
            "get_misses" => self.misses = number,
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_are_parsed_and_unknown_ones_ignored() {
        let mut statistics = Statistics::default();
        for line in [
            "STAT pid 7",
            "STAT version 1.6.18",
            "STAT curr_connections 3",
            "STAT accepting_conns 0",
            "STAT bytes x",
            "STAT get_hits 18446744073709551615",
            "STAT rusage_user 0.5",
        ] {
            assert_eq!(statistics.add(line), Ok(()), "{line}");
        }
        let expected = Statistics {
            connections: Some(3),
            accepts_connections: Some(false),
            hits: Some(u64::MAX),
            ..Statistics::default()
        };
        assert_eq!(statistics, expected);
        for line in ["", "STAT", "STAT x", "VALUE a 0 1", "HTTP/1.1 400 Bad Request"] {
            assert_eq!(statistics.add(line), Err(()), "{line}");
        }
    }

    #[test]
    fn errors_have_a_reason_and_a_remedy() {
        for (command, line, reason, remedy) in [
            (
                "version",
                "ERROR Too many open connections",
                Reason::Limit,
                "raise its limit (-c)",
            ),
            (
                "version",
                "CLIENT_ERROR unauthenticated",
                Reason::Auth,
                "use a tcp check",
            ),
            (
                "ms",
                "SERVER_ERROR out of memory storing object",
                Reason::Limit,
                "(-m)",
            ),
            ("ms", "ERROR", Reason::Protocol, "memcached 1.6"),
            ("stats", "ERROR", Reason::State, "see its log"),
            ("stats", "SERVER_ERROR x", Reason::State, "see its log"),
            (
                "version",
                "HTTP/1.1 400 Bad Request",
                Reason::Protocol,
                "whether it uses TLS",
            ),
        ] {
            let (found, meaning) = explain(command, line);
            assert_eq!(found, reason, "{line}");
            assert!(meaning.contains(remedy), "{line}: {meaning}");
        }
    }
}
