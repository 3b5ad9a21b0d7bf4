//! Discovery on a machine with 500 units.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use upkeep_exporter::config::parse;

use crate::common::systemd::Machine;

const EXPORTER: &str = "/run/shared/exporter";

/// How many instances each of the two templates has.
const INSTANCES: usize = 250;

/// How long a step may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(50);

/// The largest page with 1,000 services.
const MAX_PAGE_BYTES: u64 = 2 << 20;

/// Starts the exporter, waits until its status document has all units, and prints how long that took, how much CPU time the exporter
/// used, in ticks of 10 ms, and how large its pages are.
const FIRST_START: &str = r#"
begin=$(date +%s%3N)
/run/shared/exporter --control.socket= 2>/tmp/log & exporter=$!
shown() { curl -sf -m 5 http://127.0.0.1:10100/api/status >/tmp/status && [ $(grep -oE '"name": ?"(job|queue-worker)@' /tmp/status | wc -l) = 500 ]; }
tries=0
until shown; do
    tries=$((tries + 1)); [ $tries -lt 400 ] || { cat /tmp/log; exit 1; }
    sleep 0.1
done
echo took $(($(date +%s%3N) - begin))
set -- $(cat /proc/$exporter/stat)
echo ticks $((${14} + ${15}))
echo status $(wc -c </tmp/status)
echo page $(curl -sf -m 20 http://127.0.0.1:10100/ | wc -c)
kill $exporter
"#;

fn number(said: &str, word: &str) -> u64 {
    let line = said
        .lines()
        .find_map(|line| line.strip_prefix(word)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {word}: {said}"))
        .parse()
        .unwrap()
}

fn eventually(what: &str, mut is_met: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_met() {
        assert!(began.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
    }
}

#[test]
fn a_machine_with_500_units_shows_them_at_the_first_start() {
    let machine = Machine::boot();
    fs::copy(
        env!("CARGO_BIN_EXE_upkeep_exporter"),
        machine.shared_directory().join("exporter"),
    )
    .unwrap();
    for name in ["job", "queue-worker"] {
        let text = format!(
            "[Unit]\nDescription=Instance %i of {name}\n[Service]\nExecStart=/usr/bin/sleep infinity\n"
        );
        machine.write_unit(&format!("{name}@.service"), &text);
        machine.run(&format!(
            "systemctl start $(seq -f '{name}@%g.service' 1 {INSTANCES})"
        ));
    }

    let discover = || machine.run(&format!("{EXPORTER} discover"));
    // On a busy machine, the first run may not see all units in time.
    let mut text = discover();
    eventually("two runs print the same", || {
        let again = discover();
        let before = std::mem::replace(&mut text, again);
        before == text && !text.contains("are not known")
    });
    let loaded = parse(&text, "found").unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(loaded.warnings, []);
    let mut groups: BTreeMap<&str, usize> = BTreeMap::new();
    for service in &loaded.config.services {
        *groups.entry(&service.group).or_default() += 1;
    }
    assert_eq!(
        groups,
        BTreeMap::from([("machine", 1), ("other", INSTANCES), ("workers", INSTANCES)]),
        "a service for each unit, and nothing else"
    );
    let service = &loaded.config.services[1];
    assert_eq!(
        (service.name.as_str(), service.checks.len()),
        ("queue-worker@1", 1)
    );
    println!("500 units: a file of {} bytes", text.len());

    let file = machine.shared_directory().join("found.yml");
    fs::write(file, &text).unwrap();
    machine.run(&format!("{EXPORTER} check-config /run/shared/found.yml"));
    eventually("no check fails", || {
        machine.try_run(&format!("{EXPORTER} check")).status.success()
    });

    let said = machine.run(FIRST_START);
    println!(
        "500 units: shown {} ms after the start, {} ms of CPU, status {} bytes, page {} bytes",
        number(&said, "took"),
        number(&said, "ticks") * 10,
        number(&said, "status"),
        number(&said, "page")
    );
    assert!(number(&said, "page") < MAX_PAGE_BYTES, "{said}");
}
