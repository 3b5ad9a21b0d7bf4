//! The same processes, measured by Debian's process-exporter and by ours: every series is equal.
//!
//! The processes are stopped, so that no value changes. Only the proportional memory does, because it depends on other processes.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use super::series::{Series, families, of_groups};
use super::workload::{Workload, stop};
use crate::common::servers::{Server, eventually, free_port, get, tool};
use crate::{Exporter, LONG};

/// Both exporters with the same rules.
struct Pair {
    ours: Exporter,
    _peer: Server,
    peer_url: String,
}

/// Families that only ours has, with the reason in docs/MIGRATION-PROCESS-EXPORTER.md.
const ADDED: [&str; 4] = [
    "namedprocess_scrape_groups",
    "namedprocess_scrape_left_out_processes",
    "namedprocess_scrape_left_out_threads",
    "namedprocess_scrape_removed_groups_total",
];

/// Families of which only the name is compared: the errors of both exporters depend on when they read which process.
const ERRORS: [&str; 3] = [
    "namedprocess_scrape_errors",
    "namedprocess_scrape_partial_errors",
    "namedprocess_scrape_procread_errors",
];

impl Pair {
    /// Starts both, and waits until both have scanned.
    async fn start(workload: &Workload, peer_flags: &[&str], config: &str, flags: &[&str]) -> Self {
        let file = workload.path().join("all.yaml");
        fs::write(&file, format!("process_names:\n{}", workload.rules())).unwrap();
        let port = free_port();
        let mut command = Command::new(tool("prometheus-process-exporter", "prometheus-process-exporter"));
        command
            .args(["-config.path", file.to_str().unwrap()])
            .args(["-web.listen-address", &format!("127.0.0.1:{port}")])
            .args(peer_flags);
        let peer = Server::start("process-exporter", command, workload.path());
        let ours = Exporter::start(config, flags).await;
        let pair = Self {
            ours,
            _peer: peer,
            peer_url: format!("http://127.0.0.1:{port}/metrics"),
        };
        pair.scrape().await;
        pair
    }

    /// Scrapes both: first the peer, then ours.
    async fn scrape(&self) -> (String, String) {
        let ours = self.ours.url("/metrics/processes");
        let scrape = async |url: &str| eventually(url, LONG, || get(url)).await;
        (scrape(&self.peer_url).await, scrape(&ours).await)
    }

    /// Panics unless all series of the workload are equal. Returns ours.
    async fn compare(&self, workload: &Workload) -> BTreeMap<Series, f64> {
        let (peer, ours) = self.scrape().await;
        let (peer, ours) = (of_groups(&peer, &workload.word), of_groups(&ours, &workload.word));
        let wrong: Vec<String> = peer
            .keys()
            .chain(ours.keys())
            .filter(|series| !are_equal(series, peer.get(*series), ours.get(*series)))
            .map(|series| {
                format!(
                    "{series:?}: {:?} there, {:?} here",
                    peer.get(series),
                    ours.get(series)
                )
            })
            .collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        ours
    }
}

fn are_equal(series: &Series, peer: Option<&f64>, ours: Option<&f64>) -> bool {
    let (Some(peer), Some(ours)) = (peer, ours) else {
        return false;
    };
    let is_proportional = series
        .1
        .get("memtype")
        .is_some_and(|name| name.starts_with("proportional"));
    match is_proportional {
        // Other tests start and end processes that share pages with these.
        true => (ours - peer).abs() <= 0.5 * ours.max(*peer),
        false => (ours - peer).abs() <= 1e-9 * ours.abs().max(1.0),
    }
}

fn value(found: &BTreeMap<Series, f64>, name: &str, labels: &[(&str, &str)]) -> f64 {
    let labels = labels
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    let series = (format!("namedprocess_namegroup_{name}"), labels.collect());
    *found
        .get(&series)
        .unwrap_or_else(|| panic!("no {series:?} in {found:#?}"))
}

/// Process-exporter computes start times from a boot time in whole seconds, so a process counts as new for both only some seconds
/// after their start.
async fn pass_seconds() {
    let now = || procfs::Uptime::current().unwrap().uptime;
    use procfs::Current;
    let begun = now();
    eventually("some seconds pass", LONG, || async {
        (now() > begun + 2.5).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_series_is_that_of_process_exporter() {
    let mut workload = Workload::new();
    let word = workload.word.clone();
    for kind in ["sleeper", "sleeper"] {
        let id = workload.sleep_as(&format!("{word}-{kind}"));
        stop(id).await;
    }
    let full = workload.sleep_as(&format!("/usr/bin/{word}"));
    stop(full).await;
    let late = workload.nameless();

    let config = format!("process_groups:\n{}", workload.rules());
    let plain = Pair::start(&workload, &[], &config, &[]).await;
    let file = format!("--process.config={}", workload.path().join("all.yaml").display());
    let switches = [
        file.as_str(),
        "--process.children=false",
        "--process.threads=false",
        "--process.gather-smaps=false",
        "--process.recheck",
    ];
    let peer_switches = [
        "-children=false",
        "-threads=false",
        "-gather-smaps=false",
        "-recheck",
    ];
    let none = "services: [{ key: none, checks: [{ kind: process, match: [a], min: 0 }] }]";
    let switched = Pair::start(&workload, &peer_switches, none, &switches).await;

    pass_seconds().await;
    workload.work().await;
    workload.send_line();
    eventually("the late process has its name", LONG, || async {
        let line = fs::read_to_string(format!("/proc/{late}/cmdline")).ok()?;
        line.starts_with(&format!("{word}-late")).then_some(())
    })
    .await;
    stop(late).await;

    let user = Command::new("id").arg("-un").output().unwrap().stdout;
    let user = String::from_utf8(user).unwrap().trim().to_owned();
    let group = |kind: &str| format!("{word}-{kind}");
    for _ in 0..2 {
        let found = plain.compare(&workload).await;
        assert_eq!(
            value(&found, "num_procs", &[("groupname", &group("sleeper"))]),
            2.0
        );
        assert_eq!(
            value(
                &found,
                "num_procs",
                &[("groupname", &group(&format!("{word}:{user}")))]
            ),
            1.0
        );
        // With its child, which matches no rule.
        assert_eq!(value(&found, "num_procs", &[("groupname", &group("busy"))]), 2.0);
        assert!(
            value(
                &found,
                "cpu_seconds_total",
                &[("groupname", &group("busy")), ("mode", "user")]
            ) > 0.0
        );
        let threads = group("threads");
        let threads = |name| [("groupname", threads.as_str()), ("threadname", name)];
        assert_eq!(value(&found, "thread_count", &threads("first")), 1.0);
        assert_eq!(value(&found, "thread_count", &threads("second")), 1.0);
        assert!(
            !found
                .keys()
                .any(|(_, labels)| labels["groupname"] == group("late"))
        );

        let found = switched.compare(&workload).await;
        assert_eq!(value(&found, "num_procs", &[("groupname", &group("busy"))]), 1.0);
        assert_eq!(value(&found, "num_procs", &[("groupname", &group("late"))]), 1.0);
        assert!(
            !found
                .keys()
                .any(|(name, labels)| name.contains("thread_") || labels.contains_key("threadname"))
        );
    }
    let (peer, ours) = plain.scrape().await;
    let mut ours = families(&ours);
    let added: Vec<_> = ours
        .iter()
        .filter(|family| ADDED.contains(&family.0.as_str()))
        .cloned()
        .collect();
    assert_eq!(added.len(), ADDED.len());
    ours.retain(|family| !added.contains(family));
    assert_eq!(ours, families(&peer));
    assert!(
        ERRORS
            .iter()
            .all(|name| ours.iter().any(|family| family.0 == *name))
    );

    workload.kill();
    for _ in 0..2 {
        let found = plain.compare(&workload).await;
        assert_eq!(
            value(&found, "num_procs", &[("groupname", &group("threads"))]),
            0.0
        );
        assert!(
            value(
                &found,
                "cpu_seconds_total",
                &[("groupname", &group("busy")), ("mode", "user")]
            ) > 0.0
        );
        switched.compare(&workload).await;
    }
}
