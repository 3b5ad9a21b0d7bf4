//! Tests of the options of dns checks and their errors.

use serde_json::{Value, json};

use super::*;
use crate::config::tests_support::resolve_json;

fn resolve(json: Value) -> Result<DnsSettings, Vec<String>> {
    resolve_json(json, DnsOptions::resolve)
}

#[test]
fn a_server_and_a_name_suffice() {
    let settings = resolve(json!({"server": "192.0.2.53", "query_name": "example.org"})).unwrap();
    assert_eq!(settings.target(), "192.0.2.53:53");
    let query = &settings.query;
    assert_eq!(query.name.to_string(), "example.org.");
    assert_eq!((query.record_type, query.class), (RecordType::ANY, DNSClass::IN));
    assert!(query.recursion_desired);
    assert_eq!(query.transport, Transport::Udp);
    assert_eq!(query.rcodes, [0]);
    assert_eq!(query.validators, <[Validators; 3]>::default());
}

#[test]
fn the_default_port_depends_on_the_transport() {
    let target = |server: &str, keys: &str| {
        let keys = format!("{{\"server\": \"{server}\", \"query_name\": \"a\" {keys}}}");
        resolve(serde_json::from_str(&keys).unwrap()).unwrap().target()
    };
    let tls = r#", "transport_protocol": "tcp", "dns_over_tls": true"#;
    assert_eq!(target("ns1", ""), "ns1:53");
    assert_eq!(target("ns1", tls), "ns1:853");
    assert_eq!(target("ns1:5353", tls), "ns1:5353");
    assert_eq!(target("::1", ""), "[::1]:53");
    assert_eq!(target("[::1]", tls), "[::1]:853");
    assert_eq!(target("[::1]:54", ""), "[::1]:54");
}

#[test]
fn parses_names_of_types_codes_and_hosts() {
    let settings = resolve(json!({
        "server": "a", "query_name": "_sip._tcp.b\u{fc}cher.example", "query_type": "srv", "query_class": "ch",
        "valid_rcodes": ["NOERROR", "nxdomain", "NOTIMPL"], "recursion_desired": false,
    }));
    let query = settings.unwrap().query.clone();
    assert_eq!(query.name.to_ascii(), "_sip._tcp.xn--bcher-kva.example.");
    assert_eq!((query.record_type, query.class), (RecordType(33), DNSClass::CH));
    assert_eq!(
        (query.rcodes.as_slice(), query.recursion_desired),
        (&[0, 3, 4][..], false)
    );
    assert_eq!(
        (rcode_name(3), rcode_name(4), rcode_name(99)),
        ("NXDOMAIN".into(), "NOTIMP".into(), "99".into())
    );
    let root = resolve(json!({"server": "a", "query_name": "."})).unwrap();
    assert!(root.query.name.is_root());
}

#[test]
fn all_errors_are_reported_at_once() {
    let errors = resolve(json!({
        "query_type": "NONSENSE", "query_class": "XX", "valid_rcodes": ["OK"], "dns_over_tls": true,
        "source_ip_address": "lo", "validate_answer_rrs": {"fail_if_matches_regexp": ["a", "("]},
    }));
    let types = "write A, AAAA, CAA, CNAME, MX, NS, PTR, SOA, SRV, TXT, ANY or another record type";
    assert_eq!(
        errors.unwrap_err(),
        [
            ": server is missing: write the name server to query, such as server: 192.0.2.53",
            ": query_name is missing: write the name to query, such as query_name: example.org",
            &format!("query_type: not a record type: {types}"),
            "query_class: not a class: write IN, CH, HS, NONE or ANY",
            "valid_rcodes[0]: not a response code: write NOERROR, NXDOMAIN, SERVFAIL, REFUSED or another name",
            "source_ip_address: not an IP address: write an address of this machine, such as 192.0.2.10",
            "dns_over_tls: dns_over_tls needs transport_protocol: tcp",
            "validate_answer_rrs.fail_if_matches_regexp[1]: \"(\" is not a regular expression: unclosed group",
        ]
    );
}

#[test]
fn another_target_keeps_the_query() {
    let keys = json!({"server": "a", "query_name": "b", "transport_protocol": "tcp", "dns_over_tls": true});
    let settings = resolve(keys).unwrap();
    let targeted = settings.with_target("ns1").unwrap();
    assert_eq!(targeted.target(), "ns1:853");
    assert!(Arc::ptr_eq(&targeted.query, &settings.query));
    assert_eq!(
        settings.with_target("ns1:x").unwrap_err(),
        "\"ns1:x\" is not a name server: write host or host:port, such as 192.0.2.53, ns1.example.org:5353 or \
         [2001:db8::53]:53"
    );
    let error = settings.with_target("tls://user:secret@ns1").unwrap_err();
    assert!(error.starts_with("this is not a name server"), "{error}");
}
