//! The first start when a source hangs, and what changes while the exporter runs.

use std::fs;

use super::namespaces::{number, run_in, services};

/// A container engine, or a D-Bus, that accepts connections and never responds.
const HANGS: &str = r#"
import asyncio, sys
async def main():
    async def hang(reader, writer): await asyncio.sleep(1000)
    for path in sys.argv[1:]: await asyncio.start_unix_server(hang, path)
    await asyncio.sleep(1000)
asyncio.run(main())
"#;

/// How long the start may take on a busy machine; 3 s on one with nothing else to do. If the engines waited for one another, it would take
/// more than 6 s everywhere.
const LIMIT_MS: u64 = 6000;

/// Three engines, systemd and a server hang. The other services are shown as soon as without them.
#[test]
fn a_source_that_hangs_delays_nothing() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("hangs.py"), HANGS).unwrap();
    let script = r#"
mkdir -p /run/podman /run/dbus
/usr/bin/python3 hangs.py /run/docker.sock /run/podman/podman.sock /run/engine.sock /run/dbus/system_bus_socket &
wait_for [ -S /run/dbus/system_bus_socket ]
export DOCKER_HOST=unix:///run/engine.sock
# A busy machine may be slow once.
for attempt in 1 2 3 4 5; do
    begin=$(now)
    "$1" --control.socket= 2>log$attempt & exporter=$!
    wait_for shows web.py
    took=$(($(now) - begin))
    # Its health page may have been too late for the first look.
    if [ $took -le LIMIT ] && grep -q ':8001/healthz' status; then break; fi
    kill $exporter
    wait $exporter || :
done
echo took $took
cat status"#;
    let servers = [("web.py", "http", "8001-8001"), ("mute.py", "mute", "7001-7001")];
    let said = run_in(
        dir.path(),
        &servers,
        &script.replace("LIMIT", &LIMIT_MS.to_string()),
    );
    let took = number(&said, "took");
    println!("with sources that hang, the services were shown {took} ms after the start");
    assert!(took <= LIMIT_MS, "{took} ms");
    let document = said.lines().find(|line| line.starts_with('{')).unwrap();
    let services = services(document);
    let targets = services["web.py"]["checks"].to_string();
    assert!(targets.contains("http://127.0.0.1:8001/healthz"), "{targets}");
    assert!(services.contains_key("mute.py"), "{services:?}");
}

/// Looks every second. A server that starts is added once, one that ends is down, and nothing else changes from look to look.
#[test]
fn services_appear_and_disappear_without_churn() {
    let dir = tempfile::tempdir().unwrap();
    let script = r#"
"$1" --discover.interval=1 --log.level=debug --control.socket= 2>log & exporter=$!
wait_for shows web.py
looks() { grep -c 'looked at the machine' log || :; }
loads() { grep -c 'configuration loaded' log || :; }
up() { curl -sf -m 5 http://127.0.0.1:10100/metrics | grep "^upkeep_service_up{.*\"$1\".* $2\$" >/dev/null; }
later() { wait_for sh -c "[ \$(grep -c 'looked at the machine' log) -ge $(($(looks) + $1)) ]"; }
# Until four looks in a row change nothing: a server is connected to at most three times.
settle() {
    rounds=0
    before=none
    until [ $before = $(loads) ]; do
        rounds=$((rounds + 1)); [ $rounds -lt 10 ] || { cat log >&2; exit 1; }
        before=$(loads)
        # One more: the last of three may be the one whose change is loaded now.
        later 4
    done
}
settle
curl -sf -m 5 http://127.0.0.1:10100/api/status >status
echo loads-before $(loads)
cp status before.json
/usr/bin/python3 late.py http 8002-8002 &
kill $(cat web.pid)
wait_for shows late.py
wait_for up late.py 1
wait_for up web.py 0
settle
echo loads-changed $(loads)
later 3
echo loads-after $(loads)
wait_for up mute.py 1
wait_for up late.py 1
wait_for up web.py 0
wait_for shows late.py
cat before.json; echo; cat status; echo
kill $exporter"#;
    // The process id of the server that ends.
    let script = &format!(
        "cp mute.py web.py; cp mute.py late.py\n/usr/bin/python3 web.py http 8001-8001 & echo $! >web.pid\nwait_for [ -e ready/http-8001 ]\n{script}"
    );
    let servers = [("mute.py", "mute", "7001-7001")];
    let said = run_in(dir.path(), &servers, script);
    let changed = number(&said, "loads-changed");
    // The server is added, and its page if it responded too late for the look that found it.
    assert!(
        (1..=2).contains(&(changed - number(&said, "loads-before"))),
        "{said}"
    );
    assert_eq!(number(&said, "loads-after"), changed, "{said}");
    let mut documents = said.lines().filter(|line| line.starts_with('{'));
    let before = services(documents.next().unwrap());
    let mut after = services(documents.next().unwrap());
    let late = after.remove("late.py").unwrap();
    assert!(late["checks"].to_string().contains("tcp *:8002"), "{late}");
    let names = |service: &serde_json::Value| {
        let checks = service["checks"].as_array().unwrap().iter();
        checks.map(|check| check["name"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(
        before.keys().collect::<Vec<_>>(),
        after.keys().collect::<Vec<_>>(),
        "no other service comes or goes"
    );
    for (key, service) in &before {
        assert_eq!(names(service), names(&after[key]), "{key}");
        assert_eq!(service["group"], after[key]["group"], "{key}");
    }
}
