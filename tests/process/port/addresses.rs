//! Protocols and addresses: UDP, IPv6, and wildcard addresses.

use serde_json::{Value, json};

use super::support::{free_ports, hold, run_once};

/// Whether a port check with these options succeeds.
async fn is_up(options: Value) -> bool {
    let ran = run_once(options).await;
    assert!(ran.report.warning.is_none(), "{ran:?}");
    ran.result.is_ok()
}

#[tokio::test]
async fn tcp_and_udp_are_separate() {
    let port = free_ports(1);
    let _running = hold(&[format!("udp,127.0.0.1,{port},")]);
    assert!(is_up(json!({"port": port, "protocol": "udp", "process": "python3"})).await);
    assert!(is_up(json!({"port": port, "protocol": "tcp", "expect": "free"})).await);
    let ran = run_once(json!({"port": port, "protocol": "udp", "process": "dnsmasq"})).await;
    let (reason, message) = ran.failure();
    assert_eq!(reason, "state");
    assert!(
        message.contains(&format!("udp 127.0.0.1:{port} by python3")),
        "{message}"
    );
    assert_eq!(ran.value("accept_queue_connections"), None);
    let ran = run_once(json!({"port": free_ports(1), "protocol": "udp"})).await;
    assert!(
        ran.failure().1.contains("is not held: no socket is bound to it"),
        "{ran:?}"
    );
}

#[tokio::test]
async fn a_dual_stack_socket_holds_both_versions() {
    let port = free_ports(1);
    let _running = hold(&[format!("tcp,::,{port},")]);
    for address in ["127.0.0.1", "0.0.0.0", "::1", "::"] {
        assert!(
            is_up(json!({"port": port, "address": address})).await,
            "{address}"
        );
        assert!(
            !is_up(json!({"port": port, "address": address, "expect": "free"})).await,
            "{address}"
        );
    }
}

#[tokio::test]
async fn an_ipv6_only_socket_leaves_ipv4_free() {
    let port = free_ports(1);
    let _running = hold(&[format!("tcp,::,{port},v6only")]);
    for (address, is_held) in [
        ("127.0.0.1", false),
        ("0.0.0.0", false),
        ("::1", true),
        ("::", true),
    ] {
        assert_eq!(
            is_up(json!({"port": port, "address": address})).await,
            is_held,
            "{address}"
        );
    }
    assert!(!is_up(json!({"port": port, "expect": "free"})).await);
}

#[tokio::test]
async fn a_specific_address_is_not_the_wildcard_address() {
    let port = free_ports(1);
    let _running = hold(&[format!("tcp,127.0.0.1,{port},")]);
    assert!(is_up(json!({"port": port, "address": "127.0.0.1"})).await);
    assert!(is_up(json!({"port": port, "address": "127.0.0.2", "expect": "free"})).await);
    assert!(is_up(json!({"port": port, "address": "::1", "expect": "free"})).await);
    // A program could not bind the wildcard address.
    assert!(!is_up(json!({"port": port, "address": "0.0.0.0", "expect": "free"})).await);
    let ran = run_once(json!({"port": port, "address": "0.0.0.0"})).await;
    let (reason, message) = ran.failure();
    assert_eq!(reason, "state");
    assert!(message.contains("is held on some addresses only"), "{message}");
}

#[tokio::test]
async fn the_program_on_the_exact_address_counts() {
    let port = free_ports(1);
    let _own = hold(&[format!("tcp,127.0.0.1,{port},reuse")]);
    let _wildcard = hold(&[format!("udp,0.0.0.0,{port},")]);
    assert!(is_up(json!({"port": port, "address": "127.0.0.1", "process": "python3"})).await);
    assert!(is_up(json!({"port": port, "address": "127.0.0.2", "protocol": "udp"})).await);
    assert!(!is_up(json!({"port": port, "address": "127.0.0.2"})).await);
}
