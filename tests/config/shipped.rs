//! The shipped configuration files load to the expected settings.

use std::fs;
use std::path::Path;
use std::time::Duration;

use upkeep_exporter::config::{KindSettings, embedded_default, embedded_default_with, load, parse};
use upkeep_exporter::model::CheckKind;

#[test]
fn the_example_loads_without_warnings() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/upkeep.example.yml");
    let loaded = load(&path).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(loaded.warnings, []);
    let checks = loaded.config.services.iter().flat_map(|service| &service.checks);
    let kinds: Vec<CheckKind> = checks.map(|check| check.kind.kind()).collect();
    for kind in CheckKind::ALL {
        assert!(kinds.contains(&kind), "the example has no {kind} check");
    }
}

/// The three groups of Heimdall have the expected kinds and intervals.
#[test]
fn the_example_of_a_whole_stack_loads_without_warnings() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/heimdall.example.yml");
    let loaded = load(&path).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(loaded.warnings, []);
    let of = |group: &str| {
        let services = loaded.config.services.iter();
        services
            .filter(|service| service.group.as_str() == group)
            .collect::<Vec<_>>()
    };
    let groups = [
        ("Microservices", 3, 1),
        ("Infrastructure", 5, 1),
        ("WebSDRs", 7, 60),
    ];
    for (group, count, seconds) in groups {
        let services = of(group);
        assert_eq!(services.len(), count, "{group}");
        for check in services.iter().flat_map(|service| &service.checks) {
            assert_eq!(
                check.interval,
                Duration::from_secs(seconds),
                "{group}: {}",
                check.name
            );
        }
    }
    assert_eq!(loaded.config.services.len(), 15);
    let infrastructure = of("Infrastructure");
    let kinds: Vec<&str> = infrastructure
        .iter()
        .flat_map(|service| &service.checks)
        .map(|check| check.kind.kind().as_str())
        .collect();
    assert_eq!(kinds, ["postgres", "redis", "rabbitmq", "s3", "celery"]);
}

#[test]
fn the_built_in_values_in_the_example_are_right() {
    let example =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config/upkeep.example.yml")).unwrap();
    let services = &example[example.find("services:\n").unwrap()..];
    // Nothing else is needed, except that programs must be allowed.
    let services = &format!("exec: {{ allowed_directories: [/usr/lib/nagios/plugins] }}\n{services}");
    assert_eq!(
        parse(services, "a").unwrap().config.services,
        parse(&example, "b").unwrap().config.services
    );
}

#[test]
fn the_embedded_default_checks_the_exporter_and_the_machine() {
    let loaded = embedded_default().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(loaded.warnings, []);
    let targets: Vec<_> = loaded
        .config
        .services
        .iter()
        .flat_map(|service| &service.checks)
        .map(|check| (check.name.as_str().to_owned(), check.kind.target()))
        .collect();
    assert_eq!(
        targets[0],
        ("http".to_owned(), "http://127.0.0.1:10100/-/healthy".to_owned())
    );
    assert_eq!(targets[1], ("tcp".to_owned(), "127.0.0.1:10100".to_owned()));
    let KindSettings::Process(processes) = &loaded.config.services[1].checks[0].kind else {
        panic!("{:?}", loaded.config.services[1])
    };
    assert_eq!(
        processes.min, 0,
        "a container may have no process but the exporter"
    );
}

#[test]
fn the_embedded_default_follows_the_port() {
    let loaded = embedded_default_with(Some(12345), "").unwrap();
    assert_eq!(
        loaded.config.services[0].checks[1].kind.target(),
        "127.0.0.1:12345"
    );
}
