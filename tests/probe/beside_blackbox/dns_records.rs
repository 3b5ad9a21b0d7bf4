//! The texts of records of all types: expressions match the same ones as in blackbox_exporter.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::net::UdpSocket;
use upkeep_exporter::config::dns::RecordType;

use super::{ALLOW, Blackbox, Difference, compare};
use crate::common::exporter::Exporter;
use crate::exposition::series;
use crate::{ask, path};

/// Records with their texts in the current version of blackbox_exporter and, if it differs, in 0.23.
const TEXTS: &str = include_str!("records.txt");
/// The pseudo-record of EDNS, which is in the additional section.
const OPT: u16 = 41;

/// Where we differ in the texts of records.
pub const DIFFERENCES: &[Difference] = &[Difference {
    name: "Records have the text of newer versions",
    explains: |case, series, theirs, ours| {
        let expected = match () {
            () if case.starts_with("newer_") => (Some(0.0), Some(1.0)),
            () if case.starts_with("older_") => (Some(1.0), Some(0.0)),
            () => return false,
        };
        series == "probe_success" && (theirs, ours) == expected
    },
}];

/// A record of the list.
struct Record {
    kind: u16,
    /// The fields after the name, and the data.
    bytes: Vec<u8>,
    text: String,
    old_text: Option<String>,
}

impl Record {
    fn parse(line: &str) -> Self {
        let columns: Vec<&str> = line.split('\t').collect();
        let kind: u16 = columns[0].parse().unwrap();
        let class: u16 = columns[1].parse().unwrap();
        let ttl: u32 = columns[2].parse().unwrap();
        let pairs = columns[3].as_bytes().chunks(2);
        let data: Vec<u8> = pairs
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect();
        let length = u16::try_from(data.len()).unwrap();
        Self {
            kind,
            bytes: [
                &kind.to_be_bytes()[..],
                &class.to_be_bytes(),
                &ttl.to_be_bytes(),
                &length.to_be_bytes(),
                &data,
            ]
            .concat(),
            text: serde_json::from_str(columns[4]).unwrap(),
            old_text: columns.get(5).map(|text| serde_json::from_str(text).unwrap()),
        }
    }

    /// A type that 0.23 knows: that of the record, or A.
    fn query_type(&self) -> &'static str {
        let is_new = matches!(self.kind, 20 | 30 | 45 | 128 | 260 | 261);
        let name = RecordType(self.kind).name().filter(|_| !is_new);
        name.unwrap_or("A")
    }

    /// Answers queries for its type with this record.
    async fn serve(self: Arc<Self>) -> String {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            let expected = RecordType::parse(self.query_type()).unwrap().0.to_be_bytes();
            let mut query = [0; 512];
            while let Ok((length, peer)) = socket.recv_from(&mut query).await {
                let query = &query[..length];
                if query[length - 4..length - 2] != expected {
                    continue;
                }
                let mut reply = query.to_vec();
                reply[2] |= 0x80;
                reply[if self.kind == OPT { 11 } else { 7 }] = 1;
                reply.extend(b"\xc0\x0c");
                reply.extend(&self.bytes);
                let _ = socket.send_to(&reply, peer).await;
            }
        });
        address
    }

    /// A module that succeeds if the record has this text.
    fn module(&self, name: &str, text: &str) -> String {
        let section = if self.kind == OPT { "additional" } else { "answer" };
        let pattern = serde_json::Value::from(format!("^\\Q{text}\\E$"));
        format!(
            "\n  {name}: {{ prober: dns, timeout: 5s, dns: {{ query_name: example.org, query_type: \"{}\", \
             validate_{section}_rrs: {{ fail_if_not_matches_regexp: [{pattern}] }} }} }}",
            self.query_type()
        )
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_of_all_types_have_the_same_text() {
    let lines = TEXTS.lines().filter(|line| !line.starts_with('#'));
    let records = lines.map(|line| Arc::new(Record::parse(line)));
    let mut modules = "modules:".to_owned();
    let mut cases = Vec::new();
    for (index, record) in records.enumerate() {
        let target = Arc::clone(&record).serve().await;
        let age = if record.old_text.is_some() {
            "newer"
        } else {
            "same"
        };
        let texts = [(age, Some(&record.text)), ("older", record.old_text.as_ref())];
        for (age, text) in texts {
            if let Some(text) = text {
                let name = format!("{age}_{index}");
                modules.push_str(&record.module(&name, text));
                cases.push((name, text.clone(), target.clone()));
            }
        }
    }
    modules.push('\n');
    let blackbox = Blackbox::start(&modules).await;
    let exporter = Exporter::start(&format!("{modules}{ALLOW}"), &[]).await;
    let differences: Vec<&Difference> = super::DIFFERENCES.iter().chain(DIFFERENCES).collect();
    let (mut wrong, mut seen) = (Vec::new(), BTreeSet::new());
    for (name, text, target) in &cases {
        let path = path(name, target);
        let (their_url, our_url) = (blackbox.url(&path), exporter.url(&path));
        let (theirs, ours) = tokio::join!(ask(&their_url, &[]), ask(&our_url, &[]));
        let differing = compare(name, &theirs.1, &ours.1, &differences, &mut seen);
        wrong.extend(differing.into_iter().map(|line| format!("{line} ({text:?})")));
        // If the text is the same, both succeed.
        let success = series(&ours.1)
            .into_iter()
            .find(|(name, _)| name == "probe_success");
        if name.starts_with("same_") && success.is_none_or(|(_, value)| value != 1.0) {
            wrong.push(format!("{name}: the text is not {text:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(!seen.is_empty(), "no text differs any more");
}
