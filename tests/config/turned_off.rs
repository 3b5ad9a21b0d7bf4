//! `enabled: false`, and services without a key.

use upkeep_exporter::config::{Config, parse};
use upkeep_exporter::model::ServiceKey;

fn loaded(text: &str) -> Config {
    parse(text, "a.yml")
        .unwrap_or_else(|error| panic!("{text}\n{error}"))
        .config
}

fn texts(keys: &[ServiceKey]) -> Vec<&str> {
    keys.iter().map(ServiceKey::as_str).collect()
}

fn turned_off(config: &Config) -> Vec<String> {
    config.disabled.iter().map(ToString::to_string).collect()
}

#[test]
fn what_is_turned_off_is_not_in_the_configuration() {
    let config = loaded(
        "services:\n  - { key: a, port: 1, depends_on: [b, c] }\n  - { key: b, port: 2, enabled: false, depends_on: [c] }\n  \
         - { key: c, checks: [{ kind: tcp, address: 'a:1', enabled: false }, { kind: tcp, address: 'a:2' }] }\n",
    );
    let keys: Vec<&str> = config
        .services
        .iter()
        .map(|service| service.key.as_str())
        .collect();
    assert_eq!(keys, ["a", "c"]);
    assert_eq!(texts(&config.services[0].depends_on), ["c"]);
    assert_eq!(config.services[1].checks.len(), 1);
    assert_eq!(
        config.services[1].checks[0].name.as_str(),
        "tcp_2",
        "the check keeps its name"
    );
    assert_eq!(turned_off(&config), ["b", "c/tcp"]);
}

#[test]
fn a_service_without_any_check_that_is_on_is_off() {
    let config =
        loaded("services: [{ key: a, any_of: 1, checks: [{ kind: tcp, address: 'a:1', enabled: 'no' }] }]");
    assert_eq!(config.services.len(), 0);
    assert_eq!(turned_off(&config), ["a"]);
}

#[test]
fn what_is_turned_off_is_validated() {
    for (text, message) in [
        (
            "services: [{ key: a, enabled: false, port: 0 }]",
            "0 is not a valid port",
        ),
        (
            "services: [{ key: a, port: 1 }, { key: a, port: 2, enabled: false }]",
            "is also the key of the service in line 1",
        ),
        (
            "services: [{ key: a, checks: [{ kind: tcp, enabled: false }] }]",
            "address is missing",
        ),
        (
            "services: [{ key: a, port: 1, enabled: maybe }]",
            "expected true or false",
        ),
        (
            "services: [{ key: a, port: 1, any_of: 2, checks: [{ kind: tcp, address: 'a:1', enabled: false }] }]",
            "any_of",
        ),
    ] {
        let error = parse(text, "a.yml").expect_err(text).to_string();
        assert!(error.contains(message), "{text}\n{error}");
    }
}

#[test]
fn a_name_is_enough() {
    let config = loaded(
        "services: [{ name: Portfolio site, url: 'http://a/' }, { name: API, port: 1, depends_on: [portfolio-site] }]\n\
         maintenance: [{ services: [api], weekly: [mon], at: '03:00', for: 1h }]",
    );
    assert_eq!(config.services[0].key.as_str(), "portfolio-site");
    assert_eq!(config.services[0].name, "Portfolio site");
    assert_eq!(texts(&config.services[1].depends_on), ["portfolio-site"]);
    assert_eq!(texts(&config.derived_keys), ["portfolio-site", "api"]);
}

#[test]
fn numbers_may_be_quoted_and_status_codes_may_be_ranges() {
    let config = loaded(
        "services: [{ key: a, url: 'http://a/', expected_http: 2xx, port: '80', failures_before_down: '5', checks: [\
         { kind: http, url: 'http://a/', valid_status_codes: ['200', 300-303, 40x], follow_redirects: 'off' },\
         { kind: http, url: 'http://a/', valid_status_codes: 5xx }] }]",
    );
    let shown = |index: usize| format!("{:?}", config.services[0].checks[index].kind);
    assert!(
        shown(0).contains("200..=299") && shown(0).contains("max_redirects: Some"),
        "{}",
        shown(0)
    );
    for range in ["200..=200", "300..=303", "400..=409", "max_redirects: None"] {
        assert!(shown(2).contains(range), "{}", shown(2));
    }
    assert!(shown(3).contains("500..=599"), "{}", shown(3));
    assert_eq!(config.services[0].checks[0].failures_before_down, 5);
}
