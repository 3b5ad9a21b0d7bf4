//! Each safeguard of healing that depends on a container: the API and the metrics name it, and podman did not start the container.
//! Another container that fails at the same time is restarted.

use std::collections::BTreeMap;

use crate::common::healing::{
    Exporter, Without, config, events, status, until_event, until_refused, until_up,
};
use crate::common::podman::Podman;

/// Fails when the file `/crash` appears, and removes it.
const CRASHES: &str = "while ! rm /crash 2>/dev/null; do sleep 0.1; done; exit 1";

/// Containers that fail, and why they are not restarted.
const CRASHING: [(&str, &str); 2] = [("shop-redis-1", "stateful"), ("restarted", "auto_restart")];

/// Services that are down for another reason, and why nothing is done.
const OTHERS: [(&str, &str); 4] = [
    ("stopped", "stopped_by_operator"),
    ("fresh", "start_grace"),
    ("missing", "target_missing"),
    ("lost", "target_unknown"),
];

/// The services that are not healed need as many that are up. Otherwise, they would be a storm.
const UP: usize = 8;

/// Nobody listens on this port.
const CLOSED: &str = "{ kind: tcp, address: '127.0.0.1:1' }";

fn services(podman: &Podman) -> Vec<String> {
    let service = |key: &str, heal: &str, more: &str| {
        let keys = podman.keys(key);
        format!("  - {{ key: {key}, heal: {{ mode: act{heal} }}, checks: [{{ {keys} }}{more}] }}\n")
    };
    let mut services: Vec<String> = ["free", "shop-redis-1", "restarted", "stopped", "missing"]
        .iter()
        .map(|key| service(key, "", ""))
        .collect();
    let more = format!(", {CLOSED}");
    services.push(service("fresh", ", start_grace: 10m", &more));
    // Its engine does not run.
    services.push(service("lost", "", &more).replace("api.sock", "absent.sock"));
    let up = podman.keys("up");
    services.extend((0..UP).map(|number| format!("  - {{ key: up{number}, checks: [{{ {up} }}] }}\n")));
    services
}

/// When podman last started the containers.
fn last_starts(podman: &Podman, names: &[&'static str]) -> BTreeMap<&'static str, String> {
    let start = |name: &str| podman.cli(&["inspect", "--format={{.State.StartedAt}}", name]);
    names.iter().map(|name| (*name, start(name))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_safeguard_of_a_container_prevents_its_restart() {
    let podman = Podman::start().await;
    for name in ["free", "shop-redis-1", "stopped", "fresh", "up"] {
        podman.run(name, &["--stop-timeout=1"], CRASHES);
    }
    podman.run_with_late_restart("restarted", &["--restart=always", "--stop-timeout=1"], CRASHES);
    let exporter = Exporter::start(&config("", &services(&podman)), Without::default()).await;
    let url = exporter.url.as_str();
    until_up(url, &["free", "shop-redis-1", "restarted", "stopped"]).await;
    let untouched = ["shop-redis-1", "stopped", "fresh"];
    let before = last_starts(&podman, &untouched);
    podman.cli(&["stop", "stopped"]);
    for name in ["free", "shop-redis-1", "restarted"] {
        podman.cli(&["exec", name, "/bin/touch", "/crash"]);
    }
    // The container is restarted soon, so this comes first.
    for (key, reason) in CRASHING.iter().rev().chain(&OTHERS) {
        until_refused(url, key, reason).await;
    }
    until_event(url, "free", "helped", 1).await;
    until_up(url, &["restarted"]).await;
    let restarts = podman.cli(&["inspect", "--format={{.RestartCount}}", "restarted"]);
    assert_eq!(restarts, "1", "only its restart policy restarted it");
    for (key, _) in CRASHING.iter().chain(&OTHERS) {
        assert_eq!(events(&status(url, key).await, "acting"), 0, "{key}");
    }
    assert_eq!(last_starts(&podman, &untouched), before);
}
