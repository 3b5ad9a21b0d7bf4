//! Each safeguard of healing that concerns all services of an exporter: the API and the metrics name it, and systemd did not start
//! the units. Another exporter, without the cause, restarts its units at the same time.

use std::time::Duration;

use tempfile::TempDir;
use tokio::time::sleep;

use crate::common;
use crate::common::healing::{
    Exporter, Without, config, events, make_procfs, procfs, status, until_event, until_refused, until_up,
};
use crate::common::systemd::Machine;
use crate::healed_units::{crash, healed, last_start, start_units, systemctl, up};

/// An exporter that heals these services, of which many others are up.
async fn normal(machine: &'static Machine, keys: &[&str]) -> Exporter {
    with(machine, keys, Without::default()).await
}

async fn with(machine: &'static Machine, keys: &[&str], without: Without) -> Exporter {
    start_units(machine, keys).await;
    let exporter = Exporter::start(&many_up(machine, keys), without).await;
    until_up(&exporter.url, keys).await;
    exporter
}

/// A configuration with these services, and as many others and one that are up.
fn many_up(machine: &Machine, keys: &[&str]) -> String {
    let mut services: Vec<String> = keys.iter().map(|key| healed(machine, key, "", "")).collect();
    services.push(up(machine, keys.len() + 1));
    config("", &services)
}

/// Asserts that nothing is done for a few rounds of decisions, and that systemd did not start the unit.
async fn stays(machine: &'static Machine, url: &str, key: &str, before: &str) {
    for _ in 0..3 {
        sleep(Duration::from_secs(1)).await;
        assert_eq!(events(&status(url, key).await, "acting"), 0, "{key}");
    }
    assert_eq!(last_start(machine, key).await, before, "{key}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_failures_at_once_are_a_storm() {
    let machine = Machine::shared();
    let (few, many) = (["few_a", "few_b", "few_c"], ["many_a", "many_b", "many_c"]);
    let other = normal(machine, &few).await;
    start_units(machine, &many).await;
    // At once for systemd, but not for the exporter: it must see the last failure before it acts on the first.
    let mut services: Vec<String> = many
        .iter()
        .map(|key| healed(machine, key, ", after: 5", ""))
        .collect();
    services.push(up(machine, 1));
    let exporter = Exporter::start(&config("", &services), Without::default()).await;
    let url = exporter.url.as_str();
    until_up(url, &many).await;
    let before = last_start(machine, "many_a").await;
    crash(machine, &[few, many].concat()).await;
    for key in few {
        until_event(&other.url, key, "acted", 1).await;
    }
    for key in many {
        until_refused(url, key, "storm").await;
    }
    systemctl(machine, "start", &many[1..]).await;
    until_up(url, &many[1..]).await;
    until_refused(url, "many_a", "cool_down").await;
    stays(machine, url, "many_a", &before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_budget_of_all_services_is_shared() {
    let machine = Machine::shared();
    let keys = ["total_a", "total_b"];
    start_units(machine, &keys).await;
    let mut services: Vec<String> = keys.iter().map(|key| healed(machine, key, "", "")).collect();
    services.push(up(machine, 3));
    let defaults = ", heal: { budget: { total: 1 } }";
    let exporter = Exporter::start(&config(defaults, &services), Without::default()).await;
    let url = exporter.url.as_str();
    until_up(url, &keys).await;
    let before = last_start(machine, "total_b").await;
    crash(machine, &["total_a"]).await;
    until_event(url, "total_a", "acted", 1).await;
    crash(machine, &["total_b"]).await;
    until_refused(url, "total_b", "total_budget").await;
    stays(machine, url, "total_b", &before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pressure_on_the_machine_delays_actions() {
    let machine = Machine::shared();
    let exporter = normal(machine, &["pressed"]).await;
    let other = normal(machine, &["relaxed"]).await;
    let before = last_start(machine, "pressed").await;
    exporter.set_pressure("memory", 50);
    other.set_pressure("memory", 5);
    crash(machine, &["pressed", "relaxed"]).await;
    until_event(&other.url, "relaxed", "acted", 1).await;
    until_refused(&exporter.url, "pressed", "machine_pressure").await;
    stays(machine, &exporter.url, "pressed", &before).await;
    exporter.set_pressure("memory", 5);
    until_event(&exporter.url, "pressed", "acted", 1).await;
    assert_ne!(last_start(machine, "pressed").await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exporter_that_cannot_save_does_nothing() {
    let machine = Machine::shared();
    let exporter = with(machine, &["unsaved"], Without { state_dir: true }).await;
    let other = normal(machine, &["saved"]).await;
    let before = last_start(machine, "unsaved").await;
    crash(machine, &["unsaved", "saved"]).await;
    until_event(&other.url, "saved", "acted", 1).await;
    until_refused(&exporter.url, "unsaved", "history").await;
    stays(machine, &exporter.url, "unsaved", &before).await;
}

/// The program, with a state directory and a proc file system without pressure files.
async fn program(
    machine: &'static Machine,
    key: &str,
    flags: &[&str],
) -> (common::exporter::Exporter, TempDir) {
    start_units(machine, &[key]).await;
    let dir = tempfile::tempdir().unwrap();
    make_procfs(dir.path());
    let state = format!("--state.dir={}", dir.path().join("state").display());
    let procfs = format!("--path.procfs={}", procfs(dir.path()).display());
    let flags = [&[state.as_str(), procfs.as_str()], flags].concat();
    let exporter = common::exporter::Exporter::start(&many_up(machine, &[key]), &flags).await;
    until_up(&exporter.url(""), &[key]).await;
    (exporter, dir)
}

/// `--no-restart` is the name of the flag in the ChatStack monitor.
#[tokio::test(flavor = "multi_thread")]
async fn a_flag_turns_healing_off() {
    let machine = Machine::shared();
    let (first, _dir) = program(machine, "flagged", &["--no-heal"]).await;
    let (second, _other_dir) = program(machine, "renamed", &["--no-restart"]).await;
    let other = normal(machine, &["unflagged"]).await;
    let before = [
        last_start(machine, "flagged").await,
        last_start(machine, "renamed").await,
    ];
    crash(machine, &["flagged", "renamed", "unflagged"]).await;
    until_event(&other.url, "unflagged", "acted", 1).await;
    until_refused(&first.url(""), "flagged", "disabled").await;
    until_refused(&second.url(""), "renamed", "disabled").await;
    stays(machine, &first.url(""), "flagged", &before[0]).await;
    stays(machine, &second.url(""), "renamed", &before[1]).await;
}

/// A frozen exporter looks like one without CPU time. Afterwards, its results are not trusted for 30 s.
#[tokio::test(flavor = "multi_thread")]
async fn an_exporter_that_lost_time_does_nothing() {
    let machine = Machine::shared();
    let (exporter, _dir) = program(machine, "frozen", &[]).await;
    let other = normal(machine, &["flowing"]).await;
    let before = last_start(machine, "frozen").await;
    exporter.server.signal(rustix::process::Signal::STOP);
    crash(machine, &["frozen", "flowing"]).await;
    sleep(Duration::from_secs(4)).await;
    exporter.server.signal(rustix::process::Signal::CONT);
    until_refused(&exporter.url(""), "frozen", "exporter_starved").await;
    until_event(&other.url, "flowing", "acted", 1).await;
    stays(machine, &exporter.url(""), "frozen", &before).await;
}
