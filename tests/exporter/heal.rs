//! The command `heal`, and what a running exporter shows of healing.

use std::fs;

use serde_json::Value;

use crate::LONG;
use crate::common::servers::{eventually, get};
use crate::monitor::{Monitor, text};

/// A service whose port nobody listens on. Healing is paused before eight runs have failed, so the command never runs.
const SERVICES: &str = "
defaults: { interval: 1s, recheck_interval: 1s }
services:
  - key: api
    heal: { mode: act, after: 8, action: { command: [/bin/false] } }
    checks: [{ kind: tcp, address: '127.0.0.1:1' }]
  - key: shop
    checks: [{ kind: tcp, address: '127.0.0.1:1' }]
";

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_survives_a_kill_and_is_shown_everywhere() {
    let mut monitor = Monitor::start("heal", SERVICES).await;
    let paused = monitor.succeeds(&["pause", "api", "--for", "1h", "--reason", "upgrade"]);
    assert!(paused.starts_with("api: healing is paused until 20"), "{paused}");
    assert!(paused.ends_with(": upgrade\n"), "{paused}");
    monitor.restart_after_kill().await;

    eventually("a refusal", LONG, || async {
        let status = monitor.status("api").await;
        let decisions = status["heal"]["decisions"].as_array()?.clone();
        decisions
            .iter()
            .any(|decision| decision["event"] == "refused" && decision["detail"] == "paused")
            .then_some(())
    })
    .await;
    let status = monitor.status("api").await;
    assert_eq!(status["heal"]["mode"], "act");
    assert_eq!(status["heal"]["paused"], true);
    assert_eq!(status["auto_restart_attempted"], false);

    let metrics = get(&monitor.url("/metrics")).await.unwrap();
    let labels = "service=\"api\",group=\"default\",tier=\"critical\"";
    for line in [
        format!("upkeep_heal_mode_info{{{labels},mode=\"act\"}} 1"),
        format!("upkeep_heal_budget_remaining{{{labels}}} 5"),
        format!("upkeep_heal_gave_up{{{labels}}} 0"),
        "upkeep_heal_total_budget_remaining 20".to_owned(),
    ] {
        assert!(
            metrics.lines().any(|found| found == line),
            "{line} is missing in\n{metrics}"
        );
    }
    assert!(
        !metrics.contains("upkeep_heal_mode_info{service=\"shop\""),
        "{metrics}"
    );

    let page = get(&monitor.url("/service/api")).await.unwrap();
    assert!(page.contains("Healing") && page.contains("refused"), "{page}");
    let table = monitor.succeeds(&["status"]);
    assert!(table.contains("\napi      act   paused  5 of 5"), "{table}");
    let details = monitor.succeeds(&["status", "api"]);
    assert!(
        details.contains("refused") && details.contains("tcp (refused, runs: "),
        "{details}"
    );
    let json: Value = serde_json::from_str(&monitor.succeeds(&["status", "--json"])).unwrap();
    assert_eq!(json["services"][0]["pause"]["reason"], "upgrade");
    let file: Value =
        serde_json::from_slice(&fs::read(monitor.dir.path().join("status.json")).unwrap()).unwrap();
    assert_eq!(file["services"]["api"]["heal"]["mode"], "act");
}

/// A service whose port nobody listens on, with a command that takes a while.
const SLOW_COMMAND: &str = "
defaults: { interval: 1s, recheck_interval: 1s }
services:
  - key: api
    heal: { mode: act, action: { command: [/bin/sh, -c, 'echo >>DIR/actions; sleep 3'] } }
    checks: [{ kind: tcp, address: '127.0.0.1:1' }]
";

#[tokio::test(flavor = "multi_thread")]
async fn an_action_counts_if_the_exporter_is_killed_in_the_middle() {
    let mut monitor = Monitor::start("heal", SLOW_COMMAND).await;
    let actions = monitor.dir.path().join("actions");
    eventually("the action begins", LONG, || async { fs::read(&actions).ok() }).await;
    monitor.restart_after_kill().await;

    let status = eventually("the next failed runs", LONG, || async {
        let status = monitor.status("api").await;
        (status["heal"]["refusal"] == "verifying").then_some(status)
    })
    .await;
    let heal = &status["heal"];
    assert_eq!(heal["budget_remaining"], 4, "{heal}");
    assert!(heal["last_action"].is_string(), "{heal}");
    assert_eq!(heal["last_result"], "failed", "{heal}");
    let metrics = get(&monitor.url("/metrics")).await.unwrap();
    let family = "upkeep_heal_last_action_timestamp_seconds{service=\"api\"";
    assert!(metrics.contains(family), "{metrics}");
    assert_eq!(fs::read_to_string(&actions).unwrap(), "\n", "one action");
}

/// A service whose port nobody listens on, with a command that runs until a file exists.
const ENDLESS_COMMAND: &str = "
defaults: { interval: 1s, recheck_interval: 1s }
services:
  - key: api
    heal: { mode: act, action: { command: [/bin/sh, -c, 'echo >>DIR/actions; until test -e DIR/end; do sleep 0.1; done'] } }
    checks: [{ kind: tcp, address: '127.0.0.1:1' }]
";

#[tokio::test(flavor = "multi_thread")]
async fn no_action_starts_while_another_one_is_in_progress() {
    let monitor = Monitor::start("heal", ENDLESS_COMMAND).await;
    let actions = monitor.dir.path().join("actions");
    let refused = |reason: &'static str| {
        let monitor = &monitor;
        async move {
            eventually(reason, LONG, || async {
                let status = monitor.status("api").await;
                (status["heal"]["refusal"] == reason).then_some(())
            })
            .await;
        }
    };
    refused("in_progress").await;
    assert_eq!(fs::read_to_string(&actions).unwrap(), "\n", "one action");
    fs::write(monitor.dir.path().join("end"), "").unwrap();
    refused("verifying").await;
    assert_eq!(fs::read_to_string(&actions).unwrap(), "\n", "one action");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_requests_say_what_to_do() {
    let monitor = Monitor::start("heal", SERVICES).await;
    for (arguments, code, message) in [
        (&["status", "apii"][..], 1, "did you mean api?"),
        (&["pause", "shop"], 1, "no service shop is healed"),
        (&["pause", "--for", "32d"], 1, "1s to 31d"),
        (&["pause", "--for", "500ms"], 64, "write whole seconds"),
        (&["stop"], 64, "stop"),
    ] {
        let output = monitor.run(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {output:?}");
        assert!(
            text(&output.stderr).contains(message),
            "{arguments:?}: {output:?}"
        );
    }
    assert_eq!(monitor.succeeds(&["resume"]), "all services: healing continues\n");
}
