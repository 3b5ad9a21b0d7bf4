//! The loop with a fake systemd, in paused time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::Notify;
use upkeep_exporter::heal::policy::Refusal;
use upkeep_exporter::heal::record::{HealEvent, MAX_DECISIONS};
use upkeep_exporter::model::{Conclusion, Maintenance, Problem, Reason, ServiceKey, Shortage};

use crate::stage::{Stage, config, one, record, record_conclusion, recover};

#[tokio::test(start_paused = true)]
async fn a_service_is_restarted_after_two_failed_runs() {
    let stage = Stage::new(&one("act"));
    stage.fail(5).await;
    assert_eq!(stage.actions(), 0, "one run");
    stage.fail(5).await;
    assert_eq!(stage.actions(), 1);
    stage.run(70, &["api"], None).await;
    assert_eq!(stage.events(), ["acting", "acted", "helped"]);
    let view = stage.view();
    assert_eq!((view.budget_remaining, view.actions[&HealEvent::Acted]), (4, 1));
    assert_eq!(stage.healer.view().budget_remaining, 19);
    let (_, acting) = view.records.last().unwrap();
    assert_eq!(acting.evidence, "api.service is failed; it is failed");
}

#[tokio::test(start_paused = true)]
async fn two_actions_that_do_not_help_are_the_last() {
    let stage = Stage::new(&one("act"));
    stage.fail(4 * 3600).await;
    assert_eq!(stage.actions(), 2);
    let events = stage.events();
    let expected = [
        "acting",
        "acted",
        "verifying",
        "did_not_help",
        "acting",
        "acted",
        "verifying",
        "did_not_help",
        "gave_up",
        "gave_up",
    ];
    assert_eq!(events, expected);
    assert!(stage.view().has_given_up);
    stage.healer.resume(Some(&ServiceKey::new("api")), "root");
    stage.fail(3600).await;
    assert_eq!(stage.actions(), 4);
    stage.run(70, &["api"], None).await;
    assert!(!stage.view().has_given_up);
    stage.fail(10).await;
    assert_eq!(stage.actions(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_failed_action_is_like_one_that_did_not_help() {
    let stage = Stage::new(&one("act"));
    *stage.control.fails.lock().unwrap() = true;
    stage.fail(3600).await;
    assert_eq!(stage.actions(), 2);
    assert_eq!(stage.events()[..2], ["acting", "failed"]);
    assert!(stage.view().has_given_up);
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_records_what_it_would_do_and_does_nothing() {
    let stage = Stage::with(&one("dry-run"), false, |_| None);
    stage.fail(3600).await;
    assert_eq!(stage.actions(), 0);
    let events = stage.events();
    // At most the budget, and the backoff in between.
    assert_eq!(
        events.iter().filter(|event| *event == "dry_run").count(),
        5,
        "{events:?}"
    );
    assert!(events.iter().any(|event| event == "backoff"));
    assert_eq!(events.last().unwrap(), "budget");
}

#[tokio::test(start_paused = true)]
async fn the_flag_overrules_the_file() {
    let stage = Stage::with(&one("act"), true, |dir| Some(dir.join("state")));
    stage.fail(300).await;
    assert_eq!(
        (stage.actions(), stage.view().refusal),
        (0, Some(Refusal::Disabled))
    );
}

#[tokio::test(start_paused = true)]
async fn a_service_that_recovers_during_the_query_is_left_alone() {
    let stage = Stage::new(&one("act"));
    let (store, clock) = (stage.store.clone(), stage.clock.clone());
    *stage.control.on_query.lock().unwrap() = Some(Box::new(move || {
        recover(&store, &*clock);
    }));
    stage.fail(10).await;
    assert_eq!(stage.actions(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_recovers_while_the_intent_is_saved_is_left_alone() {
    let stage = Stage::new(&one("act"));
    let (store, clock) = (stage.store.clone(), stage.clock.clone());
    let mut queries = 0;
    *stage.control.on_query.lock().unwrap() = Some(Box::new(move || {
        queries += 1;
        if queries == 2 {
            recover(&store, &*clock);
        }
    }));
    stage.fail(10).await;
    assert_eq!(*stage.control.queries.lock().unwrap(), 2);
    assert_eq!(stage.actions(), 0);
    assert_eq!(stage.view().budget_remaining, 5);
}

#[tokio::test(start_paused = true)]
async fn a_panic_does_not_end_healing() {
    let stage = Stage::new(&one("act"));
    stage.control.query_panics.store(true, Ordering::SeqCst);
    stage.fail(30).await;
    assert_eq!((stage.actions(), stage.view().budget_remaining), (0, 5));
    stage.control.action_panics.store(true, Ordering::SeqCst);
    stage.fail(45).await;
    assert_eq!(stage.actions(), 1, "the next round is after a pause");
    let events = stage.events();
    assert!(events.iter().any(|event| event == "failed"), "{events:?}");
    stage.fail(300).await;
    assert_eq!(stage.actions(), 2, "the action that panicked is over");
}

#[tokio::test(start_paused = true)]
async fn a_unit_of_two_services_is_restarted_once() {
    let stage = Stage::new(&config(
        "services: [{ key: api, systemd: api, heal: { mode: act } }, { key: web, systemd: api, heal: { mode: act } }]",
    ));
    *stage.control.gate.lock().unwrap() = Some(Arc::default());
    stage.run(60, &["api", "web"], Some(Reason::State)).await;
    assert_eq!(stage.actions(), 1);
    let refusals = stage.healer.view().services.into_iter().map(|view| view.refusal);
    assert_eq!(refusals.collect::<Vec<_>>(), [Some(Refusal::InProgress); 2]);
}

/// A single run after the action says little: the process may have ended since.
#[tokio::test(start_paused = true)]
async fn an_action_helps_only_if_a_run_a_minute_later_succeeds() {
    let stage = Stage::new(&config(
        "services: [{ key: api, checks: [{ kind: systemd, unit: api, interval: 5m }], heal: { mode: act } }]",
    ));
    stage.fail(10).await;
    assert_eq!(stage.actions(), 1);
    stage.run(10, &["api"], None).await;
    tokio::time::sleep(Duration::from_secs(280)).await;
    assert_eq!(stage.events(), ["acting", "acted"]);
    stage.run(5, &["api"], None).await;
    assert_eq!(stage.events(), ["acting", "acted", "helped"]);
}

#[tokio::test(start_paused = true)]
async fn the_last_action_is_known_after_many_refusals() {
    let stage = Stage::new(&one("act"));
    stage.fail(10).await;
    let last = stage.view().last_action;
    stage.run(70, &["api"], None).await;
    for _ in 0..MAX_DECISIONS {
        stage.healer.pause(None, None, "root", "");
        stage.fail(15).await;
        stage.run(10, &["api"], None).await;
    }
    let view = stage.view();
    assert!(
        view.records
            .iter()
            .all(|(_, record)| record.event == HealEvent::Refused)
    );
    let (at, event) = view.last_action.unwrap();
    assert!((at - last.unwrap().0).abs() < 1e-3);
    assert_eq!(event, HealEvent::Helped);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_another_exporter_queued_meanwhile_is_respected() {
    let stage = Stage::new(&one("act"));
    *stage.control.busy_at.lock().unwrap() = Some(2);
    stage.fail(10).await;
    assert_eq!(stage.actions(), 1);
    assert_eq!(stage.events(), ["job_running", "acting", "acted"]);
    assert_eq!(
        stage.view().budget_remaining,
        4,
        "the cancelled action does not count"
    );
}

#[tokio::test(start_paused = true)]
async fn a_pause_holds_until_it_ends_or_a_person_resumes() {
    let stage = Stage::new(&one("act"));
    let api = ServiceKey::new("api");
    stage
        .healer
        .pause(Some(&api), Some(Duration::from_secs(600)), "root", "upgrade");
    stage.fail(590).await;
    assert_eq!(
        (stage.actions(), stage.view().refusal),
        (0, Some(Refusal::Paused))
    );
    stage.fail(20).await;
    assert_eq!(stage.actions(), 1);
    stage.run(70, &["api"], None).await;
    stage.healer.pause(None, None, "root", "");
    stage.fail(3600).await;
    assert_eq!(stage.actions(), 1);
    stage.healer.resume(None, "root");
    stage.fail(10).await;
    assert_eq!(stage.actions(), 2);
    assert_eq!(stage.events()[0], "paused");
}

#[tokio::test(start_paused = true)]
async fn a_reload_that_removes_the_service_during_its_action_does_no_harm() {
    let stage = Stage::new(&one("act"));
    let gate = Arc::new(Notify::new());
    *stage.control.gate.lock().unwrap() = Some(gate.clone());
    stage.fail(15).await;
    assert!(stage.view().is_acting);
    let without = config("services: [{ key: web, systemd: web }]");
    stage.reload(&without);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(stage.healer.view().services.is_empty());
    gate.notify_one();
    tokio::time::sleep(Duration::from_secs(10)).await;
    stage.store.apply(&one("act"));
    stage.fail(30).await;
    assert_eq!(stage.actions(), 1, "the action still counts");
    assert_eq!(stage.view().budget_remaining, 4);
}

#[tokio::test(start_paused = true)]
async fn a_storm_ends_healing_until_a_cool_down_has_passed() {
    let keys = ["a", "b", "c", "d"];
    let services = keys.map(|key| format!("{{ key: {key}, systemd: {key}, heal: {{ mode: act }} }}"));
    let stage = Stage::new(&config(&format!("services: [{}]", services.join(", "))));
    stage.run(600, &keys, Some(Reason::State)).await;
    assert_eq!((stage.actions(), stage.view().refusal), (0, Some(Refusal::Storm)));
    stage.run(15, &["b", "c", "d"], None).await;
    stage.run(100, &["a"], Some(Reason::State)).await;
    assert_eq!(
        (stage.actions(), stage.view().refusal),
        (0, Some(Refusal::CoolDown))
    );
    stage.run(300, &["a"], Some(Reason::State)).await;
    assert!(stage.actions() > 0);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_healed_in_maintenance() {
    let stage = Stage::new(&one("act"));
    let window = Arc::new(Maintenance {
        id: "upgrade".to_owned(),
        started: 0.0,
        ends: f64::MAX,
        reason: String::new(),
        by: None,
    });
    let active = BTreeMap::from([(ServiceKey::new("api"), window)]);
    stage.store.set_maintenance(active, BTreeMap::new());
    stage.fail(300).await;
    assert_eq!(
        (stage.actions(), stage.view().refusal),
        (0, Some(Refusal::Maintenance))
    );
    stage.store.set_maintenance(BTreeMap::new(), BTreeMap::new());
    stage.fail(15).await;
    assert_eq!(stage.actions(), 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_healed_while_the_machine_is_under_pressure() {
    let stage = Stage::new(&one("act"));
    let pressure = stage.dir.path().join("pressure");
    std::fs::create_dir(&pressure).unwrap();
    let text =
        "some avg10=50.00 avg60=0.00 avg300=0.00 total=1\nfull avg10=50.00 avg60=0.00 avg300=0.00 total=1\n";
    std::fs::write(pressure.join("memory"), text).unwrap();
    stage.fail(300).await;
    assert_eq!(
        (stage.actions(), stage.view().refusal),
        (0, Some(Refusal::MachinePressure))
    );
    std::fs::remove_dir_all(&pressure).unwrap();
    stage.fail(15).await;
    assert_eq!(stage.actions(), 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_healed_while_the_exporter_lacks_descriptors() {
    let stage = Stage::new(&config(
        "services: [{ key: api, systemd: api, heal: { mode: act } }, { key: web, port: 1 }]",
    ));
    record_conclusion(&stage.store, stage.clock.now(), "web", || {
        Conclusion::Inconclusive(Problem::from_shortage(
            Shortage::Descriptors,
            "too many open files",
        ))
    });
    stage.fail(300).await;
    assert_eq!(
        (stage.actions(), stage.view().refusal),
        (0, Some(Refusal::ExporterStarved))
    );
    record(&stage.store, &*stage.clock, "web", None);
    stage.fail(15).await;
    assert_eq!(stage.actions(), 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_healed_while_a_dependency_is_down() {
    let stage = Stage::new(&config(
        "services: [{ key: api, systemd: api, heal: { mode: act }, depends_on: [db] }, { key: db, port: 1 }]",
    ));
    stage.run(300, &["db", "api"], Some(Reason::State)).await;
    assert_eq!(
        (stage.actions(), stage.view().refusal),
        (0, Some(Refusal::DependencyDown))
    );
    stage.run(30, &["db"], None).await;
    assert_eq!(stage.actions(), 0, "its check has not run since");
    stage.fail(15).await;
    assert_eq!(stage.actions(), 1);
}

#[tokio::test(start_paused = true)]
async fn dependencies_are_checked_before_an_action() {
    let stage = Stage::new(&config(
        "services: [{ key: api, systemd: api, heal: { mode: act }, depends_on: [db] }, { key: db, port: 1 }]",
    ));
    stage.run(10, &["db", "api"], None).await;
    stage.fail(20).await;
    assert_eq!(stage.actions(), 0, "the dependency has not run since");
    stage.run(5, &["db"], None).await;
    assert_eq!(stage.actions(), 1);
}

/// Otherwise, each of its services could restart it as often as its own budget allows.
#[tokio::test(start_paused = true)]
async fn a_unit_of_two_services_has_the_budget_of_one() {
    let heal = "heal: { mode: act, budget: { per_service: 2 } }";
    let stage = Stage::new(&config(&format!(
        "services: [{{ key: api, systemd: api, {heal} }}, {{ key: web, systemd: api, {heal} }}]"
    )));
    for _ in 0..15 {
        stage.run(15, &["api", "web"], Some(Reason::State)).await;
        stage.run(75, &["api", "web"], None).await;
    }
    assert_eq!(stage.actions(), 2);
    let views = stage.healer.view().services.into_iter();
    assert_eq!(
        views.map(|view| view.budget_remaining).collect::<Vec<_>>(),
        [0, 0]
    );
    stage.run(15, &["api", "web"], Some(Reason::State)).await;
    assert_eq!(stage.view().refusal, Some(Refusal::Budget));
}

#[tokio::test(start_paused = true)]
async fn a_service_that_was_given_up_stays_so_after_healing_was_off() {
    let stage = Stage::new(&one("act"));
    stage.fail(600).await;
    assert!(stage.view().has_given_up);
    stage.reload(&one("off"));
    stage.fail(2 * 3600).await;
    stage.reload(&one("off"));
    stage.reload(&one("act"));
    stage.fail(600).await;
    assert_eq!(
        (stage.actions(), stage.view().refusal),
        (2, Some(Refusal::GaveUp))
    );
}
