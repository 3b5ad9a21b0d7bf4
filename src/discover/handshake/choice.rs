//! Chooses the one handshake that a port gets: by the names of its program and unit, then by its number. Pure.

/// What is sent to a port. A port gets at most one connection, so the choice decides what can be recognized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handshake {
    /// Nothing, not even a connection.
    Never,
    /// Nothing: the server is SSH, which logs every connection.
    KnownSsh,
    /// Nothing: the server greets first.
    Listen,
    /// A request for TLS, as PostgreSQL's clients send it.
    Postgres,
    /// `PING`.
    Redis,
    /// `version`.
    Memcached,
    /// The header of AMQP 0-9-1.
    Amqp,
    /// A TLS handshake, then HTTP over it.
    Https,
    /// HTTP, unless the server greets first.
    Http,
}

use Handshake::{Amqp, Http, Https, KnownSsh, Listen, Memcached, Never, Postgres, Redis};

/// Parts of the names of programs, units and images, and their handshake. The first match counts.
const BY_NAME: [(&str, Handshake); 29] = [
    // Printers print what they receive.
    ("cupsd", Never),
    ("lpd", Never),
    ("xinetd", Never),
    ("inetd", Never),
    ("epmd", Never),
    ("rpcbind", Never),
    ("named", Never),
    ("unbound", Never),
    ("dnsmasq", Never),
    ("smbd", Never),
    ("slapd", Never),
    ("mosquitto", Never),
    ("kafka", Never),
    ("zookeeper", Never),
    ("Xorg", Never),
    ("sshd", KnownSsh),
    ("pgbouncer", Postgres),
    ("postgres", Postgres),
    ("redis", Redis),
    ("valkey", Redis),
    ("keydb", Redis),
    ("memcached", Memcached),
    ("mysqld", Listen),
    ("mariadb", Listen),
    ("exim", Listen),
    ("postfix", Listen),
    ("dovecot", Listen),
    ("vsftpd", Listen),
    ("proftpd", Listen),
];

/// Ports whose servers print, log or block clients when they receive something unexpected, and that no handshake here recognizes.
const NEVER: [u16; 42] = [
    53, 88, 111, 135, 139, 179, 389, 445, 464, 515, 548, 554, 631, 636, 749, 853, 1433, 1521, 1883, 2049,
    2181, 3260, 3389, 4369, 5060, 5222, 5671, 6000, 6001, 8883, 9042, 9092, 9093, 9100, 9101, 9102, 9103,
    9104, 9105, 9106, 9107, 25672,
];

/// Ports on which servers greet first: FTP, SMTP, POP3, IMAP, rsync, MySQL and VNC.
const GREETING: [u16; 10] = [21, 25, 110, 143, 587, 873, 2525, 3306, 5900, 33060];

/// Ports of HTTPS.
const TLS: [u16; 6] = [443, 6443, 8443, 9443, 10250, 8006];

/// Chooses the handshake for a port. `names` are those of its program, unit and image, as far as they are known. `number` is the
/// port that the program itself listens on, also in a container.
pub fn choose(number: u16, names: &[&str]) -> Handshake {
    if let Some(by_name) = by_name(number, names) {
        return by_name;
    }
    if NEVER.contains(&number) {
        return Never;
    }
    match number {
        22 => KnownSsh,
        5432 => Postgres,
        5672 => Amqp,
        6379 => Redis,
        11211 => Memcached,
        _ if GREETING.contains(&number) => Listen,
        _ if TLS.contains(&number) => Https,
        _ => Http,
    }
}

fn by_name(number: u16, names: &[&str]) -> Option<Handshake> {
    // Their ports lead to another machine.
    if names.iter().any(|name| matches!(*name, "ssh" | "kubectl")) {
        return Some(Never);
    }
    let has = |part: &str| names.iter().any(|name| name.contains(part));
    // Erlang: a broker has ports for AMQP, for HTTP (management, metrics) and for other nodes.
    if has("beam.smp") || has("rabbitmq") {
        return Some(match number {
            5672 => Amqp,
            15672 | 15692 => Http,
            _ => Never,
        });
    }
    // `prometheus-postgres-exporter` speaks HTTP, not what it exports. On the port of a printer, only the name tells them apart.
    if has("exporter") {
        return Some(if TLS.contains(&number) { Https } else { Http });
    }
    BY_NAME
        .iter()
        .find(|(part, _)| has(part))
        .map(|(_, handshake)| *handshake)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_before_numbers() {
        for (number, names, expected) in [
            (8080, &["python3"][..], Http),
            (8080, &["redis-server", "redis-server@b.service"], Redis),
            (6379, &["nginx"], Redis),
            (6379, &[], Redis),
            (5432, &["postgres", "postgresql@17-main.service"], Postgres),
            (9187, &["postgres_exporter"], Http),
            (
                9187,
                &["prometheus-post", "prometheus-postgres-exporter.service"],
                Http,
            ),
            (
                9121,
                &["prometheus-redi", "prometheus-redis-exporter.service"],
                Http,
            ),
            (5672, &["beam.smp"], Amqp),
            (15672, &["beam.smp"], Http),
            (25672, &["beam.smp"], Never),
            (4369, &["epmd"], Never),
            (2222, &["sshd"], KnownSsh),
            (22, &[], KnownSsh),
            (5432, &["ssh"], Never),
            (22, &["ssh.service"], KnownSsh),
            (443, &["nginx"], Https),
            (3306, &[], Listen),
        ] {
            assert_eq!(choose(number, names), expected, "{number} {names:?}");
        }
    }

    #[test]
    fn printers_receive_nothing() {
        for number in [515, 631].into_iter().chain(9100..=9107) {
            assert_eq!(choose(number, &[]), Never, "{number}");
            assert_eq!(choose(number, &["jetdirect"]), Never, "{number}");
        }
        assert_eq!(choose(9100, &["node_exporter"]), Http);
        assert_eq!(choose(8631, &["cupsd"]), Never);
    }
}
