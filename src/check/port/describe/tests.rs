//! Texts about ports.

use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::check::port_scan::{Coverage, Holder, PortSet, Socket, Survey};
use crate::config::port::PortOptions;
use crate::config::tests_support::resolve_json;

fn settings(json: serde_json::Value) -> PortSettings {
    resolve_json(json, PortOptions::resolve).unwrap()
}

fn answer(coverage: Option<Coverage>) -> Answer {
    Answer {
        sockets: Vec::new(),
        survey: Arc::new(Survey {
            coverage,
            ..Survey::default()
        }),
    }
}

fn held(holders: &[(i32, &str, &str)], cgroup: Option<&str>) -> HeldSocket {
    HeldSocket {
        socket: Socket {
            protocol: Protocol::Tcp,
            address: [0, 0, 0, 0].into(),
            port: 80,
            inode: 1,
            user: 33,
            is_open: true,
            is_v6_only: None,
            cgroup: None,
            waiting: None,
            backlog: None,
        },
        cgroup: cgroup.map(str::to_owned),
        holders: holders
            .iter()
            .map(|(process, name, cgroup)| Holder {
                process: *process,
                name: name.as_bytes().to_vec(),
                executable: None,
                cgroup: Some((*cgroup).to_owned()),
            })
            .collect(),
    }
}

fn names() -> UserNames {
    UserNames::from([(33, "www-data".to_owned())])
}

#[test]
fn holders_are_named_with_what_is_known() {
    let complete = answer(Some(Coverage::default()));
    let partial = answer(None);
    for (held, answer, expected) in [
        (
            held(&[(12, "nginx", "/system.slice/nginx.service")], None),
            &complete,
            "nginx (pid 12, user www-data, unit nginx.service)",
        ),
        (
            held(&[(12, "a", "/"), (13, "a", "/"), (14, "a", "/")], None),
            &complete,
            "a (pid 12, user www-data) and 2 more",
        ),
        (
            held(&[(1, "systemd", "/init.scope")], Some("/system.slice/a.socket")),
            &complete,
            "systemd (pid 1, user www-data, unit a.socket)",
        ),
        (
            held(&[], Some("/system.slice/a.service")),
            &partial,
            "an unknown process (user www-data, unit a.service)",
        ),
        (
            held(&[], None),
            &complete,
            "no visible process (the kernel, or a process in another pid namespace) (user www-data)",
        ),
    ] {
        assert_eq!(holder(&held, answer, &names()), expected);
    }
    assert_eq!(
        holder(&held(&[], None), &partial, &UserNames::new()),
        "an unknown process (user 33)"
    );
}

#[test]
fn a_message_names_a_few_sockets() {
    let one = held(&[(12, "a", "/")], None);
    let text = holders(&[&one; 5], &answer(None), &names());
    let each = "tcp 0.0.0.0:80 by a (pid 12, user www-data)";
    assert_eq!(text, format!("{each}, {each}, {each}, 2 more sockets"));
}

#[test]
fn the_next_free_port_is_suggested() {
    let with_held = |ports: &[u16]| {
        let mut set = PortSet::default();
        ports.iter().for_each(|port| set.insert(*port));
        let mut survey = Survey::default();
        survey.held[Protocol::Tcp as usize] = Some(set);
        Answer {
            sockets: Vec::new(),
            survey: Arc::new(survey),
        }
    };
    let settings = settings(json!({"port": 81, "range": "80-84"}));
    for (held, expected) in [
        (&[81][..], "the next free port of 80-84 is 82"),
        (&[81, 82, 83], "the next free port of 80-84 is 84"),
        (&[81, 82, 83, 84], "the next free port of 80-84 is 80"),
        (&[80, 81, 82, 83, 84], "no port of 80-84 is free"),
    ] {
        assert_eq!(suggestion(&settings, &with_held(held)).as_deref(), Some(expected));
    }
    assert_eq!(suggestion(&settings, &answer(None)), None);
}

#[test]
fn commands_stop_the_program_that_is_in_the_way() {
    for (held, expected) in [
        (
            held(&[(12, "a", "/system.slice/a.service")], None),
            Some("systemctl stop a.service"),
        ),
        (
            held(&[(1, "systemd", "/init.scope")], Some("/system.slice/a.socket")),
            Some("systemctl stop a.socket"),
        ),
        (
            held(&[], Some("/system.slice/a.service")),
            Some("systemctl stop a.service"),
        ),
        (
            held(&[(12, "a", "/user.slice/session-1.scope")], None),
            Some("kill 12"),
        ),
        (
            held(&[(12, "a", "/user.slice/user@1000.service/x.slice")], None),
            Some("kill 12"),
        ),
        (held(&[(1, "init", "/")], None), None),
        (held(&[], None), None),
    ] {
        assert_eq!(stop_command(&held).as_deref(), expected);
    }
    assert_eq!(
        show_command(&settings(json!({"port": 80}))),
        "ss -ltnpe 'sport = :80'"
    );
    assert_eq!(
        show_command(&settings(json!({"port": 53, "protocol": "udp"}))),
        "ss -uanpe 'sport = :53'"
    );
}

#[test]
fn the_reason_for_not_knowing_is_given() {
    let unreadable = Coverage {
        unreadable: 5,
        is_partial: true,
        is_unsettled: false,
    };
    assert!(unknown(&answer(Some(unreadable))).contains("CAP_SYS_PTRACE"));
    let hidden = Coverage {
        is_partial: true,
        ..Coverage::default()
    };
    assert!(unknown(&answer(Some(hidden))).contains("hidepid"));
    let unsettled = Coverage {
        is_unsettled: true,
        ..Coverage::default()
    };
    assert!(unknown(&answer(Some(unsettled))).contains("all the time"));
    let survey = Survey {
        netlink_error: Some(rustix::io::Errno::AFNOSUPPORT),
        ..Survey::default()
    };
    let without_netlink = Answer {
        sockets: Vec::new(),
        survey: Arc::new(survey),
    };
    assert!(unknown(&without_netlink).contains("allow AF_NETLINK"));
}
