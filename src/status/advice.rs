//! What to do about a problem: one sentence or two for whoever looks at it first. The runbooks say more.

use crate::model::{CheckKind, Problem, Reason, Shortage};

/// What to do where nothing is known: there is no problem that would have a reason.
pub const UNKNOWN: &str = "There is no recent result: if this lasts longer than a minute after a start, look at the exporter's \
     log and at upkeep_check_missed_runs_total.";

/// What to do about a problem of a check of this kind, which may be the exporter's own.
pub fn advice_on(kind: CheckKind, problem: &Problem) -> &'static str {
    match problem.shortage {
        Some(shortage) => shortage_advice(shortage),
        None => advice(kind, problem.reason),
    }
}

/// What to do about an exporter that lacks something.
const fn shortage_advice(shortage: Shortage) -> &'static str {
    match shortage {
        Shortage::Time => {
            "The exporter lacks CPU time, so nothing is known of the target: look at the load of its machine and at its CPU \
             limit (CPUQuota=)."
        }
        Shortage::Descriptors => {
            "The exporter lacks file descriptors, so nothing is known of the target: raise LimitNOFILE= in its unit and restart it."
        }
        Shortage::Memory => {
            "The exporter or its machine lacks memory, so nothing is known of the target: look at free -m and at MemoryMax= of \
             its unit."
        }
        Shortage::Ports => {
            "The exporter's machine lacks local ports, so nothing is known of the target: see who holds them (ss -s), and widen \
             net.ipv4.ip_local_port_range."
        }
        Shortage::Threads => {
            "The exporter can't create threads, so nothing is known of the target: raise TasksMax= of its unit."
        }
        Shortage::Manager => {
            "systemd has not answered yet, so nothing is known of the target: look at systemctl status and at the load of the \
             machine."
        }
    }
}

/// What to do about a problem of a check of this kind.
pub const fn advice(kind: CheckKind, reason: Reason) -> &'static str {
    match reason {
        Reason::Dns => {
            "Resolve the name on the exporter's machine (getent hosts NAME), then look at its resolver and at the spelling \
             of the name in the configuration."
        }
        Reason::Refused => refused(kind),
        Reason::Unreachable => unreachable(kind),
        Reason::Timeout => timeout(kind),
        Reason::Tls => {
            "Look at the certificate's names, its dates and who issued it (openssl s_client -connect HOST:PORT \
             -servername HOST); renew it, or name its authority in tls_config."
        }
        Reason::Closed => {
            "The server took the connection and dropped it: look at its log for a crash, a limit of connections or a proxy \
             that gave up."
        }
        Reason::Protocol => {
            "Something else answers there, or in another protocol: see what listens at that address, and whether it \
             expects TLS."
        }
        Reason::Auth => auth(kind),
        Reason::Status => {
            "Request the same URL with curl -i and look at the service's log: 5xx is its own failure, 4xx is mostly a wrong \
             path or missing credentials."
        }
        Reason::Assertion => {
            "It answers, but not what the configuration asks for: compare the answer with the check's assertions, and see \
             what was deployed last."
        }
        Reason::State => state(kind),
        Reason::Missing => missing(kind),
        Reason::Limit => limit(kind),
        Reason::Slow => {
            "It works, but too slowly: look at load, memory and disk of its machine and at what it depends on; its phases \
             tell where the time goes."
        }
        Reason::Permission => permission(kind),
        Reason::Internal => {
            "The exporter itself failed in this check: its log has the details; please report them."
        }
    }
}

const fn refused(kind: CheckKind) -> &'static str {
    match kind {
        CheckKind::Docker => "The engine's socket is there, but nothing listens: start the container engine.",
        _ => {
            "Nothing listens there: see whether the service runs (systemctl status, ss -ltn), and whether host and port are \
             the right ones; start it, then look in its log why it ended."
        }
    }
}

const fn unreachable(kind: CheckKind) -> &'static str {
    match kind {
        CheckKind::Systemd => {
            "The exporter can't reach systemd over D-Bus: see whether the system bus runs and its socket is there for the \
             exporter."
        }
        CheckKind::Process => "The exporter can't read /proc: see whether it is mounted, and --path.procfs.",
        CheckKind::Docker => {
            "The container engine's socket is not there: start the engine, or set the check's host to its socket."
        }
        _ => {
            "There is no way to the host: look at its network, at routes and firewalls between, and whether the machine \
             is on."
        }
    }
}

const fn timeout(kind: CheckKind) -> &'static str {
    match kind {
        CheckKind::Systemd | CheckKind::Docker => {
            "The manager does not answer in time: look at the machine's load and at the manager's own log."
        }
        CheckKind::Process => {
            "Reading /proc takes too long: look at the machine's load and for processes that hang in the kernel (state D)."
        }
        CheckKind::Celery => {
            "No worker answered in time: see whether workers run and whether all of them are busy or stuck; a longer \
             timeout helps only slow ones."
        }
        _ => {
            "No answer in time: the message says in which step. Connecting points to a firewall or a dead host, waiting for \
             the answer to an overloaded or hanging service; look at its log and its load."
        }
    }
}

const fn auth(kind: CheckKind) -> &'static str {
    match kind {
        CheckKind::Postgres => {
            "The login was refused or can't be read: check user, password and pg_hba.conf, and that the exporter may read \
             its secret file."
        }
        CheckKind::S3 => {
            "The keys were refused or can't be read: check access key, secret key and policy, and that both clocks are \
             right."
        }
        _ => {
            "Credentials are missing, unreadable or refused: check the check's user and secret (its file is read again at \
             every run), and what the server's log says."
        }
    }
}

const fn state(kind: CheckKind) -> &'static str {
    match kind {
        CheckKind::Systemd => {
            "See why the unit is not running: systemctl status UNIT, then journalctl -u UNIT; start it with systemctl \
             restart UNIT once the cause is gone."
        }
        CheckKind::Docker => {
            "See why the container is not running or not healthy: docker ps -a, docker logs NAME, docker inspect NAME; \
             then docker start NAME."
        }
        CheckKind::Redis => {
            "The server is not in the role or the state that is expected: look at INFO replication and INFO persistence."
        }
        CheckKind::Postgres => {
            "The server is not in the role or the state that is expected: look at pg_is_in_recovery() and the server's log."
        }
        _ => "It runs, but not in the state that is expected: look at its own log and status.",
    }
}

const fn missing(kind: CheckKind) -> &'static str {
    match kind {
        CheckKind::Systemd => {
            "The unit is not installed: check its name (systemctl list-unit-files), install it, or run systemctl \
             daemon-reload."
        }
        CheckKind::Process => {
            "Fewer processes match than there should be: start the service, or compare the check's match with ps -ef."
        }
        CheckKind::S3 => "The bucket does not exist: create it, or check its name in the configuration.",
        CheckKind::Rabbitmq => {
            "A queue or virtual host does not exist: start what declares it, or check its name in the configuration."
        }
        CheckKind::Celery => {
            "Fewer workers answer than are expected: start them, or look in their logs why they ended."
        }
        CheckKind::Docker => {
            "There is no container of that name: create it, or check the name (docker ps -a)."
        }
        CheckKind::Postgres => {
            "The database or the role does not exist: create it, or check its name in the configuration."
        }
        _ => {
            "What the check looks for does not exist there: create it, or check its name in the configuration."
        }
    }
}

const fn limit(kind: CheckKind) -> &'static str {
    match kind {
        CheckKind::Process => {
            "More processes run than should: look for ones that were started twice or never ended (ps -ef)."
        }
        CheckKind::Postgres => {
            "The message names the limit: for connections, see who holds them (pg_stat_activity); for replication lag, \
             look at the standby."
        }
        CheckKind::Redis => "The message names the limit: look at memory, clients and replication in INFO.",
        CheckKind::Rabbitmq => {
            "The message names the limit: see whether the queue's consumers run and keep up, and look at memory and disk \
             alarms."
        }
        CheckKind::Http | CheckKind::Tcp => {
            "The message names the number that is beyond its limit: see what it measures, or raise the limit if it is too \
             tight."
        }
        _ => {
            "A number is beyond its limit; the message names both: bring it down, or raise the limit if it is too tight."
        }
    }
}

const fn permission(kind: CheckKind) -> &'static str {
    match kind {
        CheckKind::Docker => {
            "The exporter may not use the engine's socket: give its user the socket's group (SupplementaryGroups=docker)."
        }
        CheckKind::Process => {
            "The exporter may not look at these processes: see how /proc is mounted (hidepid), or give it \
             CAP_SYS_PTRACE."
        }
        CheckKind::Systemd => {
            "The exporter may not ask systemd: look at the D-Bus policy and at the unit's sandboxing."
        }
        _ => {
            "The operating system does not let the exporter do this: look at its user, capabilities and sandboxing."
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_problem_of_every_kind_has_advice() {
        for kind in CheckKind::ALL {
            let mut told = HashSet::new();
            for reason in Reason::ALL {
                let text = advice(kind, *reason);
                assert!(told.insert(text), "{kind}: two reasons, one advice: {text}");
                assert!(
                    (40..=240).contains(&text.len()),
                    "{kind}, {reason}: {} bytes",
                    text.len()
                );
                assert!(text.ends_with('.'), "{kind}, {reason}: {text}");
                assert!(
                    text.starts_with(|c: char| c.is_uppercase()),
                    "{kind}, {reason}: {text}"
                );
                assert!(!text.contains("  "), "{kind}, {reason}: {text}");
                assert!(!text.chars().any(char::is_control), "{kind}, {reason}: {text}");
            }
        }
    }

    #[test]
    fn every_shortage_has_advice_of_its_own() {
        let mut told = HashSet::new();
        for shortage in Shortage::ALL {
            let problem = Problem::from_shortage(*shortage, "text");
            let text = advice_on(CheckKind::Http, &problem);
            assert!(told.insert(text), "{shortage}: {text}");
            assert!(
                (40..=240).contains(&text.len()),
                "{shortage}: {} bytes",
                text.len()
            );
            assert!(
                text.contains("nothing is known of the target"),
                "{shortage}: {text}"
            );
        }
        let other = Problem::new(Reason::Refused, "text");
        assert_eq!(
            advice_on(CheckKind::Http, &other),
            advice(CheckKind::Http, Reason::Refused)
        );
    }

    #[test]
    fn kinds_that_differ_are_told_different_things() {
        let kinds = [
            CheckKind::Systemd,
            CheckKind::Process,
            CheckKind::Docker,
            CheckKind::S3,
        ];
        let told: HashSet<_> = kinds.map(|kind| advice(kind, Reason::Missing)).into();
        assert_eq!(told.len(), kinds.len());
    }
}
