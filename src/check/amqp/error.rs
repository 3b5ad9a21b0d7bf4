//! Errors of an AMQP connection, and the problems that checks make of them.

use std::fmt::{self, Display};
use std::io;

use amq_protocol::protocol::{channel, connection};

use crate::model::{Problem, Reason};
use crate::net::{io_error, shortage, tls};

/// Why the broker closed a channel or the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseReason {
    /// The reply code, such as 404.
    pub code: u16,
    /// The reply text, such as "NOT_FOUND - no queue 'jobs' in vhost '/'".
    pub text: String,
    /// The reason that the problem of a check has.
    pub reason: Reason,
    /// What to do about it.
    advice: &'static str,
}

/// Why an operation on a connection failed.
#[derive(Debug, thiserror::Error)]
pub enum AmqpError {
    /// The socket failed.
    #[error("{}", socket_text(.0))]
    Socket(#[from] io::Error),
    /// The server closed the connection without giving a reason.
    #[error("the server closed the connection")]
    Ended,
    /// The server closed the connection before its greeting.
    #[error(
        "the server closed the connection without a greeting: is this the AMQP port (5672, with TLS 5671)?"
    )]
    NoGreeting,
    /// The broker closed the connection and gave a reason.
    #[error("the broker closed the connection: {0}")]
    ConnectionClosed(CloseReason),
    /// The broker closed the channel and gave a reason. The connection stays open.
    #[error("the broker refused the request: {0}")]
    ChannelClosed(CloseReason),
    /// The broker cancelled a consumer because its queue was deleted.
    #[error("the broker cancelled the consumer {0}: its queue was deleted")]
    ConsumerCancelled(String),
    /// The server sent something that is not AMQP 0-9-1, or not what the protocol allows here.
    #[error("not a valid AMQP 0-9-1 response ({0})")]
    Protocol(String),
    /// The login can't be attempted.
    #[error("{0}")]
    Login(String),
    /// Something is larger than the limit.
    #[error("{0}")]
    Limit(String),
}

impl AmqpError {
    /// Whether a connection of an earlier run was closed since, for example by a broker restart. The run then opens a new
    /// connection before it judges.
    pub fn is_stale(&self) -> bool {
        match self {
            Self::Socket(error) => io_error::reason(error) == Reason::Closed,
            Self::Ended => true,
            // If the broker rejects our request, it rejects it on a new connection too.
            Self::ConnectionClosed(reply) => reply.code == CONNECTION_FORCED,
            _ => false,
        }
    }

    /// The code with which the broker closed the channel.
    pub fn channel_code(&self) -> Option<u16> {
        match self {
            Self::ChannelClosed(reply) => Some(reply.code),
            _ => None,
        }
    }

    /// The reason of the problem.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Socket(error) if rustls_fault(error).is_some() => Reason::Tls,
            Self::Socket(error) => io_error::reason(error),
            Self::Ended | Self::NoGreeting => Reason::Closed,
            Self::ConnectionClosed(reply) | Self::ChannelClosed(reply) => reply.reason,
            Self::ConsumerCancelled(_) => Reason::Missing,
            Self::Protocol(_) => Reason::Protocol,
            Self::Login(_) => Reason::Auth,
            Self::Limit(_) => Reason::Limit,
        }
    }

    /// The problem of a check of `server`; `doing` is what it attempted, such as "logging in".
    pub fn problem(&self, server: impl Display, doing: impl Display) -> Problem {
        let advice = match self {
            Self::ConnectionClosed(reply) | Self::ChannelClosed(reply) => reply.advice,
            _ => "",
        };
        let shortage = match self {
            Self::Socket(error) => shortage::from_error(error),
            _ => None,
        };
        shortage::problem_or(
            shortage,
            self.reason(),
            format_args!("{server}, {doing}: {self}{advice}"),
        )
    }
}

/// The broker ends the connection: an operator closed it, or the broker shuts down.
const CONNECTION_FORCED: u16 = 320;

impl CloseReason {
    /// The reason with this code and text.
    pub fn new(code: u16, text: impl Into<String>) -> Self {
        Self::quoting(code, text, &[])
    }

    /// Like [`Self::new`], but for a text that may quote these names (a user, a virtual host). Names are chosen by others,
    /// so they must not influence the reason.
    pub fn quoting(code: u16, text: impl Into<String>, names: &[&str]) -> Self {
        let text = text.into();
        let words = without_names(&text, names);
        let reason = reason(code, &words);
        Self {
            advice: advice(code, &words, reason),
            code,
            text,
            reason,
        }
    }
}

/// Removes the names that the text quotes, in the forms of rabbit_reader.erl: `'app'`, and `vhost app ` for a virtual host
/// that does not exist.
fn without_names(text: &str, names: &[&str]) -> String {
    names.iter().fold(text.to_owned(), |text, name| {
        let unquoted = text.replacen(&format!("'{name}'"), "", 1);
        unquoted.replacen(&format!(" - vhost {name} "), " - vhost ", 1)
    })
}

/// Limits and missing virtual hosts have code 530 too; only the text distinguishes them (rabbit_reader.erl).
fn reason(code: u16, words: &str) -> Reason {
    match code {
        CONNECTION_FORCED => Reason::Closed,
        403 => Reason::Auth,
        402 | 404 => Reason::Missing,
        405 => Reason::State,
        311 | 506 => Reason::Limit,
        530 if words.contains("limit") || words.contains("max") => Reason::Limit,
        530 if words.contains("not found") => Reason::Missing,
        530 if words.contains("is down") => Reason::State,
        530 => Reason::Auth,
        541 => Reason::State,
        _ => Reason::Protocol,
    }
}

fn advice(code: u16, words: &str, reason: Reason) -> &'static str {
    match reason {
        Reason::Auth if words.contains("vhost") => {
            " (give the user permissions on the virtual host: rabbitmqctl set_permissions)"
        }
        Reason::Auth => " (check the user, the password, and whether the user may log in from this host)",
        Reason::Limit => " (raise the limit of the virtual host, the user or the broker)",
        Reason::Missing if code == 530 || code == 402 => {
            " (create the virtual host, or correct the path of the URL)"
        }
        _ => "",
    }
}

impl Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The text begins with the name of the code, such as "ACCESS_REFUSED - ", and may have several lines.
        write!(f, "{} {}", self.code, self.text.trim_end())
    }
}

impl From<&connection::Close> for CloseReason {
    fn from(close: &connection::Close) -> Self {
        Self::new(close.reply_code, close.reply_text.to_string())
    }
}

impl From<&channel::Close> for CloseReason {
    fn from(close: &channel::Close) -> Self {
        Self::new(close.reply_code, close.reply_text.to_string())
    }
}

fn rustls_fault(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref::<rustls::Error>()
}

fn socket_text(error: &io::Error) -> String {
    match rustls_fault(error) {
        Some(fault) => tls::error_text(fault),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_texts_map_to_reasons() {
        for (code, text, reason) in [
            (
                403,
                "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN",
                Reason::Auth,
            ),
            (404, "NOT_FOUND - no queue 'jobs' in vhost '/'", Reason::Missing),
            (530, "NOT_ALLOWED - vhost nope not found", Reason::Missing),
            (
                530,
                "NOT_ALLOWED - access to vhost '/' refused for user 'app'",
                Reason::Auth,
            ),
            (
                530,
                "NOT_ALLOWED - access to vhost '/' refused for user 'app': vhost connection limit (0) is reached",
                Reason::Limit,
            ),
            (
                320,
                "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'",
                Reason::Closed,
            ),
            (501, "FRAME_ERROR", Reason::Protocol),
        ] {
            assert_eq!(CloseReason::new(code, text).reason, reason, "{text}");
        }
    }

    /// Users and virtual hosts can have any name.
    #[test]
    fn names_do_not_decide_the_reason() {
        for name in [
            "app",
            "limit",
            "max",
            "not found",
            "is down",
            "vhost",
            "'",
            "a' refused for user 'limit",
        ] {
            for (text, reason) in [
                (
                    format!("NOT_ALLOWED - access to vhost '{name}' refused for user '{name}'"),
                    Reason::Auth,
                ),
                (format!("NOT_ALLOWED - vhost {name} not found"), Reason::Missing),
                (
                    format!(
                        "NOT_ALLOWED - access to vhost '{name}' refused for user '{name}': vhost connection limit (0) is reached"
                    ),
                    Reason::Limit,
                ),
                (
                    format!(
                        "NOT_ALLOWED - access to vhost '{name}' refused for user '{name}': vhost is down"
                    ),
                    Reason::State,
                ),
            ] {
                let reply = CloseReason::quoting(530, text.as_str(), &[name, name]);
                assert_eq!(reply.reason, reason, "{text}");
                assert_eq!(reply.text, text);
            }
        }
    }

    #[test]
    fn a_problem_names_server_attempt_cause_and_advice() {
        let error = AmqpError::ConnectionClosed(CloseReason::new(530, "NOT_ALLOWED - vhost nope not found"));
        assert_eq!(
            error.problem("mq:5672", "opening the virtual host").message(),
            "mq:5672, opening the virtual host: the broker closed the connection: 530 NOT_ALLOWED - vhost nope not \
             found (create the virtual host, or correct the path of the URL)"
        );
        assert!(!error.is_stale());
        assert!(AmqpError::Ended.is_stale());
    }
}
