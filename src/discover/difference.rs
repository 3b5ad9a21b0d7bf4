//! Compares a configuration with what is on the machine: units, containers and local ports that are new or gone. Names, groups and
//! details of checks do not count, so a file that was edited can be compared. Pure.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::config::port::{Expect, Protocol};
use crate::config::{Config, KindSettings};

/// What differs. Each line names a unit, a container or a port, and its service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Found, but not in the file.
    pub new: Vec<String>,
    /// In the file, but not found.
    pub gone: Vec<String>,
}

impl Difference {
    /// Compares the configuration of a file with the discovered one.
    pub fn between(file: &Config, discovered: &Config) -> Self {
        let (before, now) = (subjects(file), subjects(discovered));
        let missing = |from: &BTreeMap<String, String>, other: &BTreeMap<String, String>| {
            let missing = from.iter().filter(|(subject, _)| !other.contains_key(*subject));
            missing
                .map(|(subject, service)| format!("{subject} ({service})"))
                .collect()
        };
        Self {
            new: missing(&now, &before),
            gone: missing(&before, &now),
        }
    }

    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.new.is_empty() && self.gone.is_empty()
    }
}

/// What the checks of a configuration look at on this machine, with the key of the service.
fn subjects(config: &Config) -> BTreeMap<String, String> {
    let mut subjects = BTreeMap::new();
    for service in &config.services {
        for check in &service.checks {
            if let Some(subject) = subject(&check.kind) {
                subjects.entry(subject).or_insert_with(|| service.key.to_string());
            }
        }
    }
    subjects
}

fn subject(kind: &KindSettings) -> Option<String> {
    match kind {
        // Discovery lists only services and sockets, and only those that are expected to run.
        KindSettings::Systemd(unit) => {
            let is_listed = unit.unit.ends_with(".service") || unit.unit.ends_with(".socket");
            (is_listed && unit.expect.includes_active()).then(|| format!("unit {}", unit.unit))
        }
        KindSettings::Docker(container) => Some(format!("container {}", container.container)),
        KindSettings::Port(port) => {
            let is_held = port.protocol == Protocol::Tcp && port.expect == Expect::Held;
            is_held.then(|| format!("port {}", port.port))
        }
        KindSettings::Process(_)
        | KindSettings::Host(_)
        | KindSettings::Python(_)
        | KindSettings::Node(_) => None,
        _ => local_port(&kind.target()).map(|port| format!("port {port}")),
    }
}

/// The port of a target on this machine: `127.0.0.1:80`, `http://localhost/health`.
fn local_port(target: &str) -> Option<u16> {
    let (scheme, rest) = target.split_once("://").unwrap_or(("", target));
    let authority = rest.split(['/', '?']).next()?;
    let authority = authority.rsplit('@').next()?;
    if let Ok(address) = authority.parse::<SocketAddr>() {
        return address.ip().is_loopback().then(|| address.port());
    }
    let (host, port) = match authority
        .rsplit_once(':')
        .filter(|(_, port)| !port.ends_with(']'))
    {
        Some((host, port)) => (host, port.parse().ok()?),
        None => (authority, if scheme == "https" { 443 } else { 80 }),
    };
    matches!(host, "localhost" | "127.0.0.1" | "[::1]").then_some(port)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    fn config(checks: &str) -> Config {
        parse(&format!("services: [{{ key: a, checks: [{checks}] }}]"), "a")
            .unwrap()
            .config
    }

    #[test]
    fn edited_checks_are_the_same() {
        let found = config(
            "{ kind: systemd, unit: a.service }, { kind: port, port: 80 }, { kind: http, url: 'http://127.0.0.1/health' }, \
             { kind: redis, url: 'redis://127.0.0.1:6379' }",
        );
        let edited = config(
            "{ kind: systemd, unit: a, name: x }, { kind: http, url: 'http://localhost:80/other' }, \
             { kind: tcp, address: '127.0.0.1:6379' }, { kind: http, url: 'https://example.org/' }",
        );
        assert_eq!(Difference::between(&edited, &found), Difference::default());
        assert!(Difference::between(&edited, &found).is_empty());
    }

    #[test]
    fn what_is_new_or_gone_is_listed() {
        let before = config(
            "{ kind: systemd, unit: a }, { kind: docker, container: b }, { kind: port, port: 53, protocol: udp }, \
             { kind: systemd, unit: backup.timer }",
        );
        let now = config("{ kind: systemd, unit: a }, { kind: tcp, address: '[::1]:81' }");
        let found = Difference::between(&before, &now);
        assert_eq!(
            (found.new, found.gone),
            (vec!["port 81 (a)".to_owned()], vec!["container b (a)".to_owned()])
        );
    }
}
