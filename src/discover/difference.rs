//! Compares a configuration with what is on the machine: units, containers and local ports that are new or gone. Names, groups and
//! details of checks do not count, so a file that was edited can be compared. What runs is not gone, also if discovery leaves it out, and
//! neither is what could not be seen. Pure.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

use super::facts::Running;

use crate::config::docker::EngineHost;
use crate::config::port::{Expect, Protocol};
use crate::config::{Config, KindSettings};

/// What differs. Each line names a unit, a container or a port, and its service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Found, but not in the file.
    pub new: Vec<String>,
    /// In the file, but not on the machine.
    pub gone: Vec<String>,
}

impl Difference {
    /// Compares the configuration of a file with the discovered one, and with what runs.
    pub fn between(file: &Config, discovered: &Config, running: &Running) -> Self {
        let (before, now) = (subjects(file), subjects(discovered));
        let line = |(subject, service): (&Subject, &String)| format!("{subject} ({service})");
        let is_new = |subject: &Subject| !before.contains_key(subject);
        let is_gone = |subject: &Subject| !now.contains_key(subject) && !subject.may_run(running);
        Self {
            new: now
                .iter()
                .filter(|(subject, _)| is_new(subject))
                .map(line)
                .collect(),
            gone: before
                .iter()
                .filter(|(subject, _)| is_gone(subject))
                .map(line)
                .collect(),
        }
    }

    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.new.is_empty() && self.gone.is_empty()
    }
}

/// What a check looks at on this machine.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Container(String),
    Port(u16),
    Unit(String),
}

impl Subject {
    /// Whether it runs, or could not be seen.
    fn may_run(&self, running: &Running) -> bool {
        match self {
            Self::Container(name) => running
                .containers
                .as_ref()
                .is_none_or(|names| names.contains(name)),
            Self::Port(number) => running.ports.as_ref().is_none_or(|ports| ports.contains(number)),
            Self::Unit(name) => running.units.as_ref().is_none_or(|names| names.contains(name)),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Container(name) => write!(f, "container {name}"),
            Self::Port(number) => write!(f, "port {number}"),
            Self::Unit(name) => write!(f, "unit {name}"),
        }
    }
}

/// What the checks of a configuration look at, with the key of the service.
fn subjects(config: &Config) -> BTreeMap<Subject, String> {
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

fn subject(kind: &KindSettings) -> Option<Subject> {
    match kind {
        // Discovery lists only services and sockets, and only those that are expected to run.
        KindSettings::Systemd(unit) => {
            let is_listed = unit.unit.ends_with(".service") || unit.unit.ends_with(".socket");
            (is_listed && unit.expect.includes_active()).then(|| Subject::Unit(unit.unit.clone()))
        }
        // Engines of other machines are not listed.
        KindSettings::Docker(container) => match container.host {
            EngineHost::Unix(_) => Some(Subject::Container(container.container.clone())),
            EngineHost::Tcp { .. } => None,
        },
        KindSettings::Port(port) => {
            let is_held = port.protocol == Protocol::Tcp && port.expect == Expect::Held;
            is_held.then_some(Subject::Port(port.port))
        }
        KindSettings::Process(_)
        | KindSettings::Host(_)
        | KindSettings::Python(_)
        | KindSettings::Node(_) => None,
        _ => local_port(&kind.target()).map(Subject::Port),
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
        let difference = Difference::between(&edited, &found, &nothing());
        assert_eq!(difference, Difference::default());
        assert!(difference.is_empty());
    }

    #[test]
    fn what_is_new_or_gone_is_listed() {
        let before = config(
            "{ kind: systemd, unit: a }, { kind: docker, container: b }, { kind: port, port: 53, protocol: udp }, \
             { kind: systemd, unit: backup.timer }, { kind: docker, container: far, host: 'tcp://192.0.2.1:2375' }",
        );
        let now = config("{ kind: systemd, unit: a }, { kind: tcp, address: '[::1]:81' }");
        let found = Difference::between(&before, &now, &nothing());
        assert_eq!(
            (found.new, found.gone),
            (vec!["port 81 (a)".to_owned()], vec!["container b (a)".to_owned()])
        );
    }

    /// A part of the system, a container that is a job, a port of the kernel's range: discovery does not list them.
    #[test]
    fn what_is_left_out_is_not_gone() {
        let file = config(
            "{ kind: systemd, unit: dbus }, { kind: docker, container: job }, { kind: port, port: 40000 }, \
             { kind: systemd, unit: old }",
        );
        let mut running = nothing();
        running.units = Some(["dbus.service".to_owned()].into());
        running.containers = Some(["job".to_owned()].into());
        running.ports = Some([40000].into());
        let now = config("{ kind: host }");
        let difference = Difference::between(&file, &now, &running);
        assert_eq!(
            (difference.new, difference.gone),
            (vec![], vec!["unit old.service (a)".to_owned()])
        );
        // Without D-Bus and without the engine, nothing is known.
        let difference = Difference::between(&file, &now, &Running::default());
        assert!(difference.is_empty());
    }

    fn nothing() -> Running {
        Running {
            units: Some([].into()),
            containers: Some([].into()),
            ports: Some([].into()),
        }
    }
}
