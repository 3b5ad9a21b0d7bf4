//! Maps errors to problems with advice.

use std::error::Error as _;
use std::fmt::Display;
use std::io;

use tokio_postgres::Error;
use tokio_postgres::error::{DbError, Severity};

use super::checked_stream::NotPostgres;
use crate::model::{Problem, Reason};
use crate::net::read_budget::ReadLimitExceeded;
use crate::net::{io_error, shortage, tls};

/// How much of the server's text a message quotes, in characters.
const MAX_QUOTED: usize = 200;

/// The operation that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Connecting and logging in.
    Login,
    /// Running `SELECT 1`, or the statement that replaces it.
    Probe,
    /// Running the configured query.
    Query,
    /// Reading the statistics.
    Statistics,
}

impl Operation {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Login => "logging in",
            Self::Probe => "running SELECT 1",
            Self::Query => "running the query",
            Self::Statistics => "reading the statistics",
        }
    }
}

/// The problem for an error. `target` is the database without secrets.
pub fn problem(error: &Error, target: &str, operation: Operation) -> Problem {
    let (reason, text) = meaning(error, operation);
    shortage::problem(
        reason,
        error,
        format_args!("{target}, {}: {text}", operation.as_str()),
    )
}

/// Whether the error means that the session is closed. For a reused session, this says nothing about the current server.
pub fn has_ended(error: &Error) -> bool {
    match error.as_db_error() {
        Some(error) => matches!(error.parsed_severity(), Some(Severity::Fatal | Severity::Panic)),
        None => meaning(error, Operation::Probe).0 == Reason::Closed,
    }
}

/// Whether the server rejected a login before it requested a password. It may accept one with, or without, TLS.
pub fn is_rejected_before_password(error: &Error) -> bool {
    error.code().is_some_and(|code| code.code() == "28000")
}

fn meaning(error: &Error, operation: Operation) -> (Reason, String) {
    if let Some(error) = error.as_db_error() {
        let (reason, advice) = by_sqlstate(error.code().code(), operation);
        return (reason, with_advice(error, advice));
    }
    if error.is_closed() {
        return (
            Reason::Closed,
            "the server closed the connection before its response was complete".to_owned(),
        );
    }
    let cause = error.source();
    let what = truncate(&cause.map(ToString::to_string).unwrap_or_default());
    // For errors without a code, only their text identifies the kind. A message that can't be parsed has an I/O error as
    // its cause too.
    match error.to_string().as_str() {
        "error communicating with the server" => cause
            .and_then(|cause| cause.downcast_ref())
            .map_or((Reason::Closed, what), |error| by_io_error(error, operation)),
        "invalid configuration" => (
            Reason::Auth,
            "the server requires a password: set password_file, password or password_env".to_owned(),
        ),
        "authentication error" => (
            Reason::Auth,
            format!(
                "{what}: enable password authentication on the server (scram-sha-256 or md5 in pg_hba.conf)"
            ),
        ),
        other => (
            Reason::Protocol,
            format!("not a valid PostgreSQL response ({other}: {what})"),
        ),
    }
}

fn by_io_error(error: &io::Error, operation: Operation) -> (Reason, String) {
    let cause = error.get_ref();
    if cause.is_some_and(|cause| cause.is::<NotPostgres>()) {
        return (Reason::Protocol, error.to_string());
    }
    if cause.is_some_and(|cause| cause.is::<ReadLimitExceeded>()) {
        let advice = match operation {
            Operation::Query => ": return only one row, for example with LIMIT 1",
            _ => "",
        };
        return (Reason::Limit, format!("{error}{advice}"));
    }
    if let Some(fault) = cause.and_then(|cause| cause.downcast_ref::<rustls::Error>()) {
        return (Reason::Tls, to_libpq_terms(tls::error_text(fault)));
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof => (
            Reason::Closed,
            "the server closed the connection before its response was complete".to_owned(),
        ),
        // The decoder's error for an incomplete message at the end of the stream.
        io::ErrorKind::Other if error.to_string().contains("bytes remaining") => (
            Reason::Closed,
            "the server closed the connection in the middle of a message".to_owned(),
        ),
        _ if error.raw_os_error().is_none() => (
            Reason::Protocol,
            format!("not a valid PostgreSQL response ({error})"),
        ),
        _ => (io_error::reason(error), error.to_string()),
    }
}

/// Maps an SQLSTATE (PostgreSQL's documentation, "PostgreSQL Error Codes") to a reason and advice.
fn by_sqlstate(state: &str, operation: Operation) -> (Reason, &'static str) {
    match state {
        "28P01" => (
            Reason::Auth,
            "check the user and the password; the next run reads a file or variable again",
        ),
        "28000" => (
            Reason::Auth,
            "check the user in the URL, and that pg_hba.conf allows it from this host, with or without TLS",
        ),
        "3D000" | "57P04" => (
            Reason::Missing,
            "check the database's name in the URL, or create it",
        ),
        "53300" => (
            Reason::Limit,
            "raise max_connections or the role's CONNECTION LIMIT, or find out which clients use them (pg_stat_activity)",
        ),
        "53100" => (Reason::Limit, "free disk space on the server"),
        "53200" => (Reason::Limit, "the server is out of history"),
        "57P03" => (
            Reason::State,
            "wait until it has started, or check its log for the cause",
        ),
        "57P01" | "57P02" | "57P05" => (Reason::Closed, "the server ended the session: is it restarting?"),
        "55000" if operation == Operation::Login => {
            (Reason::State, "allow connections to this database again")
        }
        "57014" => (
            Reason::Timeout,
            "make the query faster, or raise statement_timeout",
        ),
        "40001" | "40P01" => (
            Reason::State,
            "the query conflicts with replication or with another transaction",
        ),
        "42501" if operation == Operation::Login => (Reason::Auth, "grant the role CONNECT on this database"),
        "42501" => (Reason::Auth, "grant the role the privileges that the query needs"),
        "25006" => (Reason::Assertion, "the query must be read-only"),
        "42P01" | "42703" | "42883" | "42704" | "3F000" if operation == Operation::Query => {
            (Reason::Missing, "create it, or correct the query")
        }
        state if state.starts_with("53") => (Reason::Limit, "the server lacks resources: check its log"),
        state if state.starts_with("58") || state.starts_with("XX") => {
            (Reason::State, "the server has an internal error: check its log")
        }
        state if state.starts_with("08") => (
            Reason::Protocol,
            "check whether a proxy or pooler is between the exporter and the server",
        ),
        _ if operation == Operation::Query => {
            (Reason::Assertion, "correct the query, or the data that it reads")
        }
        _ => (Reason::Status, "check the server's log"),
    }
}

fn with_advice(error: &DbError, advice: &str) -> String {
    let message = truncate(error.message());
    format!("{message} (SQLSTATE {}): {advice}", error.code().code())
}

/// Truncates the server's text, so that the advice after it fits into the message.
pub fn truncate(text: &str) -> String {
    match text.char_indices().nth(MAX_QUOTED) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}\u{2026}", &text[..end]),
    }
}

/// Rewrites a TLS problem for the options of libpq's URLs.
pub fn tls_problem(problem: &Problem) -> Problem {
    problem.with_message(to_libpq_terms(problem.message()))
}

/// TLS messages name keys of `tls_config`. URLs of this kind have options instead.
fn to_libpq_terms(text: impl Display) -> String {
    [
        ("tls_config.ca_file", "sslrootcert"),
        ("tls_config.cert_file", "sslcert and sslkey"),
        (
            "set tls_config.server_name",
            "use its name as the host in the URL",
        ),
        ("tls_config:", "TLS files:"),
    ]
    .iter()
    .fold(text.to_string(), |text, (key, option)| text.replace(key, option))
}
