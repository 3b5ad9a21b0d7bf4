//! Options of port checks, and their errors.

use serde_json::json;

use super::*;
use crate::config::KindFacts;
use crate::config::tests_support::resolve_json;

fn resolve(json: serde_json::Value) -> Result<PortSettings, Vec<String>> {
    resolve_json(json, PortOptions::resolve)
}

fn parse_error(json: serde_json::Value) -> String {
    serde_json::from_value::<PortOptions>(json)
        .unwrap_err()
        .to_string()
}

#[test]
fn a_port_suffices() {
    let settings = resolve(json!({"port": 8080})).unwrap();
    assert_eq!(settings.target(), "tcp *:8080");
    assert_eq!(settings.expect, Expect::Held);
    assert!(!settings.is_target_shortened());
}

#[test]
fn targets_have_the_notation_of_ss() {
    for (address, target) in [
        ("127.0.0.1", "udp 127.0.0.1:53"),
        ("::1", "udp [::1]:53"),
        ("[::]", "udp [::]:53"),
        ("::ffff:192.0.2.1", "udp 192.0.2.1:53"),
    ] {
        let settings = resolve(json!({"port": 53, "protocol": "udp", "address": address})).unwrap();
        assert_eq!(settings.target(), target);
    }
}

#[test]
fn all_keys_are_resolved() {
    let settings = resolve(json!({
        "port": 443,
        "unit": ["nginx", "nginx.socket"],
        "user": "root",
        "exe": "/usr/sbin/nginx",
        "process": "nginx",
        "range": "8443 - 8449",
    }))
    .unwrap();
    assert_eq!(settings.units, ["nginx.service", "nginx.socket"]);
    assert_eq!(settings.user, Some(User::Name("root".to_owned())));
    assert_eq!(
        settings.range.as_ref().map(ToString::to_string).unwrap(),
        "8443-8449"
    );
    assert_eq!(settings.range.as_ref().unwrap().ports().count(), 7);
    assert!(settings.is_target_shortened());
}

#[test]
fn all_errors_are_reported_at_once() {
    let errors = resolve(json!({
        "port": 65536,
        "address": "localhost",
        "unit": ["a", "b/c"],
        "user": "",
        "exe": "nginx",
        "process": "a-name-that-is-too-long",
    }));
    assert_eq!(
        errors.unwrap_err(),
        [
            "port: 65536 is not a port: write 1 to 65535",
            "address: not an IP address: write an address of this machine without a port, such as 127.0.0.1 or \"::1\"",
            "unit[1]: \"b/c\" is not the name of a unit because of '/': for the unit of a path, use the output of \
             `systemd-escape --path --suffix=mount PATH`",
            "user: not a user: write a name as in /etc/passwd, or a number",
            "exe: \"nginx\" is not an absolute path: write the whole path, such as /usr/sbin/nginx, or use process",
            "process: 23 bytes long, but Linux truncates the names of processes to 15 bytes: write the name as in \
             /proc/PID/comm, or use exe",
        ]
    );
}

#[test]
fn a_free_port_has_no_holder() {
    let errors = resolve(json!({"port": 0, "expect": "free", "unit": "a", "process": " "}));
    assert_eq!(
        errors.unwrap_err(),
        [
            "unit: a free port has no holder: remove this key, or remove expect: free",
            "process: a free port has no holder: remove this key, or remove expect: free",
            "port: 0 is not a port: write 1 to 65535",
            "process: blank: write the name of a process, such as nginx",
        ]
    );
    assert_eq!(
        resolve(json!({"port": 9, "expect": "free"})).unwrap().expect,
        Expect::Free
    );
}

#[test]
fn a_port_and_units_are_required_where_given() {
    assert_eq!(
        resolve(json!({"unit": []})).unwrap_err(),
        [
            ": port is missing: write the port to check, such as port: 8080",
            "unit: empty list: write at least one unit, or remove this key",
        ]
    );
}

#[test]
fn ranges_are_validated() {
    for text in ["8080", "0-9", "1-65536", "a-b", "", "-", "1-2-3", "8080:8099"] {
        let error = parse_error(json!({"port": 1, "range": text}));
        assert!(
            error.contains(&format!("\"{text}\" is not a range of ports: write two ports")),
            "{error}"
        );
    }
    let error = parse_error(json!({"port": 1, "range": "9-8"}));
    assert!(
        error.contains("9 is greater than 8: write the lower port first, as in 8-9"),
        "{error}"
    );
}
