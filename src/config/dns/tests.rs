//! What the options of a dns check resolve to, and what is said of faulty ones.

use std::cell::RefCell;

use serde_json::{Value, json};

use super::*;

fn resolve(json: Value) -> Result<DnsSettings, Vec<String>> {
    let findings = RefCell::default();
    let options: DnsOptions = serde_json::from_value(json).unwrap();
    options.resolve(&Place::root(&findings)).map_err(|Invalid| {
        let findings = findings.take();
        let texts = findings.iter();
        texts.map(|f| format!("{}: {}", f.path, f.message)).collect()
    })
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
fn the_port_is_the_one_of_the_transport() {
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
fn names_of_types_codes_and_hosts_are_understood() {
    let settings = resolve(json!({
        "server": "a", "query_name": "_sip._tcp.b\u{fc}cher.example", "query_type": "srv", "query_class": "ch",
        "valid_rcodes": ["NOERROR", "nxdomain", "NOTIMPL"], "recursion_desired": false,
    }));
    let query = settings.unwrap().query.clone();
    assert_eq!(query.name.to_ascii(), "_sip._tcp.xn--bcher-kva.example.");
    assert_eq!((query.record_type, query.class), (RecordType::SRV, DNSClass::CH));
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
fn all_faults_are_told_at_once() {
    let faults = resolve(json!({
        "query_type": "AXFR", "query_class": "XX", "valid_rcodes": ["OK"], "dns_over_tls": true,
        "source_ip_address": "lo", "validate_answer_rrs": {"fail_if_matches_regexp": ["a", "("]},
    }));
    let types = "write A, AAAA, CAA, CNAME, MX, NS, PTR, SOA, SRV, TXT or another type of record, or ANY";
    assert_eq!(
        faults.unwrap_err(),
        [
            ": server is missing: write the name server to ask, such as server: 192.0.2.53",
            ": query_name is missing: write the name to ask for, such as query_name: example.org",
            &format!("query_type: is nothing to ask for in one question: {types}"),
            "query_class: is not a class: write IN, CH, HS, NONE or ANY",
            "valid_rcodes[0]: is not a response code: write NOERROR, NXDOMAIN, SERVFAIL, REFUSED or another name of one",
            "source_ip_address: is not an address: write one of this machine's addresses, such as 192.0.2.10",
            "dns_over_tls: dns_over_tls needs transport_protocol: tcp",
            "validate_answer_rrs.fail_if_matches_regexp[1]: \"(\" is not a regular expression: unclosed group",
        ]
    );
}

#[test]
fn another_target_keeps_the_question() {
    let keys = json!({"server": "a", "query_name": "b", "transport_protocol": "tcp", "dns_over_tls": true});
    let settings = resolve(keys).unwrap();
    let aimed = settings.aimed_at("ns1").unwrap();
    assert_eq!(aimed.target(), "ns1:853");
    assert!(Arc::ptr_eq(&aimed.query, &settings.query));
    assert_eq!(
        settings.aimed_at("ns1:x").unwrap_err(),
        "\"ns1:x\" is not a name server: write its host or host:port, such as 192.0.2.53, ns1.example.org:5353 or \
         [2001:db8::53]:53"
    );
    let fault = settings.aimed_at("tls://user:secret@ns1").unwrap_err();
    assert!(fault.starts_with("this is not a name server"), "{fault}");
}
