//! Tests of the dns check with a real name server and with servers that misbehave.

mod faults;
mod reference;

use upkeep_exporter::check::{Check, CheckContext};
use upkeep_exporter::model::{Problem, Reason, Report};

use crate::common::knot::Knot;
use crate::common::ran::{LONG, Ran, check, run};
use crate::common::targets::tls;

/// Runs a new check of this server with these keys once.
async fn once(server: impl std::fmt::Display, keys: &str) -> Ran {
    run!(check(&format!("kind: dns, server: \"{server}\", {keys}")), LONG)
}

/// The number of records in each section of the response.
fn records(ran: &Ran) -> [f64; 3] {
    ["answer", "authority", "additional"]
        .map(|section| ran.value("upkeep_dns_records", Some(section)).unwrap())
}

fn rcode(ran: &Ran) -> Option<f64> {
    ran.value("upkeep_dns_response_code", None)
}

fn serial(ran: &Ran) -> Option<f64> {
    ran.value("upkeep_dns_soa_serial", None)
}

/// Runs a probe with these keys. Returns its result, and its values with their labels.
async fn probed(keys: &str) -> (Result<(), Problem>, Vec<(String, f64)>) {
    let settings = std::sync::Arc::new(crate::common::config::check(keys));
    let mut check = Check::new(&settings, &CheckContext::new("/proc".into()));
    let mut report = Report {
        probe: Some(Vec::new()),
        ..Report::default()
    };
    let result = tokio::time::timeout(LONG, check.run(&mut report)).await.unwrap();
    let samples = report.probe.unwrap().into_iter().map(|sample| {
        let name = [sample.family.name, &sample.labels.join(",")].join(" ");
        (name.trim_end().to_owned(), sample.value)
    });
    (result, samples.collect())
}

#[tokio::test]
async fn every_transport_delivers_the_response() {
    let knot = Knot::start().await;
    let authority = tls::Authority::new("dns");
    let front = tls::in_front_of(&authority.issue(&["localhost"], 2099), knot.address).await;
    let ca = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(ca.path(), authority.pem()).unwrap();
    let tls_keys = format!(
        "transport_protocol: tcp, dns_over_tls: true, tls_config: {{ ca_file: {}, server_name: localhost }}",
        ca.path().display()
    );
    for (server, keys) in [
        (knot.address, "transport_protocol: udp"),
        (knot.address, "transport_protocol: tcp"),
        (
            knot.address,
            "transport_protocol: udp, source_ip_address: 127.0.0.7",
        ),
        (
            knot.address,
            "transport_protocol: tcp, source_ip_address: 127.0.0.7",
        ),
        (front.address, &tls_keys),
    ] {
        let ran = once(
            server,
            &format!("query_name: example.org, query_type: SOA, {keys}"),
        )
        .await;
        ran.succeeded();
        assert_eq!(
            (rcode(&ran), serial(&ran)),
            (Some(0.0), Some(2_024_010_203.0)),
            "{keys}"
        );
        assert_eq!(records(&ran), [1.0, 0.0, 0.0], "{keys}");
        assert_eq!(ran.not_after().is_some(), server == front.address, "{keys}");
    }
    front.freed().await;
    let untrusted = tls_keys.replace("server_name: localhost", "server_name: elsewhere");
    once(front.address, &format!("query_name: example.org, {untrusted}"))
        .await
        .failed(Reason::Tls, "elsewhere")
        .without_response();
}

#[tokio::test]
async fn the_response_code_decides() {
    let knot = Knot::start().await;
    for (name, code, word) in [
        ("nobody.example.org", 3.0, "NXDOMAIN"),
        ("broken.test", 2.0, "SERVFAIL"),
        ("elsewhere.test", 5.0, "REFUSED"),
    ] {
        let keys = format!("query_name: {name}, query_type: A");
        let ran = once(knot.address, &keys).await;
        ran.failed(
            Reason::Status,
            &format!("{name}. A: the response code is {word}, expected NOERROR"),
        );
        assert_eq!(rcode(&ran), Some(code));
        assert!(ran.report.response_time.is_some(), "it responded");
        let fine = format!("{keys}, valid_rcodes: [NOERROR, {word}]");
        once(knot.address, &fine).await.succeeded();
    }
}

#[tokio::test]
async fn validators_apply_to_the_records_of_their_section() {
    let knot = Knot::start().await;
    let mx = "query_name: example.org, query_type: MX";
    for (key, expression, fault) in [
        (
            "validate_answer_rrs: { fail_if_not_matches_regexp",
            r"\tMX\t10 mail\.",
            None,
        ),
        (
            "validate_answer_rrs: { fail_if_matches_regexp",
            "mail",
            Some("answer section: \"example.org. 300 IN MX 10 mail.example.org.\" matches /mail/"),
        ),
        (
            "validate_additional_rrs: { fail_if_matches_regexp",
            "192[.]0[.]2[.]2$",
            Some("additional section: \"mail.example.org. 300 IN A 192.0.2.2\" matches"),
        ),
        (
            "validate_authority_rrs: { fail_if_none_matches_regexp",
            "a",
            Some("authority section: there are no records"),
        ),
    ] {
        let ran = once(knot.address, &format!("{mx}, {key}: ['{expression}'] }}")).await;
        match fault {
            None => ran.succeeded(),
            Some(fault) => ran.failed(Reason::Assertion, fault),
        };
        assert_eq!(records(&ran), [1.0, 0.0, 1.0]);
    }
}

/// In presentation format, and in that of RFC 3597 for unknown types.
#[tokio::test]
async fn records_of_other_types_have_a_text() {
    let knot = Knot::start().await;
    for (kind, name, text) in [
        (
            "DNAME",
            "alias",
            r"^alias\.example\.org\.\t300\tIN\tDNAME\texample\.net\.$",
        ),
        (
            "HTTPS",
            "service",
            r"^service\.example\.org\.\t300\tIN\tHTTPS\t1 ",
        ),
        (
            "ANY",
            "unknown",
            r"^unknown\.example\.org\.\t300\tCLASS1\tTYPE65280\t\\# 4 01020304$",
        ),
    ] {
        let demand = format!("validate_answer_rrs: {{ fail_if_not_matches_regexp: ['{text}'] }}");
        let keys = format!("query_name: {name}.example.org, query_type: {kind}, {demand}");
        once(knot.address, &keys).await.succeeded();
    }
}

#[tokio::test]
async fn a_truncated_response_is_evaluated_as_received() {
    let knot = Knot::start().await;
    let big = "query_name: big.example.org, query_type: TXT";
    let ran = once(knot.address, big).await;
    assert_eq!(records(ran.succeeded()), [0.0; 3]);
    let demand = "validate_answer_rrs: { fail_if_none_matches_regexp: ['\"3a'] }";
    once(knot.address, &format!("{big}, {demand}"))
        .await
        .failed(Reason::Assertion, "truncated to fit into a datagram");
    let ran = once(knot.address, &format!("{big}, {demand}, transport_protocol: tcp")).await;
    assert_eq!(records(ran.succeeded()), [4.0, 0.0, 0.0]);
}

#[tokio::test]
async fn a_probe_has_the_samples_of_blackbox_exporter() {
    let knot = Knot::start().await;
    let keys = format!("kind: dns, server: \"{}\", query_name: example.org", knot.address);
    let names =
        |values: &[(String, f64)]| -> Vec<String> { values.iter().map(|(name, _)| name.clone()).collect() };
    let value = |values: &[(String, f64)], wanted: &str| {
        values
            .iter()
            .find(|(name, _)| name == wanted)
            .map(|(_, value)| *value)
    };
    let (result, values) = probed(&format!("{keys}, query_type: SOA")).await;
    result.unwrap();
    assert_eq!(
        names(&values),
        [
            "probe_dns_lookup_time_seconds",
            "probe_ip_protocol",
            "probe_ip_addr_hash",
            "probe_dns_duration_seconds resolve",
            "probe_dns_duration_seconds connect",
            "probe_dns_duration_seconds request",
            "probe_dns_answer_rrs",
            "probe_dns_authority_rrs",
            "probe_dns_additional_rrs",
            "probe_dns_query_succeeded",
            "probe_dns_serial",
        ]
    );
    assert_eq!(value(&values, "probe_dns_serial"), Some(2_024_010_203.0));
    assert_eq!(value(&values, "probe_dns_answer_rrs"), Some(1.0));
    assert!(value(&values, "probe_dns_duration_seconds request") > Some(0.0));
    let (result, values) = probed(&format!("{keys}, query_type: A, transport_protocol: tcp")).await;
    result.unwrap();
    assert_eq!(value(&values, "probe_dns_serial"), None);
    assert!(value(&values, "probe_dns_duration_seconds connect") > Some(0.0));
    drop(knot);
    let (result, values) = probed(&keys).await;
    assert_eq!(result.unwrap_err().reason, Reason::Refused);
    assert_eq!(value(&values, "probe_dns_query_succeeded"), Some(0.0));
    assert_eq!(value(&values, "probe_dns_answer_rrs"), Some(0.0));
}
