//! Verdicts about sockets of a port.

use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::check::port_scan::{Coverage, Survey};
use crate::config::port::{PortOptions, Protocol};
use crate::config::tests_support::resolve_json;

fn settings(json: serde_json::Value) -> PortSettings {
    resolve_json(json, PortOptions::resolve).unwrap()
}

/// A socket of user 1000 in /system.slice/a.service, held by process 7 called "a" with the executable /bin/a.
fn held(address: &str) -> HeldSocket {
    HeldSocket {
        socket: Socket {
            protocol: Protocol::Tcp,
            address: address.parse().unwrap(),
            port: 80,
            inode: 1,
            user: 1000,
            is_open: true,
            is_v6_only: None,
            cgroup: None,
            waiting: None,
            backlog: None,
        },
        cgroup: Some("/system.slice/a.service".to_owned()),
        holders: vec![Holder {
            process: 7,
            name: b"a".to_vec(),
            executable: Some(b"/bin/a".to_vec()),
            cgroup: Some("/system.slice/a.service".to_owned()),
        }],
    }
}

/// As an exporter without privileges sees it: no processes of other users.
fn hidden(address: &str) -> HeldSocket {
    HeldSocket {
        holders: Vec::new(),
        ..held(address)
    }
}

const COMPLETE: Coverage = Coverage {
    unreadable: 0,
    is_partial: false,
    is_unsettled: false,
};

const PARTIAL: Coverage = Coverage {
    unreadable: 1,
    is_partial: false,
    is_unsettled: false,
};

/// The verdict's name, and how many sockets it is about.
fn verdict(
    json: serde_json::Value,
    sockets: Vec<HeldSocket>,
    coverage: Option<Coverage>,
) -> (&'static str, usize) {
    let settings = settings(json);
    let executables = settings
        .exe
        .as_ref()
        .map(|path| vec![path.as_os_str().as_encoded_bytes().to_vec()]);
    let answer = Answer {
        sockets,
        survey: Arc::new(Survey {
            coverage,
            ..Survey::default()
        }),
    };
    let criteria = Criteria {
        settings: &settings,
        user: settings
            .user
            .as_ref()
            .map(|user| user.to_string().parse().unwrap()),
        executables: executables.as_deref(),
    };
    let (relevant, verdict) = judge(criteria, &answer);
    match verdict {
        Verdict::Expected => ("expected", relevant.len()),
        Verdict::NotHeld => ("not held", relevant.len()),
        Verdict::NotOpen(sockets) => ("not open", sockets.len()),
        Verdict::OnlySome(sockets) => ("only some", sockets.len()),
        Verdict::Conflict(sockets) => ("conflict", sockets.len()),
        Verdict::Unknown(sockets) => ("unknown", sockets.len()),
    }
}

#[test]
fn any_holder_will_do_without_criteria() {
    assert_eq!(verdict(json!({"port": 80}), vec![], None), ("not held", 0));
    assert_eq!(
        verdict(json!({"port": 80}), vec![hidden("::")], None),
        ("expected", 1)
    );
    let bound = HeldSocket {
        socket: Socket {
            is_open: false,
            ..held("::").socket
        },
        ..held("::")
    };
    assert_eq!(
        verdict(json!({"port": 80}), vec![bound.clone()], None),
        ("not open", 1)
    );
    assert_eq!(
        verdict(json!({"port": 80, "expect": "free"}), vec![bound], None),
        ("conflict", 1)
    );
    assert_eq!(
        verdict(json!({"port": 80, "expect": "free"}), vec![], None),
        ("expected", 0)
    );
}

#[test]
fn every_criterion_must_be_met() {
    let complete = Some(COMPLETE);
    for (criterion, good, bad) in [
        ("user", "1000", "1001"),
        ("unit", "a.service", "b.service"),
        ("exe", "/bin/a", "/bin/b"),
        ("process", "a", "b"),
    ] {
        let with = |value: &str| json!({"port": 80, criterion: value});
        assert_eq!(
            verdict(with(good), vec![held("::")], complete),
            ("expected", 1),
            "{criterion}"
        );
        assert_eq!(
            verdict(with(bad), vec![held("::")], complete),
            ("conflict", 1),
            "{criterion}"
        );
        // One of two sockets (SO_REUSEPORT) belongs to another program.
        let other = HeldSocket {
            socket: Socket {
                user: 1001,
                ..held("::").socket
            },
            cgroup: Some("/b.service".to_owned()),
            holders: vec![Holder {
                process: 8,
                name: b"b".to_vec(),
                executable: Some(b"/bin/b".to_vec()),
                cgroup: Some("/b.service".to_owned()),
            }],
        };
        assert_eq!(
            verdict(with(good), vec![held("::"), other], complete),
            ("conflict", 1),
            "{criterion}"
        );
    }
    let all = json!({"port": 80, "user": 1000, "unit": "a", "exe": "/bin/a", "process": "a"});
    assert_eq!(verdict(all, vec![held("::")], complete), ("expected", 1));
}

#[test]
fn one_process_must_meet_all_criteria() {
    let mut shared = held("::");
    shared.holders[0].name = b"b".to_vec();
    let mut second = shared.holders[0].clone();
    second.executable = Some(b"/bin/b".to_vec());
    shared.holders.push(second);
    let mut options = json!({"port": 80, "exe": "/bin/b", "process": "b"});
    assert_eq!(
        verdict(options.clone(), vec![shared.clone()], Some(COMPLETE)),
        ("expected", 1)
    );
    shared.holders[1].name = b"a".to_vec();
    assert_eq!(
        verdict(options.clone(), vec![shared.clone()], Some(COMPLETE)),
        ("conflict", 1)
    );
    options["process"] = "a".into();
    assert_eq!(verdict(options, vec![shared], Some(COMPLETE)), ("expected", 1));
}

#[test]
fn without_privileges_the_user_and_the_unit_are_known() {
    for coverage in [None, Some(PARTIAL)] {
        let verdict = |json| verdict(json, vec![hidden("::")], coverage).0;
        assert_eq!(verdict(json!({"port": 80, "user": 1000})), "expected");
        assert_eq!(verdict(json!({"port": 80, "user": 0})), "conflict");
        assert_eq!(verdict(json!({"port": 80, "unit": "a"})), "expected");
        assert_eq!(verdict(json!({"port": 80, "unit": "b"})), "conflict");
        assert_eq!(
            verdict(json!({"port": 80, "unit": "a", "exe": "/bin/a"})),
            "unknown"
        );
        assert_eq!(verdict(json!({"port": 80, "exe": "/bin/a"})), "unknown");
        assert_eq!(verdict(json!({"port": 80, "process": "a"})), "unknown");
        assert_eq!(
            verdict(json!({"port": 80, "user": 0, "process": "a"})),
            "conflict"
        );
    }
    // A process is visible, but not its executable.
    let mut partly = held("::");
    partly.holders[0].executable = None;
    assert_eq!(
        verdict(json!({"port": 80, "exe": "/bin/a"}), vec![partly], Some(PARTIAL)),
        ("unknown", 1)
    );
}

#[test]
fn a_socket_of_the_kernel_has_no_process() {
    let kernel = HeldSocket {
        cgroup: None,
        ..hidden("::")
    };
    assert_eq!(
        verdict(json!({"port": 80}), vec![kernel.clone()], Some(COMPLETE)),
        ("expected", 1)
    );
    assert_eq!(
        verdict(
            json!({"port": 80, "unit": "a"}),
            vec![kernel.clone()],
            Some(COMPLETE)
        ),
        ("conflict", 1)
    );
    assert_eq!(
        verdict(json!({"port": 80, "unit": "a"}), vec![kernel], Some(PARTIAL)),
        ("unknown", 1)
    );
}

#[test]
fn sockets_of_socket_units_belong_to_the_service_that_holds_them() {
    let opened_by = |group: &str, holders| HeldSocket {
        cgroup: Some(format!("/system.slice/{group}")),
        holders,
        ..held("::")
    };
    let systemd = Holder {
        process: 1,
        name: b"systemd".to_vec(),
        executable: None,
        cgroup: Some("/init.scope".to_owned()),
    };
    let service = held("::").holders[0].clone();
    let activated = vec![systemd.clone(), service];
    let service = || json!({"port": 80, "unit": "a.service"});
    let both = json!({"port": 80, "unit": ["a.service", "a.socket"]});
    for group in ["a.socket", "init.scope"] {
        let verdict = |json, holders| verdict(json, vec![opened_by(group, holders)], Some(PARTIAL)).0;
        assert_eq!(verdict(service(), activated.clone()), "expected");
        assert_eq!(verdict(service(), vec![systemd.clone()]), "conflict");
        assert_eq!(verdict(service(), vec![]), "unknown");
    }
    assert_eq!(
        verdict(both, vec![opened_by("a.socket", vec![])], None),
        ("expected", 1)
    );
}

#[test]
fn addresses_select_the_sockets() {
    let v6_only = HeldSocket {
        socket: Socket {
            is_v6_only: Some(true),
            ..held("::").socket
        },
        ..held("::")
    };
    for (address, socket, expected) in [
        ("127.0.0.1", held("127.0.0.1"), "expected"),
        ("127.0.0.1", held("0.0.0.0"), "expected"),
        ("127.0.0.1", held("::"), "expected"),
        ("127.0.0.1", v6_only.clone(), "not held"),
        ("127.0.0.1", held("192.0.2.1"), "not held"),
        ("127.0.0.1", held("::1"), "not held"),
        ("::1", held("::1"), "expected"),
        ("::1", held("::"), "expected"),
        ("::1", v6_only.clone(), "expected"),
        ("::1", held("0.0.0.0"), "not held"),
        ("0.0.0.0", held("0.0.0.0"), "expected"),
        ("0.0.0.0", held("::"), "expected"),
        ("0.0.0.0", v6_only.clone(), "not held"),
        ("0.0.0.0", held("127.0.0.1"), "only some"),
        ("::", held("::"), "expected"),
        ("::", held("::1"), "only some"),
        ("::", held("127.0.0.1"), "not held"),
    ] {
        let on = |expect: &str| {
            let options = json!({"port": 80, "address": address, "expect": expect});
            verdict(options, vec![socket.clone()], None).0
        };
        let shown = socket.socket.to_string();
        assert_eq!(on("held"), expected, "{shown} for {address}");
        let is_free = match expected {
            "not held" => "expected",
            _ => "conflict",
        };
        assert_eq!(on("free"), is_free, "{shown} for {address}");
    }
}

/// The kernel prefers the socket with the exact address, so another program on the wildcard address does no harm.
#[test]
fn an_exact_address_hides_the_wildcard_address() {
    let other = HeldSocket {
        cgroup: Some("/b.service".to_owned()),
        ..hidden("0.0.0.0")
    };
    let sockets = || vec![held("127.0.0.1"), other.clone()];
    let options = |address: &str| json!({"port": 80, "unit": "a", "address": address});
    assert_eq!(verdict(options("127.0.0.1"), sockets(), None), ("expected", 1));
    assert_eq!(verdict(options("127.0.0.2"), sockets(), None), ("conflict", 1));
    assert_eq!(verdict(options("0.0.0.0"), sockets(), None), ("conflict", 1));
    assert_eq!(
        verdict(json!({"port": 80, "unit": "a"}), sockets(), None),
        ("conflict", 1)
    );
}
