//! Who holds a port, and what the messages say.

use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;

use super::support::{check, free_ports, hold, hold_with, run, run_once, run_until};
use crate::support::{copy_program, real};

#[tokio::test]
async fn a_port_is_held_or_free() {
    let port = free_ports(1);
    let ran = run_once(json!({"port": port, "expect": "free"})).await;
    assert!(ran.is_up(), "{ran:?}");
    assert_eq!((ran.value("held"), ran.value("conflict")), (Some(0.0), Some(0.0)));
    let ran = run_once(json!({"port": port, "unit": "app"})).await;
    assert_eq!(
        ran.failure(),
        (
            "missing",
            &*format!(
                "tcp *:{port} is not held: nothing listens on it in the exporter's network namespace; expected unit \
                 app.service"
            )
        )
    );
    assert_eq!(ran.report.findings.fix(), Some("systemctl start app.service"));

    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let ran = run_once(json!({"port": port})).await;
    assert!(ran.is_up(), "{ran:?}");
    assert_eq!((ran.value("held"), ran.value("sockets")), (Some(1.0), Some(1.0)));
    assert_eq!(ran.value("accept_queue_connections"), Some(0.0));
    assert!(ran.value("accept_queue_limit") > Some(0.0));
    let ran = run_once(json!({"port": port, "expect": "free"})).await;
    let (reason, message) = ran.failure();
    assert_eq!((reason, ran.value("conflict")), ("state", Some(1.0)));
    let pid = std::process::id();
    assert!(
        message.starts_with(&format!(
            "tcp *:{port} is held by another program: tcp 127.0.0.1:{port} by "
        )) && message.contains(&format!("(pid {pid}, user root"))
            && message.contains("; expected to be free; see `ss -ltnpe 'sport = :"),
        "{message}"
    );
    drop(listener);
}

#[tokio::test]
async fn connections_that_wait_are_counted() {
    let port = free_ports(1);
    let _listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let _waiting: Vec<_> = (0..3)
        .map(|_| std::net::TcpStream::connect(("127.0.0.1", port)).unwrap())
        .collect();
    let ran = run_once(json!({"port": port})).await;
    assert_eq!(ran.value("accept_queue_connections"), Some(3.0));
    assert_eq!(ran.value("sockets"), Some(1.0), "connections do not count");
}

#[tokio::test]
async fn a_conflict_names_the_holder_and_the_next_free_port() {
    let port = free_ports(4);
    let running = hold(&[
        format!("tcp,0.0.0.0,{port},"),
        format!("tcp,127.0.0.1,{},", port + 1),
        format!("udp,127.0.0.1,{},", port + 2),
    ]);
    let range = format!("{port}-{}", port + 3);
    let ran = run_once(json!({"port": port, "process": "nginx", "range": range})).await;
    let id = running.id();
    assert_eq!(
        ran.failure(),
        (
            "state",
            &*format!(
                "tcp *:{port} is held by another program: tcp 0.0.0.0:{port} by python3 (pid {id}, user root); expected \
                 process nginx; the next free port of {range} is {}",
                port + 2
            )
        )
    );
    let [finding] = ran.report.findings.list() else {
        panic!("{ran:?}")
    };
    assert_eq!(finding.subject, format!("tcp 0.0.0.0:{port}"));
    assert_eq!(finding.state, "conflict");
    assert_eq!(
        finding.detail,
        format!("held by python3 (pid {id}, user root); expected process nginx")
    );
    assert_eq!(ran.report.findings.fix(), Some(&*format!("kill {id}")));

    let ran = run_once(json!({"port": port, "user": "daemon"})).await;
    assert_eq!(ran.failure().0, "state");
    let ran = run_once(json!({"port": port, "user": "no-such-user"})).await;
    assert_eq!(ran.failure().0, "missing");
}

#[tokio::test]
async fn the_executable_and_the_name_identify_a_program() {
    let directory = tempfile::tempdir().unwrap();
    let (copy, link) = (directory.path().join("myserver"), directory.path().join("link"));
    let python = std::fs::canonicalize("/usr/bin/python3").unwrap();
    copy_program(&python, &copy);
    symlink(&copy, &link).unwrap();
    let port = free_ports(1);
    let mut interpreter = Command::new(&copy);
    interpreter.env("PYTHONHOME", "/usr");
    let _running = hold_with(interpreter, &[format!("tcp,127.0.0.1,{port},")]);
    for options in [
        json!({"port": port, "exe": copy}),
        json!({"port": port, "exe": link, "process": "myserver", "user": "root"}),
    ] {
        let ran = run_once(options.clone()).await;
        assert!(ran.is_up(), "{options}: {ran:?}");
    }
    let ran = run_once(json!({"port": port, "exe": python})).await;
    let (reason, message) = ran.failure();
    assert_eq!(reason, "state");
    assert!(
        message.contains("by myserver (pid ") && message.contains("; expected exe /usr/bin/python3"),
        "{message}"
    );
    // An update replaces the file while the program runs.
    std::fs::remove_file(&copy).unwrap();
    let ran = run_once(json!({"port": port, "exe": copy})).await;
    assert!(ran.is_up(), "{ran:?}");
}

#[tokio::test]
async fn each_socket_of_a_group_must_belong_to_the_expected_program() {
    let directory = tempfile::tempdir().unwrap();
    let copy = directory.path().join("intruder");
    copy_program(&std::fs::canonicalize("/usr/bin/python3").unwrap(), &copy);
    let port = free_ports(1);
    let socket = [format!("tcp,127.0.0.1,{port},reuse")];
    let (_first, _second) = (hold(&socket), hold(&socket));
    let context = real();
    let mut check = check(json!({"port": port, "process": "python3"}), &context);
    let ran = run(&mut check).await;
    assert!(ran.is_up(), "{ran:?}");
    assert_eq!(ran.value("sockets"), Some(2.0));

    let mut interpreter = Command::new(&copy);
    interpreter.env("PYTHONHOME", "/usr");
    let intruder = hold_with(interpreter, &socket);
    let ran = run(&mut check).await;
    let (reason, message) = ran.failure();
    assert_eq!((reason, ran.value("sockets")), ("state", Some(3.0)));
    assert!(
        message.contains(&format!(
            "tcp 127.0.0.1:{port} by intruder (pid {}",
            intruder.id()
        )) && !message.contains("by python3"),
        "{message}"
    );
    assert_eq!(ran.report.findings.list().len(), 1);
    drop(intruder);
    run_until(&mut check, |ran| ran.is_up() && ran.value("sockets") == Some(2.0)).await;
}

#[tokio::test]
async fn one_socket_can_have_several_processes() {
    let port = free_ports(1);
    let _running = hold(&[
        format!("tcp,127.0.0.1,{port},"),
        "fork".to_owned(),
        "fork".to_owned(),
    ]);
    let context = real();
    let mut check = check(json!({"port": port, "process": "nginx"}), &context);
    let ran = run_until(&mut check, |ran| ran.failure().1.contains(" and 3 more")).await;
    assert_eq!(ran.value("sockets"), Some(1.0));
}

#[tokio::test]
async fn a_socket_that_does_not_listen_holds_the_port_but_does_not_serve() {
    let port = free_ports(1);
    let _running = hold(&[format!("tcp,127.0.0.1,{port},bound")]);
    let ran = run_once(json!({"port": port})).await;
    let (reason, message) = ran.failure();
    assert_eq!((reason, ran.value("held")), ("state", Some(0.0)));
    assert!(
        message.contains("is bound, but its socket does not listen: tcp 127.0.0.1:"),
        "{message}"
    );
    let ran = run_once(json!({"port": port, "expect": "free"})).await;
    assert_eq!(ran.failure().0, "state");
}

/// A program holds a port for a moment again and again, so it ends at any time of a scan. As root, the exporter sees every
/// process. It must not conclude that none holds the socket.
#[tokio::test]
async fn a_holder_that_ends_during_a_run_is_not_taken_for_the_kernel() {
    let port = free_ports(1);
    let is_stopped = Arc::new(AtomicBool::new(false));
    let holder = std::thread::spawn({
        let is_stopped = Arc::clone(&is_stopped);
        move || {
            for milliseconds in (0..4).cycle() {
                if is_stopped.load(Ordering::Relaxed) {
                    return;
                }
                let listener = TcpListener::bind(("127.0.0.1", port));
                std::thread::sleep(Duration::from_millis(milliseconds));
                drop(listener);
            }
        }
    });
    let context = real();
    let mut check = check(json!({"port": port, "process": "nginx"}), &context);
    for _ in 0..40 {
        let ran = run(&mut check).await;
        match (&ran.result, &ran.report.warning) {
            (Ok(()), Some(warning)) => assert!(warning.message().contains("all the time"), "{warning}"),
            (Err(problem), None) => {
                assert!(!problem.message().contains("no visible process"), "{problem}");
            }
            _ => panic!("{ran:?}"),
        }
    }
    is_stopped.store(true, Ordering::Relaxed);
    holder.join().unwrap();
}
