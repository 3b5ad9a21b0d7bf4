//! The checks of a port, by what answered. None of them logs in, and none fails while the server works as it does now. Pure.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::facts::{Greeter, Heard, HttpServer, Page, Port, Server};
use super::pages::{health_page, is_success, is_usable};
use super::service::Service;
use super::texts::quote;

/// The first port of the range from which the kernel takes ports for connections and for listeners without one, by default
/// (ip-sysctl, `ip_local_port_range`). Most listeners there get another port at their next start.
const FIRST_EPHEMERAL: u16 = 32768;
/// The last port of that range.
const LAST_EPHEMERAL: u16 = 60999;

/// Adds the checks of a port to its service. `unit` is the unit that holds it, if a check can verify that.
pub fn add(service: &mut Service, port: &Port, unit: Option<&str>, allowed: &[IpAddr]) {
    let number = port.number;
    let server = match &port.heard {
        Heard::Server(server) => Some(server),
        _ => None,
    };
    if is_ephemeral(number) {
        service.note("a port from 32768 to 60999 has no check: it may be another one after the next start");
        return;
    }
    service.check(match unit {
        Some(unit) => format!("{{ kind: port, port: {number}, unit: {} }}", quote(unit)),
        None => format!("{{ kind: port, port: {number} }}"),
    });
    let Some(server) = server else {
        let why = match &port.heard {
            _ if port.is_activated => {
                "systemd starts the service on the first connection, so nothing connects to it"
            }
            Heard::NotAsked if address(port, allowed).is_none() => {
                "not connected to, because it listens on other addresses than loopback: --address allows one"
            }
            Heard::NotAsked => {
                "not connected to, because servers on this port may log, print or block unknown clients"
            }
            Heard::NotYet => "not connected to, because the time of the look was over",
            Heard::Refused => "the connection failed",
            _ => "nothing known answered; if it has a protocol of its own, see the kinds tcp and grpc",
        };
        service.note(&format!("port {number}: {why}"));
        return;
    };
    let Some(address) = address(port, allowed) else {
        return;
    };
    add_server(service, server, address);
}

/// Whether the kernel or a container engine may have chosen the port.
pub fn is_ephemeral(number: u16) -> bool {
    (FIRST_EPHEMERAL..=LAST_EPHEMERAL).contains(&number)
}

/// The address to connect to: loopback if the port listens there, otherwise the first allowed one.
pub fn address(port: &Port, allowed: &[IpAddr]) -> Option<SocketAddr> {
    let (v4, v6) = (IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST));
    let has = |address: &IpAddr| port.addresses.contains(address);
    let ip = if has(&v4) || has(&IpAddr::V4(Ipv4Addr::UNSPECIFIED)) {
        Some(v4)
    } else if has(&v6) || has(&IpAddr::V6(Ipv6Addr::UNSPECIFIED)) {
        Some(v6)
    } else {
        let mut loopback = port.addresses.iter().filter(|address| address.is_loopback());
        loopback
            .next()
            .or_else(|| allowed.iter().find(|address| has(address)))
            .copied()
    };
    ip.map(|ip| SocketAddr::new(ip, port.number))
}

fn add_server(service: &mut Service, server: &Server, address: SocketAddr) {
    let at = quote(&address.to_string());
    let number = address.port();
    let dialogue = |steps: &str| format!("{{ kind: tcp, address: {at}, query_response: [{steps}] }}");
    let connects = format!("{{ kind: tcp, address: {at} }}");
    match server {
        Server::Postgres => {
            service.check(connects);
            service.note(&format!(
                "port {number} is PostgreSQL. With a user, this checks more: kind: postgres, url: postgres://USER@{address}/DATABASE, \
                 password_file: PATH"
            ));
        }
        Server::Redis {
            needs_password: false,
        } => {
            service.check(format!("{{ kind: redis, url: \"redis://{address}\" }}"));
        }
        Server::Redis { needs_password: true } => {
            service.check(dialogue(
                r#"{ send: "PING\r" }, { expect: "^(\\+PONG|-NOAUTH)" }"#,
            ));
            service.note(&format!(
                "port {number} is Redis with a password. With it, this checks more: kind: redis, url: redis://{address}, \
                 password_file: PATH"
            ));
        }
        Server::Memcached => service.check(format!("{{ kind: memcached, address: {at} }}")),
        Server::Amqp => {
            service.check(connects);
            service.note(&format!(
                "port {number} is AMQP. With a user, this checks more: kind: rabbitmq, url: amqp://USER@{address}/, password_file: PATH"
            ));
        }
        Server::Tls => {
            service.check(connects);
            service.note(&format!("port {number} uses TLS, but did not respond to HTTP"));
        }
        Server::Greeter(greeter) => add_greeter(service, *greeter, number, &dialogue),
        Server::Http(server) => add_http(service, server, address, connects),
    }
}

fn add_greeter(service: &mut Service, greeter: Greeter, number: u16, dialogue: &dyn Fn(&str) -> String) {
    match greeter {
        Greeter::Ssh => service.note(&format!("port {number} is SSH, which logs every connection, so nothing connects to it")),
        Greeter::Mysql => service.note(&format!(
            "port {number} is MySQL, which blocks hosts that often connect without a login, so nothing connects to it"
        )),
        Greeter::Smtp | Greeter::Ftp => service.check(dialogue(r#"{ expect: "^220" }, { send: "QUIT\r" }"#)),
        Greeter::Imap => service.check(dialogue(r#"{ expect: "^\\* OK" }, { send: "a LOGOUT\r" }"#)),
        Greeter::Pop3 => service.check(dialogue(r#"{ expect: "^\\+OK" }, { send: "QUIT\r" }"#)),
    }
}

fn add_http(service: &mut Service, server: &HttpServer, address: SocketAddr, connects: String) {
    let number = address.port();
    for page in &server.pages {
        if page.status >= 500 {
            service.note(&format!(
                "port {number}: GET {} responds with {}",
                page.path, page.status
            ));
        }
    }
    let is_endless = |page: &Page| page.path == "/" && page.body.is_none();
    if health_page(server).is_none_or(is_endless) && server.pages.iter().any(is_endless) {
        service.check(connects);
        service.note(&format!(
            "port {number} is HTTP, but its response to / did not end within a second, so no http check requests it"
        ));
        return;
    }
    let Some(page) = health_page(server).filter(|page| is_usable(page)) else {
        // A server of TLS responds so to plain HTTP. Some log each connection without a handshake.
        let may_be_tls =
            !server.is_tls && !server.pages.is_empty() && server.pages.iter().all(|page| page.status == 400);
        if !may_be_tls {
            service.check(connects);
        }
        service.note(&format!(
            "port {number} is HTTP, but no page succeeds; if it needs a host name or TLS, write an http check with the right URL"
        ));
        return;
    };
    let scheme = if server.is_tls { "https" } else { "http" };
    let mut options = format!("kind: http, url: \"{scheme}://{address}{}\"", page.path);
    if !is_success(page) {
        // An application that has just started may respond with 404 now, and with a page later.
        let codes = BTreeSet::from([200, 204, 301, 302, 303, 307, 308, page.status]);
        let codes: Vec<String> = codes.iter().map(u16::to_string).collect();
        options.push_str(&format!(
            ", valid_status_codes: [{}], follow_redirects: false",
            codes.join(", ")
        ));
        service.note(&format!(
            "port {number}: / responds with {}, and no health page was found",
            page.status
        ));
    }
    if server.is_tls {
        options.push_str(", tls_config: { insecure_skip_verify: true }");
        service.note(&format!(
            "port {number} uses TLS. Its certificate is not verified, because it is not for an IP address: set server_name instead"
        ));
    }
    service.check(format!("{{ {options} }}"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discover::service::Group;

    fn port(addresses: &[&str]) -> Port {
        Port {
            number: 80,
            addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
            unit: None,
            is_unit_visible: false,
            is_activated: false,
            program: None,
            heard: Heard::NotAsked,
        }
    }

    #[test]
    fn only_loopback_is_connected_to() {
        for (addresses, allowed, expected) in [
            (&["0.0.0.0"][..], &[][..], Some("127.0.0.1:80")),
            (&["::"], &[], Some("[::1]:80")),
            (&["127.0.0.53"], &[], Some("127.0.0.53:80")),
            (&["192.0.2.1"], &[], None),
            (&["192.0.2.1"], &["192.0.2.1"], Some("192.0.2.1:80")),
            (&["192.0.2.1"], &["192.0.2.2"], None),
            (&["192.0.2.1", "127.0.0.1"], &["192.0.2.1"], Some("127.0.0.1:80")),
        ] {
            let allowed: Vec<IpAddr> = allowed.iter().map(|address| address.parse().unwrap()).collect();
            let found = address(&port(addresses), &allowed).map(|address| address.to_string());
            assert_eq!(found.as_deref(), expected, "{addresses:?}");
        }
    }

    /// The application is still starting when it is discovered.
    #[test]
    fn a_page_that_appears_later_is_no_failure() {
        let mut service = Service::new("a".to_owned(), "a", Group::Other);
        let mut port = port(&["127.0.0.1"]);
        port.heard = Heard::Server(Server::Http(HttpServer {
            pages: vec![Page {
                path: "/",
                status: 404,
                body: Some(1),
            }],
            ..HttpServer::default()
        }));
        add(&mut service, &port, None, &[]);
        assert!(service.checks[1].contains("valid_status_codes: [200, 204, 301, 302, 303, 307, 308, 404]"));
    }

    /// A stream of events, or of a camera: a check that reads it would fail.
    #[test]
    fn a_response_that_does_not_end_is_not_requested() {
        let page = |path, body| Page {
            path,
            status: 200,
            body,
        };
        for (pages, expected) in [
            (vec![page("/", None)], "{ kind: tcp, address: \"127.0.0.1:80\" }"),
            (
                vec![page("/", Some(1)), page("/health", None)],
                "{ kind: http, url: \"http://127.0.0.1:80/\" }",
            ),
            (
                vec![page("/", None), page("/health", Some(1))],
                "{ kind: http, url: \"http://127.0.0.1:80/health\" }",
            ),
        ] {
            let mut service = Service::new("a".to_owned(), "a", Group::Other);
            let mut port = port(&["127.0.0.1"]);
            port.heard = Heard::Server(Server::Http(HttpServer {
                pages,
                ..HttpServer::default()
            }));
            add(&mut service, &port, None, &[]);
            assert_eq!(service.checks[1..], [expected], "{service:?}");
        }
    }

    #[test]
    fn a_port_of_the_kernels_range_has_no_check() {
        let mut service = Service::new("a".to_owned(), "a", Group::Other);
        let mut port = port(&["127.0.0.1"]);
        port.number = 40000;
        add(&mut service, &port, None, &[]);
        assert_eq!(service.checks, Vec::<String>::new());
        // containerd has such a port for HTTP, and another one after each start.
        port.heard = Heard::Server(Server::Http(HttpServer::default()));
        add(&mut service, &port, None, &[]);
        assert_eq!(service.checks, Vec::<String>::new());
        port.number = FIRST_EPHEMERAL - 1;
        port.heard = Heard::Server(Server::Memcached);
        add(&mut service, &port, None, &[]);
        assert_eq!(service.checks.len(), 2);
    }
}
