//! Files in the format of ChatStack's monitor load with warnings about mistakes that are errors in every other file.

use std::process::Command;

use upkeep_exporter::config::{Config, KindSettings, parse};
use upkeep_exporter::model::Severity;

/// The configuration and its warnings, without their positions.
fn loaded(text: &str) -> (Config, Vec<String>) {
    let loaded = parse(text, "old.yml").unwrap_or_else(|error| panic!("{text}\n{error}"));
    let warnings = loaded.warnings.iter();
    let warnings = warnings.map(|warning| format!("{}: {}", warning.path, warning.message));
    (loaded.config, warnings.collect())
}

#[track_caller]
fn assert_error(text: &str, message: &str) {
    let error = parse(text, "new.yml").expect_err(text).to_string();
    assert!(error.contains(message), "{text}\n{error}");
}

/// A realistic file.
const FILE: &str = r#"# ChatStack services
monitor:
  check_interval: "30"
  alerts: { consecutive_failures: "3" }
services:
  - key: web
    name: "Web"
    url: http://127.0.0.1:8000/health
    port: "8000"
    expected_http: "200"
    container: example-web
    icon: globe
    prot: 8000
  - key: worker
    name: Worker
    systemd: worker
    process_match: ["", "celery worker"]
    auto_restart: true
  - key: cron
    name: Cron
    description: Has no checks
    process_match: [""]
"#;

#[test]
fn a_whole_file_loads_with_a_warning_for_each_mistake() {
    let (config, warnings) = loaded(FILE);
    let known =
        "container, description, enabled, expected_http, host, key, name, port, process_match, systemd, url";
    assert_eq!(
        warnings,
        [
            "services[0].container: this check has severity warning, so a failure only degrades the service: for \
             severity critical, add a check of kind docker to checks"
                .to_owned(),
            format!("services[0].icon: ignored, unknown key: write one of {known}"),
            "services[0].prot: ignored, unknown key: did you mean port?".to_owned(),
            "services[1].process_match: ignored the blank texts in this list: every process contains them; remove them"
                .to_owned(),
            "services[1].auto_restart: ignored, not supported: set heal: { mode: act }, see docs/HEALING.md".to_owned(),
            "services[2]: ignored: this service has no checks left; add url, port or systemd".to_owned(),
            "services[2].process_match: ignored: every process contains a blank text; write a part of the name or \
             command line"
                .to_owned(),
        ]
    );
    let services: Vec<_> = config
        .services
        .iter()
        .map(|service| {
            let checks = service.checks.iter();
            let checks = checks.map(|check| format!("{} {:?}", check.kind.target(), check.severity));
            (service.key.as_str(), checks.collect::<Vec<_>>())
        })
        .collect();
    assert_eq!(services.len(), 2);
    assert_eq!(
        services[0].1,
        [
            "http://127.0.0.1:8000/health Critical",
            "127.0.0.1:8000 Critical",
            "example-web Warning"
        ]
    );
    assert_eq!(
        services[1].1,
        ["worker.service Critical", "celery worker Warning"]
    );
    assert_eq!(config.services[0].checks[0].interval.as_secs(), 30);
}

#[test]
fn check_config_prints_the_warnings_and_succeeds() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("services.yml");
    std::fs::write(&file, FILE).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_upkeep_exporter"))
        .args(["check-config".as_ref(), file.as_os_str()])
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{printed}");
    assert!(printed.contains("services.yml:11:16: "), "{printed}");
    assert!(
        printed.contains("services.yml:12:5: "),
        "the position of the key: {printed}"
    );
    assert_eq!(printed.lines().count(), 7, "{printed}");
}

#[test]
fn a_container_of_the_short_form_has_severity_warning() {
    for text in [
        "services: [{ key: a, url: http://a/, expected_http: 200, container: a-web }]",
        "services: [{ key: a, tier: tolerant, container: a-web }]",
    ] {
        let (config, warnings) = loaded(text);
        let docker = config.services[0].checks.last().unwrap();
        assert!(matches!(docker.kind, KindSettings::Docker(_)));
        assert_eq!(docker.severity, Severity::Warning);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].starts_with("services[0].container: this check has severity warning"));
    }
    let (config, warnings) = loaded("services: [{ key: a, checks: [{ kind: docker, container: a-web }] }]");
    assert_eq!(config.services[0].checks[0].severity, Severity::Critical);
    assert_eq!(warnings, [""; 0]);
}

#[test]
fn other_files_are_strict() {
    let unknown = "unknown key";
    for new in [
        "defaults: {}",
        "tiers: {}",
        "modules: {}",
        "monitor: { retry_delay: 1 }\ndefaults: {}",
    ] {
        assert_error(
            &format!("{new}\nservices: [{{ key: a, url: http://a/, port: 80, icon: b }}]"),
            unknown,
        );
    }
    for new in [
        "group: b",
        "interval: 5s",
        "checks: [{ kind: tcp, address: \"a:1\" }]",
        "tolerance: { down: 1m }",
        "intervall: 5s",
        "\"a secret\": b",
    ] {
        assert_error(
            &format!("services: [{{ key: a, url: http://a/, expected_http: 200, icon: b, {new} }}]"),
            "unknown key",
        );
        assert_error(
            &format!("services: [{{ key: a, systemd: b, process_match: [\"\"], {new} }}]"),
            "blank, which matches nearly every process",
        );
    }
    // One service with a new key is enough for a file in the new format.
    assert_error(
        "services: [{ key: a, systemd: b, icon: c }, { key: d, tier: critical, port: 1 }]",
        "services[0].icon: unknown key",
    );
    assert_error(
        "services: [{ key: a, port: 80, icon: b }]",
        "services[0].icon: unknown key",
    );
}

#[test]
fn quoted_numbers_are_numbers() {
    for text in ["eighty", "", " ", "8 0", "0x50", "-1", "1e3", "80/tcp"] {
        let file = format!("services: [{{ key: a, systemd: b, port: \"{text}\" }}]");
        assert_eq!(
            parse(&file, "old.yml").is_ok(),
            text.is_empty(),
            "an empty text is ignored: {text:?}"
        );
    }
    let (config, warnings) = loaded("services: [{ key: a, systemd: b, port: \" 80 \" }]");
    assert_eq!(config.services[0].checks[0].kind.target(), "127.0.0.1:80");
    assert_eq!(warnings, [""; 0]);
    assert_error(
        "services: [{ key: a, systemd: b, port: \"70000\" }]",
        "expected a whole number from 0 to 65535, found 70000",
    );
}

#[test]
fn a_file_without_any_check_left_is_an_error() {
    assert_error(
        "monitor: {}\nservices: [{ key: a, process_match: [\"\"] }, { key: b, process_match: \" \" }]",
        "services[0]: the service has no checks",
    );
    assert_error(
        "services: [{ key: a, name: A }, { key: b, systemd: c }]",
        "services[0]: the service has no checks",
    );
}

#[test]
fn the_number_of_warnings_is_limited() {
    let keys: String = (0..500).map(|index| format!(", k{index}: 1")).collect();
    let (_, warnings) = loaded(&format!("services: [{{ key: a, systemd: b{keys} }}]"));
    assert_eq!(warnings.len(), 21);
    assert_eq!(
        warnings[0],
        "services[0]: ignored: 480 more unknown keys in this mapping"
    );
    let keys: String = (0..1001).map(|index| format!(", k{index}: 1")).collect();
    assert_error(
        &format!("services: [{{ key: a, systemd: b{keys} }}]"),
        "981 more unknown keys in this mapping",
    );
}
