//! Discovery in a container without systemd: namespaces of their own, with servers that behave badly.

mod first_start;
mod namespaces;
mod own_program;
mod podman;
mod rabbitmq;
mod stores;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use upkeep_exporter::config::{Config, parse};

use namespaces::{counts, run_in};

/// The servers: the name of the script, how it behaves, its ports.
const SERVERS: [(&str, &str, &str); 6] = [
    ("web.py", "http", "8001-8001"),
    ("events.py", "endless", "8003-8003"),
    ("mute.py", "mute", "7001-7001"),
    ("flood.py", "flood", "7002-7002"),
    ("printer.py", "mute", "9100-9101"),
    ("many.py", "mute", "12001-12500"),
];

/// The end of a script that wrote what discovery found to `found.yml`: the file is valid, and no check in it fails.
const CHECK_FOUND: &str = r#"
"$1" check-config found.yml >/dev/null
healthy() { "$1" check -o csv --config.file=found.yml >checked; }
wait_for healthy "$1"
"#;

/// Runs a script with the exporter as `$1` in namespaces with the servers. Returns its output, and how many connections each port
/// received.
fn run(user: &str, script: &str) -> (String, BTreeMap<u16, u64>) {
    let dir = tempfile::tempdir().unwrap();
    let said = run_in(
        dir.path(),
        &SERVERS,
        &format!("{user} sh -ec '{script}' sh \"$1\""),
    );
    (said, counts(dir.path()))
}

fn loaded(text: &str) -> Config {
    parse(text, "found")
        .unwrap_or_else(|error| panic!("{error}\n{text}"))
        .config
}

fn targets(config: &Config, key: &str) -> Vec<String> {
    let service = config.services.iter().find(|service| service.key.as_str() == key);
    let service = service.unwrap_or_else(|| panic!("{key} is missing: {:?}", config.services));
    service.checks.iter().map(|check| check.kind.target()).collect()
}

#[test]
fn servers_that_behave_badly_are_left_alone() {
    let mut began = Instant::now();
    let (mut text, mut counts) = run("", "$1 discover");
    // A server on a busy machine may need more than the 1 s of a connection for three pages.
    for _ in 0..4 {
        if text.contains(":8001/healthz") {
            break;
        }
        began = Instant::now();
        (text, counts) = run("", "$1 discover");
    }
    let config = loaded(&text);
    assert!(
        targets(&config, "web.py").contains(&"http://127.0.0.1:8001/healthz".to_owned()),
        "{text}"
    );
    assert_eq!(targets(&config, "mute.py")[0], "tcp *:7001");
    assert_eq!(targets(&config, "flood.py")[0], "tcp *:7002");
    assert_eq!(targets(&config, "many.py")[0], "tcp *:12001");
    assert!(
        text.contains("units of systemd are not known: no D-Bus"),
        "{text}"
    );
    let printers = [counts.get(&9100), counts.get(&9101)];
    assert_eq!(printers, [None, None], "printers print what they receive");
    // A check that reads a stream of events would fail.
    assert_eq!(
        targets(&config, "events.py")[..2],
        ["tcp *:8003", "127.0.0.1:8003"]
    );
    assert_eq!(counts.len(), 504, "every other port is asked");
    assert!(counts.values().all(|count| *count == 1), "{counts:?}");
    // 503 ports that say nothing for a second, 64 at once, take 8 s.
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
}

/// In a container, a user without privileges finds the same services, except for the names of the programs.
#[test]
fn no_check_fails_in_a_container() {
    for user in ["", "setpriv --reuid=nobody --regid=nogroup --clear-groups"] {
        let (said, counts) = run(user, "$1 check -o csv");
        assert!(said.contains(",up,"), "{said}");
        assert!(
            !said.contains(",down,") && !said.contains(",degraded,") && !said.contains(",unknown,"),
            "{said}"
        );
        assert_eq!(counts.get(&9100), None, "{counts:?}");
    }
}

/// The page has the services of the machine within 3 s of the start; on a busy machine, it may take longer.
#[test]
fn a_bare_container_shows_its_services_at_the_first_start() {
    let script = "$1 --log.format=json --control.socket= 2>log & timeout 40 sh -c \"until curl -sf -m 5 http://127.0.0.1:10100/-/ready; do sleep 0.1; done\" >/dev/null; \
                  timeout 40 sh -c \"until curl -sf -m 5 http://127.0.0.1:10100/metrics | grep -q ^upkeep_service_up.*many.py.*1$; do sleep 0.1; done\"; \
                  curl -sf -m 5 http://127.0.0.1:10100/metrics | grep ^upkeep_service_up; curl -sf -m 5 http://127.0.0.1:10100/; kill $!";
    let (said, counts) = run("", script);
    for key in ["upkeep_exporter", "machine", "web.py", "mute.py", "many.py"] {
        let up = said
            .lines()
            .find(|line| line.starts_with("upkeep_service_up{") && line.contains(&format!("\"{key}\"")));
        assert!(up.is_some_and(|line| line.ends_with(" 1")), "{key}: {said}");
    }
    assert!(
        said.contains("discover --write"),
        "the page says how to write a file: {said}"
    );
    assert_eq!(counts.get(&7001), Some(&1), "{counts:?}");
}
