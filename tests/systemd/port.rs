//! Port checks on a machine with a real systemd: units, socket activation, and few privileges. The command `check` runs in the
//! machine, whose network namespace it sees.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::systemd::Machine;

/// How long a test waits on a busy machine before it fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// The exporter without privileges, as its unit starts it.
const UNPRIVILEGED: &str = "systemd-run --quiet --wait --pipe -p User=nobody -p NoNewPrivileges=yes";

const CONFIG: &str = "
services:
  - key: ports
    checks:
      - { name: unit, kind: port, port: 5000, unit: port-web }
      - { name: unit_and_name, kind: port, port: 5000, unit: port-web, process: python3 }
      - { name: wrong_unit, kind: port, port: 5000, unit: port-other, range: 5000-5009 }
      - { name: user, kind: port, port: 5000, user: root }
      - { name: socket_unit, kind: port, port: 5001, unit: port-act.socket }
      - { name: activated_unit, kind: port, port: 5001, unit: port-act.service }
      - { name: free, kind: port, port: 5002, expect: free }
";

/// The status and the message of every check.
type Results = BTreeMap<String, (String, String)>;

/// A machine with a service that listens, and one that systemd starts on the first connection.
struct Stage(&'static Machine);

impl Stage {
    fn new() -> Self {
        let machine = Machine::shared();
        machine.write_unit(
            "port-web.service",
            "[Service]\nExecStart=/usr/bin/python3 -m http.server --directory /run/shared 5000\n",
        );
        machine.write_unit("port-act.socket", "[Socket]\nListenStream=0.0.0.0:5001\n");
        machine.write_unit("port-act.service", "[Service]\nExecStart=/bin/sleep infinity\n");
        let shared = machine.shared_directory();
        fs::write(shared.join("ports.yml"), CONFIG).unwrap();
        fs::copy(
            env!("CARGO_BIN_EXE_upkeep_exporter"),
            shared.join("port-exporter"),
        )
        .unwrap();
        machine.run("systemctl stop port-act.service; systemctl start port-web.service port-act.socket");
        let stage = Self(machine);
        let began = Instant::now();
        while stage.check("")["user"].0 != "up" {
            assert!(began.elapsed() < PATIENCE, "python3 does not listen");
        }
        stage
    }

    /// Runs all checks, with a command before that of the exporter.
    fn check(&self, before: &str) -> Results {
        let output = self.0.try_run(&format!(
            "{before} /run/shared/port-exporter check -o json --config.file=/run/shared/ports.yml"
        ));
        let document: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
        let checks = document["services"][0]["checks"].as_array().unwrap();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        checks
            .iter()
            .map(|check| {
                (
                    text(&check["name"]),
                    (text(&check["status"]), text(&check["message"])),
                )
            })
            .collect()
    }
}

/// Asserts the status of a check, and parts of its message.
fn assert_result(results: &Results, name: &str, status: &str, parts: &[&str]) {
    let (found, message) = &results[name];
    assert_eq!(found, status, "{name}: {message}");
    for part in parts {
        assert!(message.contains(part), "{name}: {message}");
    }
}

#[test]
fn units_hold_ports_with_and_without_privileges() {
    let stage = Stage::new();
    let results = stage.check("");
    for up in ["unit", "unit_and_name", "user", "socket_unit", "free"] {
        assert_result(&results, up, "up", &[]);
    }
    assert_result(
        &results,
        "wrong_unit",
        "down",
        &[
            "tcp *:5000 is held by another program: tcp 0.0.0.0:5000 by python3 (pid ",
            "user root, unit port-web.service); expected unit port-other.service; the next free port of 5000-5009 is 5002",
        ],
    );
    assert_result(
        &results,
        "activated_unit",
        "down",
        &[
            "by systemd (pid 1, user root, unit port-act.socket)",
            "systemd opened it for port-act.socket: add that to unit",
        ],
    );

    // The unit is known from the control group in which the socket was opened.
    let results = stage.check(UNPRIVILEGED);
    for up in ["unit", "user", "socket_unit", "free"] {
        assert_result(&results, up, "up", &[]);
    }
    assert_result(
        &results,
        "wrong_unit",
        "down",
        &["by an unknown process (user root, unit port-web.service)"],
    );
    assert_result(&results, "unit_and_name", "degraded", &["CAP_SYS_PTRACE"]);
    assert_result(
        &results,
        "activated_unit",
        "degraded",
        &["can't verify who holds tcp *:5001", "add that to unit"],
    );

    // Without sock_diag, /proc/net is read, which does not contain control groups.
    let no_netlink = format!("{UNPRIVILEGED} -p 'RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX'");
    let results = stage.check(&no_netlink);
    for up in ["user", "free"] {
        assert_result(&results, up, "up", &[]);
    }
    assert_result(&results, "unit", "degraded", &["allow AF_NETLINK"]);

    stage
        .0
        .run("python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", 5001))'");
    let began = Instant::now();
    loop {
        let results = stage.check("");
        if results["activated_unit"].0 == "up" {
            assert_result(&results, "socket_unit", "up", &[]);
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{results:?}");
    }
    stage
        .0
        .run("systemctl stop port-web.service port-act.socket port-act.service");
    let results = stage.check("");
    assert_result(
        &results,
        "unit",
        "down",
        &["tcp *:5000 is not held: nothing listens on it"],
    );
}
