//! Tests of the guard.

use proptest::prelude::*;

use super::*;
use crate::config::tests_support::resolve_at_root;

fn guard(allow: serde_json::Value) -> GuardRules {
    let allow = serde_json::from_value(allow).unwrap();
    resolve_at_root(|root| GuardRules::resolve(Some(allow), root)).unwrap()
}

fn verdict(guard: &GuardRules, host: &str, address: &str, port: u16) -> &'static str {
    match guard.judge(host, address.parse().unwrap(), Some(port)) {
        Ok(()) => "allowed",
        Err(refusal) => refusal.as_str(),
    }
}

#[test]
fn without_a_list_special_addresses_are_refused_in_every_form() {
    for (address, expected) in [
        ("192.0.2.1", "allowed"),
        ("10.0.0.1", "allowed"),
        ("2001:db8::1", "allowed"),
        ("127.0.0.1", "loopback"),
        ("127.255.255.254", "loopback"),
        ("0.0.0.0", "loopback"),
        ("0.1.2.3", "loopback"),
        ("::", "loopback"),
        ("::1", "loopback"),
        ("::ffff:127.0.0.1", "loopback"),
        ("::127.0.0.1", "loopback"),
        ("64:ff9b::7f00:1", "loopback"),
        ("2002:7f00:1::", "loopback"),
        ("169.254.169.254", "metadata"),
        ("::ffff:169.254.169.254", "metadata"),
        ("64:ff9b::a9fe:a9fe", "metadata"),
        ("169.254.170.2", "metadata"),
        ("fd00:ec2::254", "metadata"),
        ("100.100.100.200", "metadata"),
        ("169.254.170.23", "metadata"),
        ("fd00:ec2::23", "metadata"),
        ("fd20:ce::254", "metadata"),
        ("168.63.129.16", "metadata"),
        ("::ffff:168.63.129.16", "metadata"),
        ("192.0.0.192", "metadata"),
        ("169.254.42.42", "metadata"),
        ("fd00:42::42", "metadata"),
        ("fd00:ec2::24", "allowed"),
        // IPv4-translated.
        ("::ffff:0:127.0.0.1", "loopback"),
        ("::ffff:0:169.254.169.254", "metadata"),
        ("::ffff:0:192.0.2.1", "allowed"),
        // A local translator with a prefix of 48, 56, 64 and 96 bits.
        ("64:ff9b:1:7f00:0:100::", "loopback"),
        ("64:ff9b:1:a9fe:a9:fe00::", "metadata"),
        ("64:ff9b:1:a9:fe:a9fe::", "metadata"),
        ("64:ff9b:1:77:a9:fea9:fe00:0", "metadata"),
        ("64:ff9b:1::a9fe:a9fe", "metadata"),
        ("64:ff9b:1:77:77:7700:7f00:1", "loopback"),
        ("64:ff9b:1::192.0.2.1", "allowed"),
        ("64:ff9b:1:c000:2:100::", "allowed"),
        ("64:ff9b:2::127.0.0.1", "allowed"),
        ("169.254.0.1", "link_local"),
        ("fe80::1", "link_local"),
        ("224.0.0.1", "multicast"),
        ("255.255.255.255", "multicast"),
        ("ff02::1", "multicast"),
    ] {
        assert_eq!(
            verdict(&GuardRules::default(), "x", address, 80),
            expected,
            "{address}"
        );
    }
}

#[test]
fn an_entry_allows_targets_that_match_all_of_its_keys() {
    let guard = guard(serde_json::json!([
        { "hosts": ["*.example.org", "db.lan"], "ports": [80, "8000-8002"] },
        { "networks": ["192.0.2.0/24"], "ports": [443] },
        { "paths": ["/run/*.sock"] },
    ]));
    for (host, address, port, expected) in [
        ("a.example.org", "198.51.100.1", 80, "allowed"),
        ("A.B.Example.ORG.", "198.51.100.1", 8001, "allowed"),
        ("example.org", "198.51.100.1", 80, "not_allowed"),
        ("badexample.org", "198.51.100.1", 80, "not_allowed"),
        ("db.lan", "198.51.100.1", 8003, "not_allowed"),
        ("192.0.2.7", "192.0.2.7", 443, "allowed"),
        ("name", "192.0.2.7", 443, "allowed"),
        ("192.0.2.7", "192.0.2.7", 80, "not_allowed"),
        // The name matches, but it resolves to a loopback address.
        ("a.example.org", "127.0.0.1", 80, "loopback"),
    ] {
        assert_eq!(
            verdict(&guard, host, address, port),
            expected,
            "{host} {address} {port}"
        );
    }
    assert_eq!(guard.judge_request("a.example.org", Some(80)), Ok(()));
    assert_eq!(
        guard.judge_request("a.example.org", Some(81)),
        Err(TargetRefusal::NotAllowed)
    );
    assert_eq!(
        guard.judge_request("a.example.org", None),
        Err(TargetRefusal::NotAllowed)
    );
}

#[test]
fn a_network_of_all_addresses_does_not_allow_special_ones() {
    let everything = guard(serde_json::json!([{ "networks": ["0.0.0.0/0", "::/0"] }]));
    assert_eq!(verdict(&everything, "x", "198.51.100.1", 1), "allowed");
    assert_eq!(verdict(&everything, "x", "169.254.169.254", 1), "metadata");
    assert_eq!(verdict(&everything, "x", "127.0.0.1", 1), "loopback");
    let local = guard(serde_json::json!([{ "networks": ["127.0.0.0/8", "::1"] }]));
    assert_eq!(verdict(&local, "localhost", "127.0.0.1", 1), "allowed");
    assert_eq!(verdict(&local, "localhost", "::1", 1), "allowed");
    assert_eq!(verdict(&local, "x", "198.51.100.1", 1), "not_allowed");
}

#[test]
fn a_rule_with_networks_allows_no_name_behind_a_proxy() {
    let proxied = |guard: &GuardRules, host: &str, port: u16| match guard.judge_proxied(host, port) {
        Ok(()) => "allowed",
        Err(refusal) => refusal.as_str(),
    };
    let open = GuardRules::default();
    let networks = guard(serde_json::json!([
        { "networks": ["127.0.0.0/8"], "ports": [8080] },
        { "networks": ["10.0.0.0/8"] },
    ]));
    let names = guard(serde_json::json!([
        { "hosts": ["*.example.org", "localhost", "metadata.google.internal"], "ports": [80] },
        { "hosts": ["db.lan"], "networks": ["10.0.0.0/8"] },
    ]));
    for (guard, host, port, expected) in [
        (&open, "evil.example", 80, "allowed"),
        (&open, "192.0.2.1", 80, "allowed"),
        (&open, "127.0.0.1", 80, "loopback"),
        (&open, "::ffff:0:127.0.0.1", 80, "loopback"),
        (&open, "localhost", 80, "loopback"),
        (&open, "a.LocalHost.", 80, "loopback"),
        (&open, "localhost.localdomain", 80, "loopback"),
        (&open, "IP6-localhost", 80, "loopback"),
        (&open, "notlocalhost", 80, "allowed"),
        (&open, "Metadata.Google.Internal.", 80, "metadata"),
        (&open, "metadata.goog", 80, "metadata"),
        (&networks, "evil.example", 80, "not_allowed"),
        (&networks, "evil.example", 8080, "not_allowed"),
        (&networks, "localhost", 8080, "loopback"),
        (&networks, "metadata.google.internal", 80, "metadata"),
        (&networks, "8.8.8.8", 80, "not_allowed"),
        (&networks, "10.1.2.3", 80, "allowed"),
        (&networks, "127.0.0.1", 8080, "allowed"),
        (&names, "a.example.org", 80, "allowed"),
        (&names, "a.example.org", 81, "not_allowed"),
        (&names, "evil.example", 80, "not_allowed"),
        // An entry with the name does not allow it: the name is of a special address.
        (&names, "localhost", 80, "loopback"),
        (&names, "metadata.google.internal", 80, "metadata"),
        (&names, "db.lan", 80, "not_allowed"),
    ] {
        assert_eq!(proxied(guard, host, port), expected, "{host} {port}");
    }
}

proptest! {
    #[test]
    fn a_proxy_never_allows_more_targets(
        host in "(localhost|a\\.localhost|[a-z]{1,3}\\.example|metadata\\.goog|127\\.0\\.0\\.1|10\\.0\\.0\\.1|::1)",
        port in 79_u16..82,
        entries in proptest::collection::vec((0..4_usize, 0..4_usize, 0..2_usize), 1..4),
    ) {
        const HOSTS: [&[&str]; 4] = [&[], &["*.example"], &["localhost"], &["*"]];
        const NETWORKS: [&[&str]; 4] = [&[], &["127.0.0.0/8"], &["0.0.0.0/0", "::/0"], &["10.0.0.0/8"]];
        const PORTS: [&[u16]; 2] = [&[80], &[80, 81]];
        let entries = entries.into_iter().map(|(hosts, networks, ports)| {
            serde_json::json!({ "hosts": HOSTS[hosts], "networks": NETWORKS[networks], "ports": PORTS[ports] })
        });
        let guard = guard(entries.collect());
        if guard.judge_proxied(&host, port).is_ok() {
            prop_assert!(guard.judge_request(&host, Some(port)).is_ok());
            prop_assert!(AddressClass::from_name(&host).is_none());
        }
    }
}

#[test]
fn unix_sockets_need_an_entry_with_their_path() {
    assert_eq!(
        GuardRules::default().judge_path("/run/a.sock"),
        Err(TargetRefusal::NotAllowed)
    );
    let guard = guard(serde_json::json!([{ "paths": ["/run/*.sock", "/a/*/b*c*d"] }]));
    for (path, is_allowed) in [
        ("/run/a.sock", true),
        ("/run/.sock", true),
        ("/run/a/b.sock", false),
        ("/run/../etc/a.sock", false),
        ("/run/a.socket", false),
        ("/a/x/bcd", true),
        ("/a/x/b1c2d", true),
        ("/a/x/bd", false),
        ("run/a.sock", false),
        ("/a/./bcd", false),
        ("/a//bcd", false),
        ("/a/x/bcd/", false),
        ("//run/a.sock", false),
        ("/", false),
    ] {
        assert_eq!(guard.judge_path(path).is_ok(), is_allowed, "{path}");
    }
    // An entry with paths only allows no hosts.
    assert_eq!(verdict(&guard, "x", "198.51.100.1", 1), "not_allowed");
}

#[test]
fn zones_are_ignored() {
    let closed = GuardRules::default();
    assert_eq!(verdict(&closed, "fe80::1%eth0", "fe80::1", 80), "link_local");
    let reason = |guard: &GuardRules, host: &str| match guard.judge_request(host, Some(80)) {
        Ok(()) => "allowed",
        Err(refusal) => refusal.as_str(),
    };
    assert_eq!(reason(&closed, "fe80::1%eth0"), "link_local");
    assert_eq!(
        closed.judge_proxied("fe80::1%eth0", 80),
        Err(TargetRefusal::Special(AddressClass::LinkLocal))
    );
    let open = guard(serde_json::json!([{ "networks": ["fe80::/10"], "hosts": ["fe80::1"] }]));
    assert_eq!(reason(&open, "fe80::1%eth0"), "allowed");
    assert_eq!(reason(&open, "fe80::2%eth0"), "not_allowed");
    let named = guard(serde_json::json!([{ "networks": ["fe80::/10"], "hosts": ["[fe80::1%eth1]"] }]));
    assert_eq!(reason(&named, "fe80::1%eth0"), "allowed");
}

#[test]
fn every_error_is_reported_at_its_place() {
    let allow = serde_json::json!([
        { "hosts": ["a*b"], "networks": ["10.0.0.0/33"], "ports": ["9-8", 0], "paths": ["run", "/run//a", "/run/./a", "/run/.."] },
        {},
    ]);
    let allow = serde_json::from_value(allow).unwrap();
    let errors = resolve_at_root(|root| GuardRules::resolve(Some(allow), &root.field("allow"))).unwrap_err();
    let paths: Vec<&str> = errors
        .iter()
        .map(|error| error.split(": ").next().unwrap())
        .collect();
    assert_eq!(
        paths,
        [
            "allow[0].hosts[0]",
            "allow[0].networks[0]",
            "allow[0].ports[0]",
            "allow[0].ports[1]",
            "allow[0].paths[0]",
            "allow[0].paths[1]",
            "allow[0].paths[2]",
            "allow[0].paths[3]",
            "allow[1]"
        ]
    );
}
