//! Settings of checks and services from a line of YAML.

use std::sync::Arc;

use upkeep_exporter::config::{CheckSettings, Config, Service, parse};

/// A check with these keys, written as in a flow mapping. The other keys have their defaults.
pub fn check(keys: &str) -> CheckSettings {
    CheckSettings::clone(&one_service(&format!("key: s, checks: [{{ {keys} }}]")).checks[0])
}

/// A tcp check.
pub fn tcp(name: &str) -> CheckSettings {
    check(&format!("kind: tcp, name: {name}, address: \"127.0.0.1:1\""))
}

/// A process check.
pub fn process(name: &str) -> CheckSettings {
    check(&format!("kind: process, name: {name}, regex: {name}"))
}

/// A service with these keys, written as in a flow mapping. The other keys have their defaults.
pub fn one_service(keys: &str) -> Service {
    let text = format!("services: [{{ {keys} }}]");
    let loaded = parse(&text, "test.yml").unwrap_or_else(|error| panic!("{text}\n{error}"));
    Service::clone(&loaded.config.services[0])
}

/// A service with these checks.
pub fn service(key: &str, checks: Vec<CheckSettings>) -> Arc<Service> {
    Arc::new(Service {
        checks: checks.into_iter().map(Arc::new).collect(),
        ..one_service(&format!("key: {key}, group: group, port: 1"))
    })
}

/// A configuration with one service per check, named like the check.
pub fn each(checks: Vec<CheckSettings>) -> Config {
    let services = checks.into_iter().map(|check| {
        let key = check.name.as_str().to_owned();
        service(&key, vec![check])
    });
    Config {
        services: services.collect(),
        ..Config::default()
    }
}
