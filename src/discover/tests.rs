//! Facts become services, and services a configuration that loads.

mod exporters;
mod pending;

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::facts::{
    Container, Facts, Greeter, Heard, HttpServer, Page, Pending, Port, Program, Project, Server, Unit, Worker,
};
use super::{grouping, render};
use crate::config::{Loaded, parse};

fn unit(name: &str, description: &str) -> Unit {
    Unit {
        name: name.to_owned(),
        description: description.to_owned(),
        program: format!("/usr/bin/{name}"),
        ..Unit::default()
    }
}

fn port(number: u16, unit: Option<&str>, program: Option<&str>, heard: Heard) -> Port {
    Port {
        number,
        addresses: BTreeSet::from(["127.0.0.1".parse().unwrap()]),
        unit: unit.map(str::to_owned),
        is_unit_visible: unit.is_some(),
        is_activated: false,
        program: program.map(|name| Program {
            name: name.to_owned(),
            is_exporter: name == "upkeep_exporter",
            ..Program::default()
        }),
        heard,
    }
}

fn http(pages: &[(&'static str, u16)]) -> Heard {
    let pages = pages.iter().enumerate().map(|(number, (path, status))| Page {
        path,
        status: *status,
        body: Some(number as u64),
    });
    Heard::Server(Server::Http(HttpServer {
        pages: pages.collect(),
        ..HttpServer::default()
    }))
}

fn written(facts: &Facts) -> String {
    render::file(&grouping::services(facts, &[]), &facts.gaps)
}

fn loaded(text: &str) -> Loaded {
    let loaded = parse(text, "discovered").unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(loaded.warnings, [], "{text}");
    loaded
}

/// The targets of the checks of a service, each with its kind.
fn checks(loaded: &Loaded, key: &str) -> Vec<String> {
    let service = loaded
        .config
        .services
        .iter()
        .find(|service| service.key.as_str() == key);
    let service = service.unwrap_or_else(|| panic!("{key} is missing: {:?}", loaded.config.services));
    let mut checks = vec![service.group.clone()];
    checks.extend(
        service
            .checks
            .iter()
            .map(|check| format!("{} {}", check.kind.kind(), check.kind.target())),
    );
    checks
}

#[test]
fn a_unit_its_ports_and_its_servers_are_one_service() {
    let web = "web.service";
    let text = written(&Facts {
        units: vec![
            unit(web, "The shop"),
            unit("cron.service", ""),
            unit("pg.service", ""),
        ],
        ports: vec![
            port(
                8080,
                Some(web),
                Some("python3"),
                http(&[("/", 404), ("/health", 200)]),
            ),
            port(
                5432,
                Some("pg.service"),
                Some("postgres"),
                Heard::Server(Server::Postgres),
            ),
            port(9999, None, Some("mystery"), Heard::Silent),
        ],
        workers: vec![Worker {
            app: "shop".to_owned(),
            unit: None,
        }],
        ..Facts::default()
    });
    let loaded = loaded(&text);
    assert_eq!(
        checks(&loaded, "web"),
        [
            "applications",
            "systemd web.service",
            "port tcp *:8080",
            "http http://127.0.0.1:8080/health"
        ]
    );
    assert_eq!(
        checks(&loaded, "pg"),
        [
            "databases",
            "systemd pg.service",
            "port tcp *:5432",
            "tcp 127.0.0.1:5432"
        ]
    );
    assert_eq!(checks(&loaded, "cron"), ["system", "systemd cron.service"]);
    assert_eq!(checks(&loaded, "mystery")[..2], ["other", "port tcp *:9999"]);
    assert_eq!(checks(&loaded, "celery-shop")[0], "workers");
    assert!(text.contains("# port 5432 is PostgreSQL. With a user"), "{text}");
    assert!(text.contains("# port 9999: nothing known answered"), "{text}");
}

#[test]
fn published_ports_belong_to_their_container() {
    let docker = "docker.service";
    let text = written(&Facts {
        units: vec![unit(docker, "")],
        ports: vec![port(
            8080,
            Some(docker),
            Some("docker-proxy"),
            http(&[("/", 200)]),
        )],
        containers: vec![
            Container {
                name: "shop".to_owned(),
                host: "unix:///run/x.sock".to_owned(),
                published: vec![(8080, 80)],
                ..Container::default()
            },
            Container {
                name: "sick".to_owned(),
                host: "unix:///run/x.sock".to_owned(),
                is_unhealthy: true,
                ..Container::default()
            },
        ],
        ..Facts::default()
    });
    let loaded = loaded(&text);
    assert_eq!(
        checks(&loaded, "shop"),
        [
            "applications",
            "docker shop",
            "port tcp *:8080",
            "http http://127.0.0.1:8080/"
        ]
    );
    assert_eq!(checks(&loaded, "docker"), ["system", "systemd docker.service"]);
    assert!(
        loaded
            .config
            .services
            .iter()
            .all(|service| service.key.as_str() != "sick")
    );
}

/// When a job ends, the engine must not be down because of its port.
#[test]
fn the_ports_of_jobs_do_not_belong_to_the_engine() {
    let docker = "docker.service";
    let text = written(&Facts {
        units: vec![unit(docker, "")],
        ports: vec![
            port(8080, Some(docker), Some("docker-proxy"), http(&[("/", 200)])),
            port(8081, None, Some("rootlessport"), Heard::Silent),
        ],
        job_ports: BTreeSet::from([8080, 8081]),
        ..Facts::default()
    });
    let loaded = loaded(&text);
    assert_eq!(checks(&loaded, "docker"), ["system", "systemd docker.service"]);
    assert!(!text.contains("808"), "{text}");
}

/// A connection to a port of systemd would start the service.
#[test]
fn a_service_that_starts_on_demand_is_not_started() {
    let mut activated = port(7000, Some("lazy.socket"), None, Heard::NotAsked);
    activated.is_activated = true;
    let text = written(&Facts {
        units: vec![unit("lazy.socket", "")],
        ports: vec![activated],
        ..Facts::default()
    });
    assert_eq!(
        checks(&loaded(&text), "lazy.socket"),
        ["other", "systemd lazy.socket", "port tcp *:7000"]
    );
    assert!(
        text.contains("systemd starts the service on the first connection"),
        "{text}"
    );
}

/// A port that SSH forwards is gone when its user logs out.
#[test]
fn ports_of_logins_over_ssh_are_left_out() {
    let session = Some("session-3.scope");
    let text = written(&Facts {
        ports: vec![
            port(6010, session, Some("sshd-session"), Heard::Silent),
            port(6011, session, None, Heard::Silent),
            port(8000, session, Some("python3"), Heard::Silent),
        ],
        ..Facts::default()
    });
    assert!(
        !text.contains("6010") && !text.contains("6011") && text.contains("8000"),
        "{text}"
    );
}

#[test]
fn where_nothing_is_found_the_machine_is_watched() {
    let loaded = loaded(&written(&Facts::default()));
    let keys: Vec<&str> = loaded
        .config
        .services
        .iter()
        .map(|service| service.key.as_str())
        .collect();
    assert_eq!(keys, ["machine", "processes"]);
}

#[test]
fn the_order_of_the_facts_does_not_matter() {
    let mut facts = Facts {
        units: ["b.service", "a.service"].map(|name| unit(name, "x")).into(),
        ports: vec![
            port(2, Some("a.service"), None, Heard::Silent),
            port(1, None, Some("c"), Heard::Silent),
        ],
        ..Facts::default()
    };
    let first = written(&facts);
    facts.units.reverse();
    facts.ports.reverse();
    assert_eq!(written(&facts), first);
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        "[a-z@.:-]{1,40}",
        any::<String>(),
        proptest::collection::vec(any::<char>(), 0..300)
            .prop_map(|text| text.into_iter().collect::<String>()),
    ]
}

fn any_server() -> impl Strategy<Value = Server> {
    let page = (
        prop_oneof![Just("/"), Just("/health"), Just("/-/healthy")],
        100_u16..1000,
        any::<Option<u64>>(),
    )
        .prop_map(|(path, status, body)| Page { path, status, body });
    let pages = proptest::collection::vec(page, 0..4);
    let http = (pages, any::<bool>(), any::<bool>()).prop_map(|(pages, is_tls, is_minio)| {
        Server::Http(HttpServer {
            is_tls,
            is_minio,
            pages,
        })
    });
    let greeter = prop_oneof![
        Just(Greeter::Ssh),
        Just(Greeter::Smtp),
        Just(Greeter::Ftp),
        Just(Greeter::Imap),
        Just(Greeter::Pop3),
        Just(Greeter::Mysql)
    ];
    prop_oneof![
        Just(Server::Postgres),
        any::<bool>().prop_map(|needs_password| Server::Redis { needs_password }),
        Just(Server::Memcached),
        Just(Server::Amqp),
        Just(Server::Tls),
        greeter.prop_map(Server::Greeter),
        http,
    ]
}

fn any_port() -> impl Strategy<Value = Port> {
    let heard = prop_oneof![
        Just(Heard::NotAsked),
        Just(Heard::NotYet),
        Just(Heard::Refused),
        Just(Heard::Silent),
        any_server().prop_map(Heard::Server)
    ];
    let program = (any_text(), proptest::option::of("[a-z._:-]{1,20}"), any::<bool>());
    let program = program.prop_map(|(name, script, is_ancestor)| Program {
        name,
        script,
        is_ancestor,
        is_exporter: false,
    });
    let addresses = proptest::collection::btree_set(any::<std::net::IpAddr>(), 0..3);
    let unit = proptest::option::of(prop_oneof![Just("a.service".to_owned()), any_text()]);
    (
        1_u16..,
        addresses,
        unit,
        any::<(bool, bool)>(),
        proptest::option::of(program),
        heard,
    )
        .prop_map(
            |(number, addresses, unit, (is_unit_visible, is_activated), program, heard)| Port {
                number,
                addresses,
                unit,
                is_unit_visible,
                is_activated,
                program,
                heard,
            },
        )
}

fn any_facts() -> impl Strategy<Value = Facts> {
    let project = any_text().prop_map(|obstacle| Project {
        check: "{ kind: node, directory: /srv }".to_owned(),
        obstacle: Some(obstacle).filter(|text| !text.is_empty()),
    });
    let name = prop_oneof![Just("a.service".to_owned()), any_text()];
    let unit = (name, any_text(), proptest::collection::vec(project, 0..2));
    let unit = unit.prop_map(|(name, description, projects)| Unit {
        name,
        description,
        projects,
        ..Unit::default()
    });
    let published = proptest::collection::vec(any::<(u16, u16)>(), 0..3);
    let container = (any_text(), any_text(), any::<bool>(), published);
    let container = container.prop_map(|(name, image, is_unhealthy, published)| Container {
        host: "unix:///run/a.sock".to_owned(),
        name,
        image,
        is_unhealthy,
        published,
    });
    let worker = (any_text(), proptest::option::of(any_text())).prop_map(|(app, unit)| Worker { app, unit });
    (
        proptest::collection::vec(unit, 0..4),
        proptest::collection::vec(any_port(), 0..5),
        proptest::collection::vec(container, 0..3),
        proptest::collection::vec(worker, 0..2),
        proptest::collection::btree_set(any_text(), 0..2),
        any::<[bool; 3]>().prop_map(|[units, containers, holders]| Pending {
            units,
            containers,
            holders,
            details: false,
        }),
    )
        .prop_map(|(units, ports, containers, workers, gaps, pending)| Facts {
            units,
            ports,
            containers,
            workers,
            gaps,
            pending,
            ..Facts::default()
        })
}

proptest! {
    /// Whatever is on the machine, the file loads without errors and warnings.
    #[test]
    fn any_facts_make_a_valid_configuration(facts in any_facts()) {
        let loaded = loaded(&written(&facts));
        prop_assert!(!loaded.config.services.is_empty());
    }
}
