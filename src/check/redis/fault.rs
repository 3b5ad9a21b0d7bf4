//! Maps error replies of a Redis server to problems. The first word of a reply, in capitals, is the error's kind.

use std::fmt::Display;

use redis::ServerError;

use crate::model::{Problem, Reason};

/// How much of the server's text a message quotes, in characters.
const MAX_QUOTED: usize = 120;

/// The problem for an error with which the server `at` replied to the command `name`.
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
    let contains = |text: &str| detail.to_ascii_lowercase().contains(text);
    match code {
        "NOAUTH" => (
            Reason::Auth,
            "the server requires a password: set password_file or password_env",
        ),
        "WRONGPASS" => (
            Reason::Auth,
            "the server rejects the password or does not know the user",
        ),
        "NOPERM" => (
            Reason::Auth,
            "the user lacks permission: allow the command with ACL SETUSER",
        ),
        "DENIED" => (
            Reason::Auth,
            "the server is in protected mode and accepts only local clients: set a password on it, or bind it to the \
             intended interfaces",
        ),
        "LOADING" => (Reason::State, "the server is still loading its data"),
        "BUSY" => (
            Reason::State,
            "a script blocks the server: end it with SCRIPT KILL",
        ),
        "MASTERDOWN" => (
            Reason::State,
            "the replica lost its primary and does not serve stale data",
        ),
        "READONLY" => (
            Reason::State,
            "the server is a replica and does not accept writes",
        ),
        "MISCONF" => (
            Reason::State,
            "the server rejects writes because it can't save its data: check its log and its disk",
        ),
        "CLUSTERDOWN" => (Reason::State, "the cluster does not serve queries"),
        "NOREPLICAS" => (
            Reason::State,
            "the server rejects writes because it has too few replicas",
        ),
        "OOM" => (
            Reason::Limit,
            "the server is out of memory: raise maxmemory, or let it evict keys",
        ),
        "ERR" if contains("max number of clients") => (
            Reason::Limit,
            "the server has reached its client limit: raise maxclients, or close unneeded connections",
        ),
        // Servers before Redis 6 do not support users, and their message differs.
        "ERR" if name == "AUTH" && (contains("without any password") || contains("no password is set")) => (
            Reason::Auth,
            "the check has a password, but the server has none: remove it from the check, or set it on the server",
        ),
        "ERR" if name == "AUTH" => (Reason::Auth, "the server rejects the password"),
        "ERR" if name == "SELECT" => (
            Reason::Missing,
            "the server has no database with this number, or does not allow selecting it",
        ),
        _ => (Reason::Status, "the server responds with an error"),
    }
}

#[cfg(test)]
mod tests {
    use redis::Value;

    use super::*;

    fn problem_of(name: &str, line: &str) -> Problem {
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
            let problem = problem_of(name, line);
            assert_eq!(problem.reason, reason, "{problem}");
            assert!(
                problem.message().starts_with(&format!("cache:6379, {name}: ")),
                "{problem}"
            );
        }
    }

    #[test]
    fn part_of_the_servers_text_is_quoted() {
        assert_eq!(
            problem_of(
                "AUTH",
                "WRONGPASS invalid username-password pair or user is disabled."
            )
            .message(),
            "cache:6379, AUTH: the server rejects the password or does not know the user \
             (WRONGPASS invalid username-password pair or user is disabled.)"
        );
        let long = problem_of("PING", &format!("X {}", "y".repeat(9_000)));
        assert!(long.message().len() < 250, "{long}");
    }
}
