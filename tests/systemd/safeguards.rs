//! Each safeguard of healing that concerns one service: the API and the metrics name it, and systemd did not start the unit. Other
//! units that fail at the same time are restarted.

use std::collections::BTreeMap;

use crate::common::healing::{
    Exporter, Without, config, events, status, until_event, until_refused, until_up,
};
use crate::common::servers::free_port;
use crate::common::systemd::Machine;
use crate::healed_units::{crash, healed, last_start, start_units, systemctl, unit, unit_check, up};

/// Services that are refused when their units fail for the first time, and the reason.
const AT_ONCE: [(&str, &str); 4] = [
    ("paused", "paused"),
    ("redis", "stateful"),
    ("planned", "maintenance"),
    ("dependent", "dependency_down"),
];

/// Services that are down all the time, and the reason why nothing is done.
const ALWAYS: [(&str, &str); 2] = [("missing", "target_missing"), ("runs", "already_running")];

/// Services that are healed once, and the reason why not twice.
const AFTER_AN_ACTION: [(&str, &str); 2] = [("backoff", "backoff"), ("budget", "budget")];

/// A service whose unit fails soon after every start, and which gets a long time to recover.
const FUTILE: (&str, &str) = ("futile", "verifying");
const FAILS: &str = "[Service]
ExecStart=/bin/sh -c 'sleep 0.2; exit 1'
";

/// Services without a safeguard: `mysql` has the name of a store, but may be restarted.
const FREE: [&str; 2] = ["free", "mysql"];

/// The services that are not healed need as many that are up. Otherwise, they would be a storm.
const UP: usize = 14;

fn services(machine: &Machine, port: u16) -> Vec<String> {
    let database = format!("{{ kind: tcp, address: '127.0.0.1:{port}' }}");
    // Nobody listens on port 1.
    let closed = "{ kind: tcp, address: '127.0.0.1:1' }";
    let runs = unit_check(machine, &unit("runs"));
    vec![
        healed(machine, "free", "", ""),
        healed(machine, "mysql", ", stateful: true", ""),
        healed(machine, "redis", "", ""),
        healed(machine, "paused", "", ""),
        healed(machine, "planned", "", ""),
        healed(machine, "dependent", "", ", depends_on: [database]"),
        format!("  - {{ key: database, checks: [{database}] }}\n"),
        healed(machine, "backoff", ", backoff: { min: 10m, max: 10m }", ""),
        healed(machine, "budget", ", budget: { per_service: 1 }", ""),
        healed(machine, FUTILE.0, ", start_grace: 10m", ""),
        healed(machine, "missing", "", ""),
        format!("  - {{ key: runs, heal: {{ mode: act, action: start }}, checks: [{runs}, {closed}] }}\n"),
        up(machine, UP),
    ]
}

/// What systemd records about the last start of every unit.
async fn last_starts(machine: &'static Machine, keys: &[&'static str]) -> BTreeMap<&'static str, String> {
    let mut starts = BTreeMap::new();
    for key in keys {
        starts.insert(*key, last_start(machine, key).await);
    }
    starts
}

#[tokio::test(flavor = "multi_thread")]
async fn each_safeguard_of_a_service_prevents_its_restart() {
    let machine = Machine::shared();
    let keys = |pairs: &[(&'static str, &str)]| pairs.iter().map(|(key, _)| *key).collect::<Vec<_>>();
    let at_once = keys(&AT_ONCE);
    let repeated = [keys(&AFTER_AN_ACTION), FREE.to_vec()].concat();
    let crashing = [at_once.clone(), repeated.clone()].concat();
    start_units(machine, &crashing).await;
    start_units(machine, &["runs"]).await;
    machine.write_unit(&unit(FUTILE.0), FAILS);
    systemctl(machine, "start", &[FUTILE.0]).await;
    let port = free_port();
    let exporter = Exporter::start(&config("", &services(machine, port)), Without::default()).await;
    let url = exporter.url.as_str();
    until_up(url, &crashing).await;
    exporter.command(&["heal", "pause", "paused"]).await;
    exporter
        .command(&["maintenance", "start", "planned", "--for=1h", "--reason=test"])
        .await;
    let untouched = [at_once.clone(), keys(&ALWAYS)].concat();
    let before = last_starts(machine, &untouched).await;

    // The first crash.
    crash(machine, &crashing).await;
    for key in FREE.iter().chain(&["backoff", "budget"]) {
        until_event(url, key, "helped", 1).await;
    }
    until_refused(url, FUTILE.0, FUTILE.1).await;
    for (key, reason) in AT_ONCE.iter().chain(&ALWAYS) {
        until_refused(url, key, reason).await;
    }

    // The second crash.
    let after_an_action = keys(&AFTER_AN_ACTION);
    let acted_on = [after_an_action.clone(), vec![FUTILE.0]].concat();
    let once = last_starts(machine, &acted_on).await;
    until_up(url, &repeated).await;
    crash(machine, &repeated).await;
    for key in FREE {
        until_event(url, key, "helped", 2).await;
    }
    for (key, reason) in AFTER_AN_ACTION.into_iter().chain([FUTILE]) {
        until_refused(url, key, reason).await;
        assert_eq!(events(&status(url, key).await, "acting"), 1, "{key}");
    }
    assert_eq!(last_starts(machine, &acted_on).await, once);
    assert_eq!(last_starts(machine, &untouched).await, before);

    // Without the cause of the refusal, the unit is restarted.
    exporter.command(&["heal", "resume", "paused"]).await;
    exporter.command(&["maintenance", "end", "planned"]).await;
    let _database = listen(port).await;
    for key in ["paused", "planned", "dependent"] {
        until_event(url, key, "acted", 1).await;
        assert_ne!(last_start(machine, key).await, before[key], "{key}");
    }
}

/// A database that accepts connections.
async fn listen(port: u16) -> tokio::task::JoinHandle<()> {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(stream);
        }
    })
}
