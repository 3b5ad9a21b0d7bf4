//! The configured query: the message that runs it, and the check of its result.

use super::fault;
use super::session::Row;
use crate::config::postgres::QuerySettings;
use crate::model::{Problem, Reason};

/// Since this version, a server on Linux can detect during a query that its client has disconnected.
const DETECTS_DISCONNECT_SINCE: u32 = 14;

/// The query as a message. It is its own read-only transaction, and ends when the client disconnects, so queries of
/// cancelled runs do not accumulate.
pub fn message(query: &QuerySettings, version: Option<&str>) -> String {
    let detect = match detects_disconnect(version) {
        true => {
            "SELECT set_config('client_connection_check_interval', '500', true) WHERE version() LIKE '%linux%';"
        }
        false => "",
    };
    format!(
        "SET LOCAL transaction_read_only = on; SET LOCAL statement_timeout = {};{detect}\n{}",
        query.timeout.as_millis(),
        query.statement
    )
}

/// How many statements precede the query in its message.
pub fn statements_before(version: Option<&str>) -> usize {
    2 + usize::from(detects_disconnect(version))
}

fn detects_disconnect(version: Option<&str>) -> bool {
    let major = version.and_then(|version| version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok());
    major.is_some_and(|major: u32| major >= DETECTS_DISCONNECT_SINCE)
}

/// Compares the first value of the result with the expected one.
///
/// # Errors
/// They differ.
pub fn check_result(query: &QuerySettings, row: Option<Row>, target: &str) -> Result<(), Problem> {
    let Some(expected) = &query.expect else {
        return Ok(());
    };
    let found = match row.map(|row| row.into_iter().next().flatten()) {
        Some(Some(value)) if value == *expected => return Ok(()),
        Some(Some(value)) => format!("\"{}\"", fault::truncate(&value)),
        Some(None) => "NULL".to_owned(),
        None => "no row".to_owned(),
    };
    let message = format_args!(
        "{target}: the query returned {found}, expected \"{}\": correct the data, or the key expect",
        fault::truncate(expected)
    );
    Err(Problem::new(Reason::Assertion, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_detect_disconnected_clients_since_version_14() {
        for version in [None, Some("9.6.24"), Some("13.1")] {
            assert!(!detects_disconnect(version), "{version:?}");
        }
        for version in ["14.0", "15.14 (Debian)", "17beta1"] {
            assert!(detects_disconnect(Some(version)), "{version}");
        }
    }
}
