//! Tests of the units that a rule allows, and of the warnings about those that it does not.

use std::fs;
use std::os::unix::fs::symlink;

use super::*;

const SERVICES: &str = r#"
services:
  - key: web
    name: Web shop
    checks:
      - { kind: systemd, unit: nginx }
      - { kind: systemd, unit: 'worker@a\x2db', name: worker }
      - { kind: tcp, address: "127.0.0.1:80" }
  - key: backup
    checks:
      - { kind: systemd, unit: backup.timer, bus_address: "unix:path=/run/dbus/system_bus_socket" }
      - { kind: systemd, unit: nginx.service, name: again }
  - key: desktop
    checks: [{ kind: systemd, unit: sync.service, bus_address: "unix:path=/run/user/1000/bus" }]
"#;

fn collect(words: &[&str]) -> Result<Units, String> {
    let loaded = config::parse(SERVICES, "upkeep.yml").unwrap();
    let words: Vec<String> = words.iter().map(ToString::to_string).collect();
    Units::collect(&loaded.config, &words)
}

fn allowed(words: &[&str]) -> Vec<String> {
    collect(words).unwrap().allowed.into_iter().collect()
}

#[test]
fn the_units_of_the_selected_services_are_allowed() {
    let worker = "worker@a\\x2db.service";
    assert_eq!(allowed(&[]), ["backup.timer", "nginx.service", worker]);
    assert_eq!(allowed(&["web shop"]), ["nginx.service", worker]);
    assert_eq!(allowed(&["backup", "desktop"]), ["backup.timer", "nginx.service"]);
    assert_eq!(
        collect(&["webb"]).unwrap_err(),
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
    assert_eq!(
        collect(&["web", "desktop"]).unwrap().warnings(root.path()),
        [
            "the rule does not contain sync.service: its bus is unix:path=/run/user/1000/bus, not the system bus",
            "nginx.service is an alias of openresty.service on this machine: polkit compares openresty.service with the rule, so \
             write openresty.service in the check",
        ]
    );
    assert_eq!(
        collect(&["desktop"]).unwrap().warnings(root.path())[1..],
        ["the rule allows nothing: no selected service has a systemd check"]
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
