//! What an error means, and what to do about it.

use std::error::Error as _;
use std::fmt::Display;
use std::io;

use tokio_postgres::Error;
use tokio_postgres::error::{DbError, Severity};

use super::watched::NotPostgres;
use crate::model::{Problem, Reason};
use crate::net::read_budget::ReadLimitExceeded;
use crate::net::{io_error, shortage, tls};

/// How much of what the server says is quoted, in characters.
const MAX_QUOTED: usize = 200;

/// What was being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// Connecting and logging in.
    Login,
    /// Running `SELECT 1`, or what stands for it.
    Probe,
    /// Running the configured query.
    Query,
    /// Reading the statistics.
    Statistics,
}

impl Doing {
    const fn words(self) -> &'static str {
        match self {
            Self::Login => "logging in",
            Self::Probe => "running SELECT 1",
            Self::Query => "running the query",
            Self::Statistics => "reading the statistics",
        }
    }
}

/// The problem that an error is. `target` is the database without anything secret.
pub fn problem(error: &Error, target: &str, doing: Doing) -> Problem {
    let (reason, text) = meaning(error, doing);
    shortage::problem(reason, error, format_args!("{target}, {}: {text}", doing.words()))
}

/// Whether the error says that the session has ended. Of a kept one it says nothing about the server as it is now.
pub fn has_ended(error: &Error) -> bool {
    match error.as_db_error() {
        Some(error) => matches!(error.parsed_severity(), Some(Severity::Fatal | Severity::Panic)),
        None => meaning(error, Doing::Probe).0 == Reason::Closed,
    }
}

/// Whether the server turned a login away before it asked for a password: with or without TLS it may not.
pub fn is_turned_away(error: &Error) -> bool {
    error.code().is_some_and(|code| code.code() == "28000")
}

fn meaning(error: &Error, doing: Doing) -> (Reason, String) {
    if let Some(error) = error.as_db_error() {
        let (reason, advice) = of_state(error.code().code(), doing);
        return (reason, said(error, advice));
    }
    if error.is_closed() {
        return (
            Reason::Closed,
            "it closed the connection before the end".to_owned(),
        );
    }
    let cause = error.source();
    let what = bounded(&cause.map(ToString::to_string).unwrap_or_default());
    // The library tells what has no code by its text only. The cause of a message that can't be parsed is an error of
    // input and output too.
    match error.to_string().as_str() {
        "error communicating with the server" => cause
            .and_then(|cause| cause.downcast_ref())
            .map_or((Reason::Closed, what), |error| of_io(error, doing)),
        "invalid configuration" => (
            Reason::Auth,
            "the server asks for a password and there is none: set password_file, or password or password_env"
                .to_owned(),
        ),
        "authentication error" => (
            Reason::Auth,
            format!("{what}: the server must ask for a password (scram-sha-256 or md5 in pg_hba.conf)"),
        ),
        other => (
            Reason::Protocol,
            format!("it does not speak PostgreSQL's protocol as it should ({other}: {what})"),
        ),
    }
}

fn of_io(error: &io::Error, doing: Doing) -> (Reason, String) {
    let cause = error.get_ref();
    if cause.is_some_and(|cause| cause.is::<NotPostgres>()) {
        return (Reason::Protocol, error.to_string());
    }
    if cause.is_some_and(|cause| cause.is::<ReadLimitExceeded>()) {
        let advice = match doing {
            Doing::Query => ": let the query return one row, with LIMIT 1",
            _ => "",
        };
        return (Reason::Limit, format!("{error}{advice}"));
    }
    if let Some(fault) = cause.and_then(|cause| cause.downcast_ref::<rustls::Error>()) {
        return (Reason::Tls, in_libpq_words(tls::error_text(fault)));
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof => (
            Reason::Closed,
            "it closed the connection before the end".to_owned(),
        ),
        // What the decoder leaves over at the end of the stream.
        io::ErrorKind::Other if error.to_string().contains("bytes remaining") => (
            Reason::Closed,
            "it closed the connection in the middle of a message".to_owned(),
        ),
        _ if error.raw_os_error().is_none() => (
            Reason::Protocol,
            format!("it does not speak PostgreSQL's protocol as it should ({error})"),
        ),
        _ => (io_error::reason(error), error.to_string()),
    }
}

/// What an SQLSTATE means (PostgreSQL's documentation, "PostgreSQL Error Codes"), and what to do.
fn of_state(state: &str, doing: Doing) -> (Reason, &'static str) {
    match state {
        "28P01" => (
            Reason::Auth,
            "check the user and its password: one in a file or a variable is read again at the next run",
        ),
        "28000" => (
            Reason::Auth,
            "check the user in the URL, and pg_hba.conf for a line that lets it in from here, with or without TLS",
        ),
        "3D000" | "57P04" => (
            Reason::Missing,
            "check the database's name in the URL, or create it",
        ),
        "53300" => (
            Reason::Limit,
            "raise max_connections or the role's CONNECTION LIMIT, or find out who holds so many (pg_stat_activity)",
        ),
        "53100" => (Reason::Limit, "make room on the server's disk"),
        "53200" => (Reason::Limit, "the server is out of memory"),
        "57P03" => (
            Reason::State,
            "wait until it has started, or look into its log for why it does not",
        ),
        "57P01" | "57P02" | "57P05" => (
            Reason::Closed,
            "the server ended the session: is it being restarted?",
        ),
        "55000" if doing == Doing::Login => (Reason::State, "allow connections to this database again"),
        "57014" => (
            Reason::Timeout,
            "make the query faster, or raise statement_timeout",
        ),
        "40001" | "40P01" => (
            Reason::State,
            "the query is in conflict with what the server replays or runs",
        ),
        "42501" if doing == Doing::Login => (Reason::Auth, "grant the role CONNECT on this database"),
        "42501" => (Reason::Auth, "grant the role what the query needs"),
        "25006" => (Reason::Assertion, "the query must only read"),
        "42P01" | "42703" | "42883" | "42704" | "3F000" if doing == Doing::Query => {
            (Reason::Missing, "create it, or mend the query")
        }
        state if state.starts_with("53") => (
            Reason::Limit,
            "the server is short of what it needs: look into its log",
        ),
        state if state.starts_with("58") || state.starts_with("XX") => {
            (Reason::State, "the server has a fault: look into its log")
        }
        state if state.starts_with("08") => (
            Reason::Protocol,
            "is something else between the exporter and the server?",
        ),
        _ if doing == Doing::Query => (Reason::Assertion, "mend the query, or what it asks for"),
        _ => (Reason::Status, "look into the server's log"),
    }
}

fn said(error: &DbError, advice: &str) -> String {
    let message = bounded(error.message());
    format!("{message} (SQLSTATE {}): {advice}", error.code().code())
}

/// A piece of what the server said, short enough that the advice after it is not cut off.
pub fn bounded(text: &str) -> String {
    match text.char_indices().nth(MAX_QUOTED) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}\u{2026}", &text[..end]),
    }
}

/// The same problem of TLS, told in the words of libpq's URLs.
pub fn of_tls(problem: &Problem) -> Problem {
    problem.with_message(in_libpq_words(problem.message()))
}

/// Messages about TLS name the keys of `tls_config`; here the URL has options for these.
fn in_libpq_words(text: impl Display) -> String {
    [
        ("tls_config.ca_file", "sslrootcert"),
        ("tls_config.cert_file", "sslcert and sslkey"),
        (
            "set tls_config.server_name",
            "write the name that it knows as the URL's host",
        ),
        ("tls_config:", "TLS files:"),
    ]
    .iter()
    .fold(text.to_string(), |text, (key, option)| text.replace(key, option))
}
