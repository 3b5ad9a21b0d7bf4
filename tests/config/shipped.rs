//! The files that are shipped load, and say what they should.

use std::fs;
use std::path::Path;

use upkeep_exporter::config::{KindSettings, embedded_default, embedded_default_on, load, parse};
use upkeep_exporter::model::CheckKind;

#[test]
fn the_example_loads_without_a_remark() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/upkeep.example.yml");
    let loaded = load(&path).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(loaded.remarks, []);
    let checks = loaded.config.services.iter().flat_map(|service| &service.checks);
    let kinds: Vec<CheckKind> = checks.map(|check| check.kind.kind()).collect();
    for kind in CheckKind::ALL {
        assert!(
            kinds.contains(&kind),
            "the example has no check of the kind {kind}"
        );
    }
}

#[test]
fn what_the_example_calls_built_in_is_built_in() {
    let example =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config/upkeep.example.yml")).unwrap();
    let services = &example[example.find("services:\n").unwrap()..];
    assert_eq!(
        parse(services, "a").unwrap().config,
        parse(&example, "b").unwrap().config
    );
}

#[test]
fn the_embedded_default_watches_the_exporter_and_the_machine() {
    let loaded = embedded_default().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(loaded.remarks, []);
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
        "a container may hold no process but the exporter"
    );
}

#[test]
fn the_embedded_default_follows_the_port() {
    let loaded = embedded_default_on(12345).unwrap();
    assert_eq!(
        loaded.config.services[0].checks[1].kind.target(),
        "127.0.0.1:12345"
    );
}
