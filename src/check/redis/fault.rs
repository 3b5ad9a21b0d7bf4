//! What the errors mean that a Redis server answers with. The first word, in capitals, is the error's kind.

use std::fmt::Display;

use redis::ServerError;

use crate::model::{Problem, Reason};

/// How much of the server's own text a message quotes, in characters.
const MAX_QUOTED: usize = 120;

/// The problem of an error that the server `at` answered to the command `name`.
pub fn problem(at: &dyn Display, name: &str, error: &ServerError) -> Problem {
    let code = error.code();
    let detail = error.details().unwrap_or_default();
    let (reason, meaning) = meaning(name, code, detail);
    let quoted: String = format!("{code} {detail}").chars().take(MAX_QUOTED).collect();
    Problem::new(
        reason,
        format_args!("{at}, {name}: {meaning} ({})", quoted.trim_end()),
    )
}

fn meaning(name: &str, code: &str, detail: &str) -> (Reason, &'static str) {
    let says = |text: &str| detail.to_ascii_lowercase().contains(text);
    match code {
        "NOAUTH" => (
            Reason::Auth,
            "the server wants a password: set password_file or password_env",
        ),
        "WRONGPASS" => (
            Reason::Auth,
            "the server refuses the password, or does not know the user",
        ),
        "NOPERM" => (
            Reason::Auth,
            "the user may not do that: allow the command with ACL SETUSER",
        ),
        "DENIED" => (
            Reason::Auth,
            "the server is in protected mode, where only its own machine may connect: give it a password, or bind it \
             to the interfaces meant",
        ),
        "LOADING" => (
            Reason::State,
            "the server is loading its data and does not serve yet",
        ),
        "BUSY" => (
            Reason::State,
            "a script has kept the server busy for too long: end it with SCRIPT KILL",
        ),
        "MASTERDOWN" => (
            Reason::State,
            "the replica has lost its master and serves no stale data",
        ),
        "READONLY" => (Reason::State, "the server is a replica and takes no writes"),
        "MISCONF" => (
            Reason::State,
            "the server refuses writes, since it can't save its data: look at its log and its disk",
        ),
        "CLUSTERDOWN" => (Reason::State, "the cluster does not serve queries"),
        "NOREPLICAS" => (
            Reason::State,
            "the server refuses writes, since too few replicas follow it",
        ),
        "OOM" => (
            Reason::Limit,
            "the server's memory is used up: raise maxmemory, or let it evict keys",
        ),
        "ERR" if says("max number of clients") => (
            Reason::Limit,
            "the server has no room for another client: raise maxclients, or find who holds them",
        ),
        // Also of servers before Redis 6, which know no users.
        "ERR" if name == "AUTH" && (says("without any password") || says("no password is set")) => (
            Reason::Auth,
            "a password is configured here, but the server has none: remove it here, or set it there",
        ),
        "ERR" if name == "AUTH" => (Reason::Auth, "the server refuses the password"),
        "ERR" if name == "SELECT" => (
            Reason::Missing,
            "the server has no database of that number, or does not let it be chosen",
        ),
        _ => (Reason::Status, "the server answers with an error"),
    }
}

#[cfg(test)]
mod tests {
    use redis::Value;

    use super::*;

    fn told(name: &str, line: &str) -> Problem {
        match redis::parse_redis_value(format!("-{line}\r\n").as_bytes()) {
            Ok(Value::ServerError(error)) => problem(&"cache:6379", name, &error),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_kind_of_error_has_its_reason() {
        for (name, line, reason) in [
            ("PING", "NOAUTH Authentication required.", Reason::Auth),
            (
                "AUTH",
                "WRONGPASS invalid username-password pair or user is disabled.",
                Reason::Auth,
            ),
            (
                "AUTH",
                "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?",
                Reason::Auth,
            ),
            (
                "AUTH",
                "ERR Client sent AUTH, but no password is set",
                Reason::Auth,
            ),
            ("AUTH", "ERR invalid password", Reason::Auth),
            (
                "PING",
                "NOPERM this user has no permissions to run the 'ping' command",
                Reason::Auth,
            ),
            (
                "PING",
                "DENIED Redis is running in protected mode because ...",
                Reason::Auth,
            ),
            (
                "PING",
                "LOADING Redis is loading the dataset in memory",
                Reason::State,
            ),
            (
                "PING",
                "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
                Reason::State,
            ),
            (
                "PING",
                "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
                Reason::State,
            ),
            (
                "PING",
                "READONLY You can't write against a read only replica.",
                Reason::State,
            ),
            (
                "PING",
                "MISCONF Redis is configured to save RDB snapshots, but ...",
                Reason::State,
            ),
            ("PING", "CLUSTERDOWN The cluster is down", Reason::State),
            (
                "PING",
                "OOM command not allowed when used memory > 'maxmemory'.",
                Reason::Limit,
            ),
            ("PING", "ERR max number of clients reached", Reason::Limit),
            ("SELECT", "ERR DB index is out of range", Reason::Missing),
            (
                "SELECT",
                "ERR SELECT is not allowed in cluster mode",
                Reason::Missing,
            ),
            ("INFO", "ERR unknown command", Reason::Status),
            ("INFO", "WHATEVER", Reason::Status),
        ] {
            let problem = told(name, line);
            assert_eq!(problem.reason, reason, "{problem}");
            assert!(
                problem.message().starts_with(&format!("cache:6379, {name}: ")),
                "{problem}"
            );
        }
    }

    #[test]
    fn the_servers_own_words_are_quoted_in_part() {
        assert_eq!(
            told(
                "AUTH",
                "WRONGPASS invalid username-password pair or user is disabled."
            )
            .message(),
            "cache:6379, AUTH: the server refuses the password, or does not know the user \
             (WRONGPASS invalid username-password pair or user is disabled.)"
        );
        let long = told("PING", &format!("X {}", "y".repeat(9_000)));
        assert!(long.message().len() < 250, "{long}");
    }
}
