//! A whole configuration file of ChatStack's monitor loads unchanged.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use upkeep_exporter::config::{Config, KindSettings, load, parse};

use super::validate::validate;

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/chatstack.yml")
}

fn config(text: &str) -> Config {
    let text = format!("{text}\nservices: [{{ key: a, port: 1 }}]");
    parse(&text, "a.yml")
        .unwrap_or_else(|error| panic!("{text}\n{error}"))
        .config
}

fn error(text: &str) -> String {
    let text = format!("{text}\nservices: [{{ key: a, port: 1 }}]");
    parse(&text, "a.yml").unwrap_err().to_string()
}

#[test]
fn every_service_has_the_checks_it_had() {
    let loaded = load(&file()).unwrap_or_else(|error| panic!("{error}"));
    let services = loaded.config.services.iter().map(|service| {
        let checks = service.checks.iter();
        let checks =
            checks.map(|check| format!("{} {} {:?}", check.name, check.kind.target(), check.timeout));
        (service.name.as_str(), checks.collect::<Vec<_>>())
    });
    let found: Vec<_> = services.collect();
    let expected = [
        (
            "ChatStack Web",
            vec![
                "http http://127.0.0.1:5000/health 3s",
                "tcp 127.0.0.1:5000 1s",
                "systemd chatstack-web.service 10s",
                "process gunicorn,main:app 10s",
            ],
        ),
        (
            "ChatStack Worker",
            vec![
                "systemd chatstack-worker.service 10s",
                "process celery worker 10s",
            ],
        ),
        (
            "ChatStack in a container",
            vec!["http http://127.0.0.1:5001/health 3s", "docker chatstack-web 10s"],
        ),
        ("Remote API", vec!["http https://api.example.org/status 3s"]),
    ];
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!((found.0, found.1.iter().map(String::as_str).collect()), *expected);
    }
}

#[test]
fn its_timing_settings_are_equivalent() {
    let loaded = load(&file()).unwrap();
    for service in &loaded.config.services {
        // The third failure in a row comes two intervals after the first.
        assert_eq!(service.tolerance.down, Duration::from_secs(60));
        assert_eq!(service.tolerance.degraded, Duration::from_secs(60));
        for check in &service.checks {
            assert_eq!(check.interval, Duration::from_secs(30));
            assert_eq!(check.recheck_interval, Duration::from_secs(5));
            assert_eq!(check.failures_before_down, 3);
        }
    }
}

#[test]
fn check_config_prints_warnings_about_ignored_keys() {
    let output = Command::new(env!("CARGO_BIN_EXE_upkeep_exporter"))
        .args(["check-config".as_ref(), file().as_os_str()])
        .output()
        .unwrap();
    let name = file().display().to_string();
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        format!(
            "{name}:8:28: warning: monitor.alerts.recovery_notification: ignored: set send_resolved: true in a receiver of \
             Alertmanager, as the shipped configuration does\n\
             {name}:11:3: warning: logging: ignored: use the flags --log.level and --log.format\n\
             {name}:32:16: warning: services[2].container: this check has severity warning, so a failure only degrades the \
             service: for severity critical, add a check of kind docker to checks\n"
        )
    );
    assert!(String::from_utf8(output.stdout).unwrap().starts_with(&name));
    assert!(output.status.success());
}

#[test]
fn it_conforms_to_the_schema() {
    use upkeep_exporter::config::yaml;
    let text = std::fs::read_to_string(file()).unwrap();
    let tree = yaml::from_node(&yaml::parse(&text).0.unwrap()).unwrap();
    assert_eq!(validate(&tree), Vec::<String>::new());
}

#[test]
fn each_key_of_monitor_has_an_equivalent_setting() {
    for (old, new) in [
        ("monitor:", "defaults: {}"),
        ("monitor: { check_interval: 60 }", "defaults: { interval: 60s }"),
        (
            "monitor: { check_interval: 0.5 }",
            "defaults: { interval: 500ms }",
        ),
        ("monitor: { check_interval: 2.0 }", "defaults: { interval: 2s }"),
        (
            "monitor: { retry_attempts: 0 }",
            "defaults: { failures_before_down: 1 }",
        ),
        (
            "monitor: { retry_attempts: 3 }",
            "defaults: { failures_before_down: 4 }",
        ),
        (
            "monitor: { retry_delay: 2 }",
            "defaults: { recheck_interval: 2s }",
        ),
        (
            "monitor: { retry_delay: 0 }",
            "defaults: { recheck_interval: 100ms }",
        ),
        (
            "monitor: { retry_delay: 60 }",
            "defaults: { recheck_interval: 15s }",
        ),
        (
            "monitor: { check_interval: 60, alerts: { consecutive_failures: 1 } }",
            "defaults: { interval: 1m, tolerance: { down: 0s } }",
        ),
        (
            "monitor: { alerts: { consecutive_failures: 5 } }",
            "defaults: { tolerance: { down: 1m } }",
        ),
        // A tier overrides monitor.
        (
            "monitor: { check_interval: 60 }\ntiers: { critical: { interval: 5s } }",
            "tiers: { critical: { interval: 5s } }",
        ),
        (
            "monitor: { check_interval: 60 }\ndefaults: { timeout: 2s, interval: }",
            "defaults: { timeout: 2s, interval: 1m }",
        ),
    ] {
        assert_eq!(config(old), config(new), "{old}");
    }
}

#[test]
fn a_key_of_monitor_conflicts_with_its_equivalent() {
    for (text, key, setting) in [
        (
            "monitor: { check_interval: 60 }\ndefaults: { interval: 60s }",
            "check_interval",
            "interval",
        ),
        (
            "monitor: { retry_attempts: 1 }\ndefaults: { failures_before_down: 2 }",
            "retry_attempts",
            "failures_before_down",
        ),
        (
            "monitor: { retry_delay: 1 }\ndefaults: { recheck_interval: 1s }",
            "retry_delay",
            "recheck_interval",
        ),
        (
            "monitor: { alerts: { consecutive_failures: 1 } }\ndefaults: { tolerance: { down: 1s } }",
            "alerts.consecutive_failures",
            "tolerance.down",
        ),
    ] {
        let message = error(text);
        let expected = format!("monitor.{key}: conflicts with defaults.{setting}: remove one of the two");
        assert!(message.contains(&expected), "{text}\n{message}");
    }
}

#[test]
fn only_monitor_has_numbers_without_a_unit() {
    assert!(error("defaults: { interval: 30 }").contains("not a duration"));
    assert!(error("monitor: { check_interval: 30s }").contains("monitor.check_interval"));
}

#[test]
fn unsupported_keys_of_monitor_are_warnings_and_misspelt_keys_are_errors() {
    let text = "monitor: { check_interval: 60, auto_restart: true, alerts: { cooldown: 300, consecutive_failures: 2 }, \
                status_file: /var/lib/chatstack/status.json }\nservices: [{ key: a, port: 1 }]";
    let loaded = parse(text, "old.yml").unwrap();
    let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "old.yml:1:46: warning: monitor.auto_restart: ignored: the supported keys of monitor are check_interval, \
             retry_attempts, retry_delay, alerts",
            "old.yml:1:72: warning: monitor.alerts.cooldown: ignored: the supported keys of monitor.alerts are \
             consecutive_failures, recovery_notification",
            "old.yml:1:117: warning: monitor.status_file: ignored: the supported keys of monitor are check_interval, \
             retry_attempts, retry_delay, alerts",
        ]
    );
    let service = &loaded.config.services[0];
    assert_eq!(service.checks[0].interval, Duration::from_secs(60));
    assert_eq!(service.tolerance.down, Duration::from_secs(60));

    for (misspelt, meant) in [
        ("chek_interval: 60", "check_interval"),
        ("alerts: { consecutive_failure: 2 }", "consecutive_failures"),
    ] {
        let error = error(&format!("monitor: {{ {misspelt} }}"));
        assert!(
            error.contains(&format!("unknown key: did you mean {meant}?")),
            "{error}"
        );
    }
}

#[test]
fn empty_keys_of_the_short_form_are_ignored_with_a_warning() {
    let text = "services: [{ key: a, url: http://a/, host: \"\", systemd: \"\", container: '', process_match: [] }, \
                { key: b, url: \"\", port: 1 }]";
    let loaded = parse(text, "old.yml").unwrap();
    let paths: Vec<&str> = loaded
        .warnings
        .iter()
        .map(|warning| warning.path.as_str())
        .collect();
    assert_eq!(
        paths,
        [
            "services[0].host",
            "services[0].systemd",
            "services[0].container",
            "services[0].process_match",
            "services[1].url"
        ]
    );
    let kinds: Vec<_> = loaded
        .config
        .services
        .iter()
        .map(|service| {
            service
                .checks
                .iter()
                .map(|check| check.name.as_str())
                .collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(kinds, [["http"], ["tcp"]]);
}

#[test]
fn an_expected_redirect_is_not_followed() {
    for (status, follows) in [(301, false), (302, false), (399, false), (200, true), (404, true)] {
        let text = format!("services: [{{ key: a, url: http://a/, expected_http: {status} }}]");
        let loaded = parse(&text, "old.yml").unwrap();
        let KindSettings::Http(http) = &loaded.config.services[0].checks[0].kind else {
            panic!("no http check");
        };
        assert_eq!(http.max_redirects.is_some(), follows, "{status}");
    }
}

#[test]
fn consecutive_failures_are_multiplied_by_the_interval_of_the_file() {
    let monitor = "monitor: { alerts: { consecutive_failures: 3 } }";
    for (defaults, expected) in [
        ("", 30),
        ("defaults: { interval: 60s }", 120),
        ("defaults: { timeout: 5s }", 30),
    ] {
        let config = config(&format!("{monitor}\n{defaults}"));
        assert_eq!(
            config.services[0].tolerance.down,
            Duration::from_secs(expected),
            "{defaults}"
        );
    }
}

#[test]
fn words_of_yaml_1_1_are_booleans_where_one_is_expected() {
    let config = config("monitor: { alerts: { recovery_notification: yes } }");
    assert_eq!(config.services.len(), 1);
    let text = "services: [{ key: a, name: yes, checks: [{ kind: http, url: http://a/, fail_if_ssl: on }] }]";
    let service = &parse(text, "new.yml").unwrap().config.services[0];
    assert_eq!(service.name, "yes");
}

#[test]
fn invalid_urls_are_errors() {
    for (url, message) in [
        ("/health", "not a URL (empty host)"),
        (
            "'${API_URL}'",
            "the host contains $, { or }: replace the variable by its value",
        ),
        ("'http://{{ host }}/'", "not a URL"),
    ] {
        let text = format!("services: [{{ key: a, url: {url} }}]");
        let error = parse(&text, "old.yml").unwrap_err().to_string();
        assert!(
            error.contains("services[0].url") && error.contains(message),
            "{error}"
        );
    }
}
