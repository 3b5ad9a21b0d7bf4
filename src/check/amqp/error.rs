//! What can go wrong on an AMQP connection, and what it means for a check.

use std::fmt::{self, Display};
use std::io;

use amq_protocol::protocol::{channel, connection};

use crate::model::{Problem, Reason};
use crate::net::{io_error, shortage, tls};

/// Why the broker closed a channel or the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Its code: 404, say.
    pub code: u16,
    /// Its text: "NOT_FOUND - no queue 'jobs' in vhost '/'".
    pub text: String,
    /// The reason it gives.
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
    /// The broker closed the connection without a word.
    #[error("it closed the connection")]
    Ended,
    /// It closed the connection instead of greeting.
    #[error("it closed the connection without one: is this the port of AMQP (5672, for TLS 5671)?")]
    NoGreeting,
    /// The broker closed the connection, and said why.
    #[error("the broker closed the connection: {0}")]
    ConnectionClosed(Reply),
    /// The broker closed the channel, and said why. The connection goes on.
    #[error("the broker refused it: {0}")]
    ChannelClosed(Reply),
    /// The broker ended a consumer, whose queue is gone.
    #[error("the broker cancelled the consumer {0}: its queue was deleted")]
    ConsumerCancelled(String),
    /// What came is no AMQP 0-9-1, or not what was to come.
    #[error("it does not speak AMQP 0-9-1 as it should ({0})")]
    Protocol(String),
    /// The login can't be tried.
    #[error("{0}")]
    Login(String),
    /// More came, or is to be sent, than is allowed.
    #[error("{0}")]
    Limit(String),
}

impl AmqpError {
    /// Whether a connection kept from an earlier run was closed meanwhile, by a restart of the broker, say: reason enough
    /// to make a new one before judging.
    pub fn is_stale(&self) -> bool {
        match self {
            Self::Socket(error) => io_error::reason(error) == Reason::Closed,
            Self::Ended => true,
            // What the broker finds wrong with what we asked is told by this connection as well as by a new one.
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

    /// The reason it is.
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

    /// The problem of a check that talked to `server`; `doing` says what it was after, as in "logging in".
    pub fn problem(&self, server: impl Display, doing: impl Display) -> Problem {
        let advice = match self {
            Self::ConnectionClosed(reply) | Self::ChannelClosed(reply) => reply.advice,
            _ => "",
        };
        let shortage = match self {
            Self::Socket(error) => shortage::of(error),
            _ => None,
        };
        shortage::problem_or(
            shortage,
            self.reason(),
            format_args!("{server}, {doing}: {self}{advice}"),
        )
    }
}

/// The broker ends the connection: an operator closed it, or it shuts down.
const CONNECTION_FORCED: u16 = 320;

impl Reply {
    /// The broker's reply with this code and text.
    pub fn new(code: u16, text: impl Into<String>) -> Self {
        Self::naming(code, text, &[])
    }

    /// The same, where the text may quote these names (a user, a virtual host), which others chose: they do not take part
    /// in deciding the reason.
    pub fn naming(code: u16, text: impl Into<String>, names: &[&str]) -> Self {
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

/// The text without the names that it quotes, in the forms of rabbit_reader.erl: `'app'`, and `vhost app ` for one that it
/// does not find.
fn without_names(text: &str, names: &[&str]) -> String {
    names.iter().fold(text.to_owned(), |text, name| {
        let unquoted = text.replacen(&format!("'{name}'"), "", 1);
        unquoted.replacen(&format!(" - vhost {name} "), " - vhost ", 1)
    })
}

/// A limit and a missing virtual host have the code 530 too, and only their text tells them apart (rabbit_reader.erl).
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
        Reason::Auth => " (are user and password right, and may the user log in from this host?)",
        Reason::Limit => " (raise the limit of the virtual host, the user or the broker)",
        Reason::Missing if code == 530 || code == 402 => {
            " (create the virtual host, or correct the path of the URL)"
        }
        _ => "",
    }
}

impl Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Texts begin with the code's name, "ACCESS_REFUSED - ", and may go on for lines.
        write!(f, "{} {}", self.code, self.text.trim_end())
    }
}

impl From<&connection::Close> for Reply {
    fn from(close: &connection::Close) -> Self {
        Self::new(close.reply_code, close.reply_text.to_string())
    }
}

impl From<&channel::Close> for Reply {
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
    fn replies_have_reasons() {
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
            assert_eq!(Reply::new(code, text).reason, reason, "{text}");
        }
    }

    /// People may call users and virtual hosts what they like.
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
                let reply = Reply::naming(530, text.as_str(), &[name, name]);
                assert_eq!(reply.reason, reason, "{text}");
                assert_eq!(reply.text, text);
            }
        }
    }

    #[test]
    fn a_problem_says_who_what_and_what_to_do() {
        let error = AmqpError::ConnectionClosed(Reply::new(530, "NOT_ALLOWED - vhost nope not found"));
        assert_eq!(
            error.problem("mq:5672", "opening the virtual host").message(),
            "mq:5672, opening the virtual host: the broker closed the connection: 530 NOT_ALLOWED - vhost nope not \
             found (create the virtual host, or correct the path of the URL)"
        );
        assert!(!error.is_stale());
        assert!(AmqpError::Ended.is_stale());
    }
}
