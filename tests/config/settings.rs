//! Tests of the settings that a configuration resolves to.

use std::time::Duration;

use upkeep_exporter::config::{CheckSettings, Config, KindSettings, Loaded, Service, parse};
use upkeep_exporter::model::{Severity, Tier};

/// Files that load, some of them unusual.
pub const VALID: [&str; 10] = [
    "services: [{ key: a, port: 1 }]",
    "\u{feff}services: [{ key: a, port: 1 }]",
    "---\r\nservices:\r\n  - key: a\r\n    port: 1\r\n...\r\n",
    "defaults:\ntiers:\nmodules:\nservices: [{ key: a, port: 1, checks: , url: ~, thresholds: {} }]",
    "services: [{ key: a, process_match: worker }]",
    "services: [{ key: a, process_match: [y, on, no] }]",
    "services: [{ key: a, url: http://a/, expected_http: 204, host: b, port: 2, systemd: c, process_match: d }]",
    "tiers: { tolerant: { interval: 1m } }\nservices: [{ key: a, tier: tolerant, port: 1 }]",
    "services: [{ key: a, checks: [{ kind: process, user: 0, match: x, severity: warning }] }]",
    "services: [{ key: a, checks: [{ kind: systemd, unit: a.timer, expect: [inactive], start_grace: 1m }] }]",
];

pub fn loaded(text: &str) -> Loaded {
    parse(text, "a.yml").unwrap_or_else(|error| panic!("{text}\n{error}"))
}

pub fn service(text: &str) -> Service {
    Service::clone(&loaded(text).config.services[0])
}

pub fn check(text: &str) -> CheckSettings {
    CheckSettings::clone(&service(text).checks[0])
}

fn seconds(durations: [Duration; 3]) -> [f64; 3] {
    durations.map(|duration| duration.as_secs_f64())
}

#[test]
fn unusual_files_load() {
    for text in VALID {
        assert_eq!(loaded(text).config.services.len(), 1, "{text}");
    }
}

#[test]
fn missing_keys_have_built_in_defaults() {
    let service = service("services: [{ key: a, checks: [{ kind: tcp, address: \"b:1\" }] }]");
    assert_eq!(
        (service.name.as_str(), service.group.as_str(), service.tier),
        ("a", "default", Tier::Critical)
    );
    let tolerance = service.tolerance;
    assert_eq!(
        seconds([tolerance.down, tolerance.degraded, tolerance.slow]),
        [30.0, 60.0, 120.0]
    );
    let check = &service.checks[0];
    assert_eq!(
        seconds([check.interval, check.timeout, check.recheck_interval]),
        [15.0, 10.0, 5.0]
    );
    assert_eq!(check.thresholds.degraded, Duration::from_secs(1));
    assert_eq!(check.thresholds.down, Duration::from_secs(5));
    assert_eq!((check.failures_before_down, check.successes_before_up), (1, 2));
    assert_eq!((check.name.as_str(), check.severity), ("tcp", Severity::Critical));
}

#[test]
fn check_overrides_service_overrides_tier_overrides_defaults() {
    let levels = [
        ("defaults: { timeout: 4s }\n", ""),
        ("tiers: { critical: { timeout: 3s } }\n", ""),
        ("", ", timeout: 2s"),
    ];
    for without in 0..8_u32 {
        let written = |bit: u32| without & (1 << bit) == 0;
        let top: String = levels
            .iter()
            .zip(0..)
            .filter(|(_, bit)| written(*bit))
            .map(|(level, _)| level.0)
            .collect();
        let of_service = if written(2) { levels[2].1 } else { "" };
        for (of_check, nearest) in [(", timeout: 1s", Some(1)), ("", None)] {
            let text = format!(
                "{top}services: [{{ key: a{of_service}, checks: [{{ kind: tcp, address: \"b:1\"{of_check} }}] }}]"
            );
            let levels = [(2, 2), (1, 3), (0, 4)]
                .into_iter()
                .find(|(bit, _)| written(*bit));
            let expected = nearest.or(levels.map(|(_, seconds)| seconds)).unwrap_or(10);
            assert_eq!(check(&text).timeout, Duration::from_secs(expected), "{text}");
        }
    }
}

#[test]
fn each_threshold_and_tolerance_is_inherited_separately() {
    let text = "defaults: { thresholds: { down: 4s }, tolerance: { slow: 9s } }
tiers: { tolerant: { tolerance: { down: 7s } } }
services: [{ key: a, tier: tolerant, tolerance: { degraded: 8s }, port: 1, thresholds: { degraded: 2s } }]";
    let service = service(text);
    let tolerance = service.tolerance;
    assert_eq!(
        seconds([tolerance.down, tolerance.degraded, tolerance.slow]),
        [7.0, 8.0, 9.0]
    );
    let thresholds = service.checks[0].thresholds;
    assert_eq!((thresholds.degraded.as_secs(), thresholds.down.as_secs()), (2, 4));
}

#[test]
fn the_tolerant_tier_has_longer_built_in_tolerances() {
    let tolerance = service("services: [{ key: a, tier: tolerant, port: 1 }]").tolerance;
    assert_eq!(
        seconds([tolerance.down, tolerance.degraded, tolerance.slow]),
        [120.0, 120.0, 120.0]
    );
}

#[test]
fn a_shorter_interval_shortens_the_recheck_interval() {
    let text = "services: [{ key: a, interval: 1s, port: 1 }]";
    assert_eq!(check(text).recheck_interval, Duration::from_secs(1));
    let text = "defaults: { recheck_interval: 4s }\nservices: [{ key: a, interval: 1s, port: 1 }]";
    assert_eq!(check(text).recheck_interval, Duration::from_secs(1));
}

#[test]
fn unnamed_checks_are_numbered_and_skip_names_in_use() {
    let text = "services:
  - key: a
    port: 9
    checks:
      - { kind: tcp, address: \"b:1\" }
      - { kind: tcp, address: \"b:2\", name: tcp_3 }
      - { kind: systemd, unit: b.service }
      - { kind: tcp, address: \"b:3\" }";
    let names: Vec<_> = service(text)
        .checks
        .iter()
        .map(|check| check.name.to_string())
        .collect();
    assert_eq!(names, ["tcp", "tcp_2", "tcp_3", "systemd", "tcp_4"]);
}

#[test]
fn scalars_are_literal_where_a_text_is_expected() {
    let text = "services: [{ key: 007, name: on, group: 1e3, description: 0x10, port: 0x10 }]";
    let service = service(text);
    let texts = [
        service.key.as_str(),
        &service.name,
        &service.group,
        &service.description,
    ];
    assert_eq!(texts, ["007", "on", "1e3", "0x10"]);
    assert_eq!(service.checks[0].kind.target(), "127.0.0.1:16");
    let words = "services: [{ key: y, checks: [{ kind: process, match: [y, no, ~x, 1_000, 12:30:00] }] }]";
    let KindSettings::Process(process) = &check(words).kind else {
        panic!()
    };
    assert_eq!(process.matches, ["y", "no", "~x", "1_000", "12:30:00"]);
}

#[test]
fn anchors_aliases_and_merge_keys_work() {
    let text = "services:
  - &base
    key: a
    tier: tolerant
    port: 1
    thresholds: &fast { degraded: 100ms, down: 200ms }
  - <<: *base
    key: b
    port: 2
  - { <<: [{ group: g }, *base], key: c, thresholds: { <<: *fast, down: 300ms } }";
    let config = loaded(text).config;
    let resolved: Vec<_> = config
        .services
        .iter()
        .map(|service| {
            let check = &service.checks[0];
            (
                service.key.as_str(),
                &*service.group,
                service.tier,
                check.kind.target(),
                check.thresholds.down.as_millis(),
            )
        })
        .collect();
    assert_eq!(
        resolved[0],
        ("a", "default", Tier::Tolerant, "127.0.0.1:1".to_owned(), 200)
    );
    assert_eq!(
        resolved[1],
        ("b", "default", Tier::Tolerant, "127.0.0.1:2".to_owned(), 200)
    );
    assert_eq!(
        resolved[2],
        ("c", "g", Tier::Tolerant, "127.0.0.1:1".to_owned(), 300)
    );
}

#[test]
fn a_threshold_beyond_the_timeout_is_one_warning() {
    let text = "defaults: { timeout: 2s }
services:
  - { key: a, checks: [{ kind: tcp, address: \"b:1\" }, { kind: systemd, unit: c.service }] }
  - { key: b, checks: [{ kind: tcp, address: \"b:1\" }] }
  - { key: c, port: 1 }
  - { key: d, checks: [{ kind: systemd, unit: c.service, thresholds: { down: 3s } }] }";
    let warnings: Vec<_> = loaded(text).warnings.iter().map(ToString::to_string).collect();
    let expected = "a.yml:1:22: warning: defaults.timeout: thresholds.down (5s, built in) is not below the timeout (2s, from \
                    defaults): slow responses will fail with a timeout";
    assert_eq!(warnings, [expected]);
}

#[test]
fn redundancy_without_an_effect_is_a_warning() {
    let text =
        "services: [{ key: a, requires: any, port: 1 }, { key: b, any_of: 1, url: http://b/, port: 1 }]";
    let loaded = loaded(text);
    let warnings: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
    let expected = "a.yml:1:32: warning: services[0].requires: no effect: the service has one check of severity critical; add checks or \
                    remove this key";
    assert_eq!(warnings, [expected]);
    let services = &loaded.config.services;
    assert_eq!((services[0].any_of, services[1].any_of), (Some(1), Some(1)));
    assert_eq!(
        (services[0].checks_until_down(), services[1].checks_until_down()),
        (1, 2)
    );
}

/// The checks of a dependency run at once when a service fails. Only a slow check is too late.
#[test]
fn a_dependency_that_is_detected_too_late_is_a_warning() {
    let text = "services:
  - { key: api, depends_on: [db, cache], port: 1 }
  - { key: cache, port: 1, interval: 1h }
  - { key: db, checks: [{ kind: tcp, address: 'a:1', timeout: 6s, failures_before_down: 6 }] }
";
    let warnings: Vec<_> = loaded(text).warnings.iter().map(ToString::to_string).collect();
    let expected = "a.yml:2:30: warning: services[0].depends_on[0]: an alert may start before db is known to be down: detecting that may \
                    take 36s, and the tolerance is 30s; lower timeout or failures_before_down of db, or raise tolerance.down here";
    assert_eq!(warnings, [expected]);
    assert!(
        loaded(&text.replace("failures_before_down: 6", "failures_before_down: 5"))
            .warnings
            .is_empty()
    );
}

/// A redundant service is down when its last check is.
#[test]
fn the_detection_of_a_redundant_dependency_takes_as_many_checks_as_take_it_down() {
    let text = "services:
  - { key: api, depends_on: [db], port: 1 }
  - { key: db, any_of: 1, checks: [{ kind: tcp, name: a, address: 'a:1' }, { kind: tcp, name: b, address: 'b:1', timeout: 31s, interval: 1m }] }
";
    let warnings = loaded(text).warnings;
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let warning = warnings[0].to_string();
    assert!(warning.contains("that may take 31s"), "{warning}");
    assert!(loaded(&text.replace("any_of: 1, ", "")).warnings.is_empty());
}

#[test]
fn equal_files_resolve_to_equal_configurations() {
    let text = "services: [{ key: a, port: 1 }, { key: b, depends_on: [a], url: http://c/ }]";
    assert_eq!(loaded(text).config, loaded(&text.replace(", ", ",  ")).config);
    for (from, to) in [
        ("port: 1", "port: 2"),
        ("http://c/", "http://d/"),
        ("[a]", "[]"),
        ("depends_on:", "requires: any, depends_on:"),
        ("key: b", "key: c"),
    ] {
        assert_ne!(
            loaded(text).config,
            loaded(&text.replace(from, to)).config,
            "{from} {to}"
        );
    }
}

#[test]
fn bytes_that_are_not_utf8_are_reported_with_their_position() {
    let error = |bytes: &[u8]| {
        upkeep_exporter::config::parse_bytes(bytes, "a.yml")
            .unwrap_err()
            .errors[0]
            .to_string()
    };
    assert_eq!(
        error(b"a: b\nc: \xc3\xa9\xff"),
        "a.yml:2:5: this byte is not UTF-8: save the file as UTF-8"
    );
    assert_eq!(
        error(b"\xff\xfea\0"),
        "a.yml: the file is UTF-16: save it as UTF-8"
    );
}

#[test]
fn a_file_that_cannot_be_read_is_reported_by_its_name() {
    let error = upkeep_exporter::config::load("/nonexistent/upkeep.yml".as_ref())
        .unwrap_err()
        .to_string();
    let expected = "/nonexistent/upkeep.yml: reading the configuration file: No such file or directory (os error 2)\n\
                    1 error in /nonexistent/upkeep.yml";
    assert_eq!(error, expected);
}

#[test]
fn the_first_hundred_errors_are_shown_and_the_others_counted() {
    let text = format!("services:\n{}", "  - { key: A, port: 1 }\n".repeat(250));
    let error = parse(&text, "a.yml").unwrap_err();
    assert_eq!(error.errors.len(), 250);
    let shown = error.to_string();
    assert_eq!(shown.lines().count(), 102);
    assert!(
        shown.ends_with("... and 150 more\n250 errors in a.yml"),
        "{shown}"
    );
}

#[test]
fn ten_thousand_services_with_four_checks_each_load() {
    let mut text = String::from("services:\n");
    for index in 0..10_000 {
        text += &format!(
            "  - key: service_{index}\n    name: Service {index}\n    group: group_{}\n    depends_on: [service_{}]\n    \
             checks:\n      - kind: http\n        url: http://127.0.0.1:{}/health\n        valid_status_codes: [200]\n      \
             - {{ kind: tcp, address: \"127.0.0.1:{}\" }}\n      - {{ kind: systemd, unit: service-{index}.service }}\n      \
             - {{ kind: process, match: [gunicorn, \"main:app\"], min: 1 }}\n",
            index % 50,
            if index == 0 { 9_999 } else { index / 2 },
            1024 + index,
            1024 + index,
        );
    }
    // The first service must not depend on the last: that would be a cycle.
    let text = text.replacen("depends_on: [service_9999]", "depends_on: []", 1);
    let text = text.replacen("depends_on: [service_0]", "depends_on: []", 1);
    let started = super::limits::thread_time();
    let Config { services, .. } = loaded(&text).config;
    let took = super::limits::thread_time() - started;
    println!("{} kB with 10,000 services: {took:?}", text.len() / 1000);
    assert!(took < super::limits::MAX_TIME, "{took:?} of CPU time");
    assert_eq!(services.len(), 10_000);
    assert!(services.iter().all(|service| service.checks.len() == 4));
}
