//! Helpers for unit tests: settings from a line of YAML, and options from JSON.

use std::cell::RefCell;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::place::{Invalid, Place};
use super::{CheckSettings, Config, Service, parse};

/// Resolves options written as JSON. The error lists the findings as `path: message`.
pub fn resolve_json<O: DeserializeOwned, S>(
    json: Value,
    resolve: impl FnOnce(O, &Place<'_>) -> Result<S, Invalid>,
) -> Result<S, Vec<String>> {
    let options: O = serde_json::from_value(json).unwrap();
    resolve_at_root(|root| resolve(options, root))
}

/// Calls `resolve` with the root of an empty document. The error lists the findings as `path: message`.
pub fn resolve_at_root<S>(resolve: impl FnOnce(&Place<'_>) -> Result<S, Invalid>) -> Result<S, Vec<String>> {
    let findings = RefCell::default();
    resolve(&Place::root(&findings)).map_err(|Invalid| {
        let findings = findings.take();
        findings
            .iter()
            .map(|finding| format!("{}: {}", finding.path, finding.message))
            .collect()
    })
}

/// A check with these keys, written as in a flow mapping. Other keys have their defaults.
pub fn check(keys: &str) -> CheckSettings {
    CheckSettings::clone(&service(&format!("key: s, checks: [{{ {keys} }}]")).checks[0])
}

/// A configuration of services with these checks.
pub fn config(services: Vec<(&str, Vec<CheckSettings>)>) -> Config {
    let services = services.into_iter().map(|(key, checks)| {
        Arc::new(Service {
            checks: checks.into_iter().map(Arc::new).collect(),
            ..service(&format!("key: {key}, group: group, port: 1"))
        })
    });
    Config {
        services: services.collect(),
        ..Config::default()
    }
}

fn service(keys: &str) -> Service {
    let text = format!("services: [{{ {keys} }}]");
    let loaded = parse(&text, "test.yml").unwrap_or_else(|error| panic!("{text}\n{error}"));
    Service::clone(&loaded.config.services[0])
}
