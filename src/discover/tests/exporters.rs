//! Exporters on the machine are not among its services, whatever is known about them.

use super::*;

fn keys(facts: &Facts) -> Vec<String> {
    let services = loaded(&written(facts)).config.services;
    services.iter().map(|service| service.key.to_string()).collect()
}

fn exporter(name: &str) -> Unit {
    Unit {
        is_exporter: true,
        ..unit(name, "upkeep_exporter")
    }
}

#[test]
fn exporters_are_left_out_and_the_jobs_that_they_run_are_not() {
    let mut socket = port(10101, Some("watch.socket"), None, Heard::NotAsked);
    socket.is_activated = true;
    let mut watch = exporter("watch.service");
    watch.triggers = vec!["watch.socket".to_owned()];
    let facts = Facts {
        units: vec![
            watch,
            unit("watch.socket", ""),
            unit("import.service", "A job under heartbeat run"),
        ],
        ports: vec![
            // Without privileges, the program is not known.
            port(10100, Some("watch.service"), None, Heard::NotAsked),
            socket,
            port(10102, None, Some("upkeep_exporter"), Heard::NotAsked),
            port(
                10103,
                Some("docker-1.scope"),
                Some("upkeep_exporter"),
                Heard::NotAsked,
            ),
            port(8000, Some("import.service"), Some("python3"), http(&[("/", 200)])),
        ],
        ..Facts::default()
    };
    assert_eq!(keys(&facts), ["machine", "import"]);
}

/// A user's manager has its unit, or systemd did not respond.
#[test]
fn an_exporter_is_known_by_the_name_of_its_unit() {
    let facts = Facts {
        ports: vec![
            port(10100, Some("upkeep_exporter.service"), None, Heard::NotAsked),
            port(8000, None, Some("python3"), http(&[("/", 200)])),
        ],
        ..Facts::default()
    };
    assert_eq!(keys(&facts), ["machine", "python3"]);
}

/// Only the socket is enabled, and its name is another one (`Service=`).
#[test]
fn the_socket_of_an_exporter_is_left_out() {
    let mut socket = port(10100, Some("page.socket"), None, Heard::NotAsked);
    socket.is_activated = true;
    for name in ["page.service", "watch.service"] {
        let mut exporter = exporter(name);
        exporter.file_state = "disabled".to_owned();
        exporter.triggers = vec!["page.socket".to_owned()];
        let facts = Facts {
            units: vec![unit("page.socket", ""), exporter],
            ports: vec![
                socket.clone(),
                port(8000, None, Some("python3"), http(&[("/", 200)])),
            ],
            ..Facts::default()
        };
        assert_eq!(keys(&facts), ["machine", "python3"], "{name}");
    }
}
