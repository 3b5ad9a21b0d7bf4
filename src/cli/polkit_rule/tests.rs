//! Tests of the units that a rule allows, and of the warnings about those that it does not.

use std::fs;
use std::os::unix::fs::symlink;

use clap::Parser;

use super::*;

const SERVICES: &str = r#"
services:
  - key: web
    name: Web shop
    heal: { mode: act, unit: nginx }
    checks:
      - { kind: systemd, unit: nginx }
      - { kind: systemd, unit: 'worker@a\x2db', name: worker }
      - { kind: tcp, address: "127.0.0.1:80" }
  - key: backup
    checks:
      - { kind: systemd, unit: backup.timer, bus_address: "unix:path=/run/dbus/system_bus_socket" }
      - { kind: systemd, unit: nginx.service, name: again }
  - key: desktop
    heal: { mode: act }
    checks: [{ kind: systemd, unit: sync.service, bus_address: "unix:path=/run/user/1000/bus" }]
  - { key: spool, heal: { mode: act, action: start }, checks: [{ kind: systemd, unit: spool.path }] }
  - { key: trial, heal: { mode: dry-run }, checks: [{ kind: systemd, unit: trial.service }] }
  - { key: cache, heal: { mode: act }, checks: [{ kind: systemd, unit: redis.service }] }
  - key: queue
    heal: { mode: act, stateful: true }
    checks: [{ kind: systemd, unit: rabbitmq-server.service }]
  - key: script
    heal: { mode: act, action: { command: [/usr/local/bin/fix] } }
    checks: [{ kind: systemd, unit: script.service }]
  - { key: box, heal: { mode: act }, checks: [{ kind: docker, container: box }] }
"#;

/// Collects the actions that these flags select.
fn collect(flags: &[&str]) -> Result<Units, String> {
    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        flags: PolkitRuleFlags,
    }
    let loaded = crate::config::parse(SERVICES, "upkeep.yml").unwrap();
    let line = [&["polkit-rule"], flags].concat();
    Units::collect(&loaded.config, &Line::parse_from(line).flags)
}

/// The actions as in the rule.
fn allowed(flags: &[&str]) -> Vec<String> {
    let allowed = collect(flags).unwrap().allowed.into_iter();
    allowed
        .map(|(unit, verb)| format!("{verb:?} {unit}").to_lowercase())
        .collect()
}

#[test]
fn only_actions_that_heal_units_are_allowed_by_default() {
    assert_eq!(
        allowed(&[]),
        [
            "restart nginx.service",
            "restart rabbitmq-server.service",
            "start spool.path"
        ]
    );
    assert_eq!(
        allowed(&["--verb=start,restart", "--service=web"]),
        ["start nginx.service", "restart nginx.service"]
    );
    for service in ["backup", "trial", "cache", "script", "box"] {
        assert_eq!(allowed(&["--service", service]), [""; 0], "{service}");
    }
}

#[test]
fn all_units_of_the_selected_services_are_allowed_on_request() {
    let worker = "restart worker@a\\x2db.service";
    assert_eq!(
        allowed(&["--all", "--service=web shop", "--verb=restart"]),
        ["restart nginx.service", worker]
    );
    assert_eq!(
        allowed(&["--all", "--service=backup,desktop"]),
        [
            "start backup.timer",
            "restart backup.timer",
            "start nginx.service",
            "restart nginx.service"
        ]
    );
    assert_eq!(
        collect(&["--service=webb"]).unwrap_err(),
        "unknown service webb: did you mean web?"
    );
}

#[test]
fn units_that_the_rule_can_not_allow_cause_warnings() {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("etc/systemd/system");
    fs::create_dir_all(&directory).unwrap();
    symlink(
        "/lib/systemd/system/openresty.service",
        directory.join("nginx.service"),
    )
    .unwrap();
    let warnings = |all, services| {
        let units = collect(&["--service", services]).unwrap();
        units.warnings(all, root.path())
    };
    assert_eq!(
        warnings(false, "web,desktop"),
        [
            "the rule does not contain sync.service: its bus is unix:path=/run/user/1000/bus, not the system bus",
            "nginx.service is an alias of openresty.service on this machine: polkit compares openresty.service with the rule, so \
             write openresty.service in the configuration",
        ]
    );
    assert_eq!(
        warnings(false, "trial"),
        [
            "the rule allows nothing: no selected service heals a unit; set heal: { mode: act } in a service, or use --all to allow \
             all checked units"
        ]
    );
    assert_eq!(
        warnings(true, "box"),
        ["the rule allows nothing: no selected service has a systemd check of the system's manager"]
    );
}

#[test]
fn user_names_can_not_contain_separators() {
    for name in [
        "upkeep",
        "upkeep_exporter",
        "svc-1$",
        "a.b@example.org",
        "DOMAIN\\user",
    ] {
        assert_eq!(user_name(name).as_deref(), Ok(name));
    }
    for name in ["", "a b", "a\nb", "a:b", "a/b", "ü"] {
        assert!(user_name(name).is_err(), "{name:?}");
    }
}
