//! The same modules and targets for the real blackbox_exporter and for ours: the same series with the same values, but for the
//! differences that docs/BLACKBOX-DIFFERENCES.md gives the reasons of.

mod dns;
mod dns_records;
mod expressions;
mod grpc;
mod http;
mod http2;
mod http_answers;
mod http_paths;
mod http_redirects;
mod http_tokens;
mod icmp;
mod old_tls;
mod tcp;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use tempfile::TempDir;

use crate::common::exporter::{Exporter, LONG};
use crate::common::servers::{Server, eventually, free_port, get, tool};
use crate::exposition::{family, series, types};
use crate::{ask, path};

/// This machine, and a name that there is not: behind a proxy a network fits no name.
const ALLOW: &str =
    "probe: { allow: [{ networks: [127.0.0.0/8, \"::1\"] }, { hosts: [nonexistent.invalid] }] }\n";

/// The real one.
struct Blackbox {
    _server: Server,
    port: u16,
    _dir: TempDir,
}

impl Blackbox {
    async fn start(modules: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("blackbox.yml");
        fs::write(&file, modules).unwrap();
        let port = free_port();
        let name = "prometheus-blackbox-exporter";
        let mut command = Command::new(tool(name, name));
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"));
        let server = Server::start(name, command, dir.path());
        eventually("blackbox_exporter answers", LONG, || async {
            get(&format!("http://127.0.0.1:{port}/-/healthy")).await
        })
        .await;
        Self {
            _server: server,
            port,
            _dir: dir,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

/// Something in which we differ on purpose; documented under its name.
struct Difference {
    name: &'static str,
    /// Whether it explains that `series` of the case has these values.
    explains: fn(case: &str, series: &str, theirs: Option<f64>, ours: Option<f64>) -> bool,
}

/// Where we differ in probes of several kinds.
const DIFFERENCES: &[Difference] = &[Difference {
    name: "Series of newer versions are reported",
    explains: |_, series, theirs, ours| {
        theirs.is_none()
            && match family(series) {
                "probe_tls_cipher_info" => ours == Some(1.0),
                "probe_timeout_seconds" => ours.is_some_and(|seconds| seconds > 0.0),
                _ => false,
            }
    },
}];

/// Whether a series is as where only one of them (or none) succeeds: `told` is what theirs and ours say. The others follow.
fn outcome(series: &str, theirs: Option<f64>, ours: Option<f64>, told: (f64, f64)) -> bool {
    series != "probe_success" || (theirs, ours) == (Some(told.0), Some(told.1))
}

/// Whether a family tells of a certificate or of a handshake.
fn is_of_tls(family: &str) -> bool {
    family.starts_with("probe_ssl_") || family.starts_with("probe_tls_")
}

/// Values that tell how long something took: compared by being there.
const DURATIONS: [&str; 6] = [
    "probe_duration_seconds",
    "probe_dns_lookup_time_seconds",
    "probe_http_duration_seconds",
    "probe_dns_duration_seconds",
    "probe_icmp_duration_seconds",
    "probe_grpc_duration_seconds",
];

/// A series of ours with the labels that 0.23 knows: without the serial number of the certificate, which is always there.
fn without_serial_number(series: String) -> String {
    if family(&series) != "probe_ssl_last_chain_info" {
        return series;
    }
    let (before, after) = series.split_once("serialnumber=\"").expect("a serial number");
    let (serial, after) = after.split_once("\",").expect("more labels");
    let is_hexadecimal = serial.bytes().all(|digit| b"0123456789abcdef".contains(&digit));
    assert!(
        is_hexadecimal && serial.len() % 2 == 0 && !serial.is_empty(),
        "{series}"
    );
    format!("{before}{after}")
}

fn compare(
    case: &str,
    theirs: &str,
    ours: &str,
    differences: &[&Difference],
    seen: &mut BTreeSet<&'static str>,
) -> Vec<String> {
    let mut unexplained = Vec::new();
    let (their_types, our_types) = (types(theirs), types(ours));
    for (name, kind) in &their_types {
        if our_types.get(name).is_some_and(|ours| ours != kind) {
            unexplained.push(format!(
                "{case}: the type of {name} is {kind} there and {} here",
                our_types[name]
            ));
        }
    }
    let theirs: BTreeMap<String, f64> = series(theirs);
    let ours: BTreeMap<String, f64> = series(ours)
        .into_iter()
        .map(|(name, value)| (without_serial_number(name), value))
        .collect();
    let names: BTreeSet<&String> = theirs.keys().chain(ours.keys()).collect();
    for name in names {
        let (theirs, ours) = (theirs.get(name).copied(), ours.get(name).copied());
        let both_there = theirs.is_some() && ours.is_some();
        if theirs == ours || (both_there && DURATIONS.contains(&family(name))) {
            continue;
        }
        let explained = differences
            .iter()
            .find(|difference| (difference.explains)(case, name, theirs, ours));
        match explained {
            Some(difference) => {
                seen.insert(difference.name);
            }
            None => unexplained.push(format!("{case}: {name}: theirs {theirs:?}, ours {ours:?}")),
        }
    }
    unexplained
}

/// A probe: what it is called here, the module (with more parameters), and the target.
struct Case {
    name: &'static str,
    module: &'static str,
    target: String,
}

fn cases(all: Vec<(&'static str, &'static str, String)>) -> Vec<Case> {
    all.into_iter()
        .map(|(name, module, target)| Case { name, module, target })
        .collect()
}

/// Probes each case with both, and holds the answers against each other. Each difference has to be seen: one that is not is
/// none any more.
async fn compare_all(modules: &str, cases: &[Case], own: &'static [Difference]) {
    let modules = format!("modules:{modules}");
    let blackbox = Blackbox::start(&modules).await;
    let exporter = Exporter::start(&format!("{modules}{ALLOW}"), &[]).await;
    let differences: Vec<&Difference> = DIFFERENCES.iter().chain(own).collect();
    let mut seen = BTreeSet::new();
    let mut unexplained = Vec::new();
    for Case { name, module, target } in cases {
        let path = path(module, target);
        let (their_url, our_url) = (blackbox.url(&path), exporter.url(&path));
        let (theirs, ours) = tokio::join!(ask(&their_url, &[]), ask(&our_url, &[]));
        assert_eq!((theirs.0, ours.0), (200, 200), "{name}: {} {}", theirs.1, ours.1);
        let (theirs, ours) = (theirs.1, ours.1);
        unexplained.extend(compare(name, &theirs, &ours, &differences, &mut seen));
    }
    assert!(
        unexplained.is_empty(),
        "{} differences:\n{}",
        unexplained.len(),
        unexplained.join("\n")
    );
    let stale: Vec<&str> = own
        .iter()
        .map(|difference| difference.name)
        .filter(|name| !seen.contains(name))
        .collect();
    assert!(stale.is_empty(), "no difference any more: {stale:?}");
}

#[test]
fn the_document_lists_the_differences_and_no_others() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/BLACKBOX-DIFFERENCES.md");
    let document = fs::read_to_string(path).unwrap();
    let (_, answered) = document.split_once("## Differences in responses\n").unwrap();
    let (answered, _) = answered.split_once("\n## ").unwrap_or((answered, ""));
    let documented: BTreeSet<&str> = answered
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .collect();
    let parts = [
        DIFFERENCES,
        http::DIFFERENCES,
        http2::DIFFERENCES,
        http_answers::DIFFERENCES,
        http_redirects::DIFFERENCES,
        tcp::DIFFERENCES,
        dns::DIFFERENCES,
        dns_records::DIFFERENCES,
        icmp::DIFFERENCES,
        old_tls::DIFFERENCES,
        grpc::DIFFERENCES,
    ];
    let tested: BTreeSet<&str> = parts
        .into_iter()
        .flatten()
        .map(|difference| difference.name)
        .collect();
    assert_eq!(documented, tested);
}
