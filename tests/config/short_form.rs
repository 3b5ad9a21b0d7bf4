//! Tests of the short form of services.

use std::time::Duration;

use upkeep_exporter::config::KindSettings;
use upkeep_exporter::model::Severity;

use super::settings::{check, loaded, service};

#[test]
fn the_short_form_stands_for_checks() {
    let text = "services:
  - key: web
    name: Web
    url: https://example.org/health
    expected_http: 204
    port: 8443
    systemd: web
    process_match: [gunicorn, 007]
    container: chatstack-web
    description: The web server";
    let service = service(text);
    assert_eq!(service.description, "The web server");
    let resolved: Vec<_> = service
        .checks
        .iter()
        .map(|check| {
            (
                check.name.to_string(),
                check.kind.target(),
                check.timeout.as_secs(),
                check.severity,
            )
        })
        .collect();
    let resolved: Vec<_> = resolved
        .iter()
        .map(|(name, target, timeout, severity)| (&**name, &**target, *timeout, *severity))
        .collect();
    assert_eq!(
        resolved[0],
        ("http", "https://example.org/health", 3, Severity::Critical)
    );
    assert_eq!(resolved[1], ("tcp", "example.org:8443", 1, Severity::Critical));
    assert_eq!(resolved[2], ("systemd", "web.service", 10, Severity::Critical));
    assert_eq!(
        (resolved[3].0, resolved[3].2, resolved[3].3),
        ("process", 10, Severity::Warning)
    );
    assert_eq!(resolved[4], ("docker", "chatstack-web", 10, Severity::Warning));
    let KindSettings::Process(process) = &service.checks[3].kind else {
        panic!()
    };
    assert_eq!(process.matches, ["gunicorn", "007"]);
}

#[test]
fn the_short_form_equals_the_long_form() {
    let short = "services: [{ key: a, url: http://b:81/c, host: \"::1\", systemd: d.e, process_match: f, container: g }]";
    let long = "services:
  - key: a
    checks:
      - { kind: http, url: http://b:81/c, valid_status_codes: [200], timeout: 3s }
      - { kind: tcp, address: \"[::1]:81\", timeout: 1s }
      - { kind: systemd, unit: d.e.service }
      - { kind: process, match: [f], severity: warning }
      - { kind: docker, container: g, severity: warning }";
    assert_eq!(loaded(short).config, loaded(long).config);
}

#[test]
fn the_default_host_of_a_port_is_that_of_the_url_or_this_machine() {
    let target = |text: &str| service(text).checks.last().unwrap().kind.target();
    assert_eq!(target("services: [{ key: a, port: 1 }]"), "127.0.0.1:1");
    assert_eq!(
        target("services: [{ key: a, port: 1, url: \"http://[::1]/\" }]"),
        "[::1]:1"
    );
    assert_eq!(
        target("services: [{ key: a, host: b, url: \"https://c/\" }]"),
        "b:443"
    );
    assert_eq!(
        target("services: [{ key: a, url: \"https://c/\" }]"),
        "https://c/",
        "without port and host there is no tcp check"
    );
}

#[test]
fn a_service_overrides_the_timeout_of_the_short_form() {
    let text = "defaults: { timeout: 9s }\nservices: [{ key: a, port: 1 }]";
    assert_eq!(check(text).timeout, Duration::from_secs(1));
    let text = "defaults: { timeout: 9s }\nservices: [{ key: a, port: 1, timeout: 2s }]";
    assert_eq!(check(text).timeout, Duration::from_secs(2));
}
