//! Compares the texts of records with those that blackbox_exporter logs for the records of a real server.

use std::fs;
use std::process::Command;
use std::time::Duration;

use super::once;
use crate::common::knot::Knot;
use crate::common::servers::{Server, eventually, free_port, get, tool};

const QUESTIONS: [(&str, &str); 17] = [
    ("SOA", "example.org"),
    ("NS", "example.org"),
    ("MX", "example.org"),
    ("TXT", "example.org"),
    ("CAA", "example.org"),
    ("A", "ns1.example.org"),
    ("AAAA", "ns1.example.org"),
    ("A", "www.example.org"),
    ("PTR", "pointer.example.org"),
    ("SRV", "_sip._tcp.example.org"),
    ("HINFO", "host.example.org"),
    ("A", r"we\.ird\032x.example.org"),
    ("A", "nobody.example.org"),
    ("TLSA", "tlsa.example.org"),
    ("SSHFP", "sshfp.example.org"),
    ("NAPTR", "naptr.example.org"),
    ("DS", "child.example.org"),
];

/// The records that blackbox_exporter validated, from the output with `debug=true`.
fn records(page: &str) -> Vec<String> {
    let lines = page.lines().filter(|line| line.contains("msg=\"Validating RR\""));
    let quoted = lines.map(|line| line.split_once(" rr=").unwrap().1);
    // Go quotes these texts like JSON.
    quoted.map(|text| serde_json::from_str(text).unwrap()).collect()
}

#[tokio::test]
async fn expressions_match_the_same_texts_as_in_blackbox_exporter() {
    let knot = Knot::start().await;
    let dir = tempfile::tempdir().unwrap();
    let modules: String = QUESTIONS
        .iter()
        .enumerate()
        .map(|(index, (kind, name))| {
            format!(
                "  m{index}: {{ prober: dns, dns: {{ query_type: {kind}, query_name: '{name}', \
                 valid_rcodes: [NOERROR, NXDOMAIN] }} }}\n"
            )
        })
        .collect();
    fs::write(dir.path().join("modules.yml"), format!("modules:\n{modules}")).unwrap();
    let port = free_port();
    let mut command = Command::new(tool(
        "prometheus-blackbox-exporter",
        "prometheus-blackbox-exporter",
    ));
    command
        .arg(format!(
            "--config.file={}",
            dir.path().join("modules.yml").display()
        ))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"));
    let _server = Server::start("blackbox", command, dir.path());
    let url = format!("http://127.0.0.1:{port}");
    eventually("blackbox_exporter answers", Duration::from_secs(10), || get(&url)).await;
    let mut seen = 0;
    for (index, (kind, name)) in QUESTIONS.iter().enumerate() {
        let probe = format!("{url}/probe?target={}&module=m{index}&debug=true", knot.address);
        let texts = records(&get(&probe).await.unwrap());
        seen += texts.len();
        // Every record has one of the texts, in any section. The counts below must be equal.
        let any: Vec<String> = texts
            .iter()
            .map(|text| format!("^{}$", regex::escape(text)))
            .collect();
        let yaml = |expression: &str| format!("'{}'", expression.replace('\'', "''"));
        let all = yaml(&any.join("|"));
        let sections = ["answer", "authority", "additional"];
        let each: Vec<String> = sections
            .iter()
            .map(|section| format!("validate_{section}_rrs: {{ fail_if_all_match_regexp: [{all}] }}"))
            .collect();
        let question = format!("query_type: {kind}, query_name: '{name}', valid_rcodes: [NOERROR, NXDOMAIN]");
        let ran = once(knot.address, &format!("{question}, {}", each.join(", "))).await;
        ran.succeeded();
        let count: f64 = super::records(&ran).iter().sum();
        assert_eq!(
            count,
            f64::from(u16::try_from(texts.len()).unwrap()),
            "{kind} {name}"
        );
    }
    assert!(seen >= 20, "{seen} records");
}
