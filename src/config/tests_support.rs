//! What tests of other modules make settings with: a line of YAML.

use std::sync::Arc;

use super::{CheckSettings, Config, Service, parse};

/// The check with these keys, written as in a flow mapping; the rest are the defaults.
pub fn check(keys: &str) -> CheckSettings {
    CheckSettings::clone(&service(&format!("key: s, checks: [{{ {keys} }}]")).checks[0])
}

/// Services with these checks.
pub fn config(services: Vec<(&str, Vec<CheckSettings>)>) -> Config {
    let services = services.into_iter().map(|(key, checks)| {
        Arc::new(Service {
            checks: checks.into_iter().map(Arc::new).collect(),
            ..service(&format!("key: {key}, group: group, port: 1"))
        })
    });
    Config {
        probe: crate::config::probe::ProbeSettings::default(),
        services: services.collect(),
    }
}

fn service(keys: &str) -> Service {
    let text = format!("services: [{{ {keys} }}]");
    let loaded = parse(&text, "test.yml").unwrap_or_else(|error| panic!("{text}\n{error}"));
    Service::clone(&loaded.config.services[0])
}
