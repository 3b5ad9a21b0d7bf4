//! Other users and other namespaces: what the exporter can't see, it says.

use std::process::Command;

use serde_json::json;

use super::support::{free_ports, hold, hold_with, run_once};
use crate::privileges::{parameters, rerun_as_nobody};

#[tokio::test]
async fn without_privileges_the_user_is_known_and_the_rest_is_stated() {
    const NAME: &str = "port::isolation::without_privileges_the_user_is_known_and_the_rest_is_stated";
    let Some(parameters) = parameters() else {
        let port = free_ports(1);
        let _running = hold(&[format!("tcp,127.0.0.1,{port},")]);
        rerun_as_nobody(NAME, &port.to_string(), "true");
        return;
    };
    let port: u16 = parameters.parse().unwrap();
    for options in [json!({"port": port}), json!({"port": port, "user": "root"})] {
        let ran = run_once(options.clone()).await;
        assert!(ran.is_up(), "{options}: {ran:?}");
    }
    let ran = run_once(json!({"port": port, "user": "nobody"})).await;
    let (reason, message) = ran.failure();
    assert_eq!(reason, "state");
    assert!(message.contains("by an unknown process (user root"), "{message}");
    assert!(message.contains("; expected user nobody"), "{message}");

    let ran = run_once(json!({"port": port, "process": "python3"})).await;
    assert_eq!(ran.result, Ok(()));
    assert_eq!((ran.value("held"), ran.value("conflict")), (Some(1.0), Some(0.0)));
    let (reason, message) = ran.warning();
    assert_eq!(reason, "permission");
    assert!(
        message.starts_with(&format!("can't verify who holds tcp *:{port}: tcp 127.0.0.1:{port} by an unknown process"))
            && message.ends_with(
                "; expected process python3; the exporter may not read processes of other users without CAP_SYS_PTRACE"
            ),
        "{message}"
    );

    // The user's own processes are visible.
    let own = free_ports(1);
    let _running = hold(&[format!("tcp,127.0.0.1,{own},")]);
    let ran = run_once(json!({"port": own, "process": "python3", "user": 65534})).await;
    assert!(ran.is_up(), "{ran:?}");
}

#[tokio::test]
async fn a_holder_in_another_network_namespace_does_not_hold_the_port_here() {
    let port = free_ports(1);
    let mut elsewhere = Command::new("unshare");
    elsewhere.args(["--net", "python3"]);
    let _running = hold_with(elsewhere, &[format!("tcp,0.0.0.0,{port},")]);
    let ran = run_once(json!({"port": port})).await;
    let (reason, message) = ran.failure();
    assert_eq!(reason, "missing");
    assert!(
        message.contains("nothing listens on it in the exporter's network namespace"),
        "{message}"
    );
}

/// As a container with the network of the host.
#[tokio::test]
async fn a_holder_in_another_pid_namespace_is_known() {
    let port = free_ports(1);
    let mut elsewhere = Command::new("unshare");
    elsewhere.args(["--pid", "--fork", "--kill-child", "--mount-proc", "python3"]);
    let _running = hold_with(elsewhere, &[format!("tcp,127.0.0.1,{port},")]);
    let ran = run_once(json!({"port": port, "process": "python3"})).await;
    assert!(ran.is_up(), "{ran:?}");
}
