//! The loop with a fake systemd, in paused time.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;
use upkeep_exporter::config::heal::{HealSettings, HealTarget};
use upkeep_exporter::config::{Config, parse};
use upkeep_exporter::heal::evidence::{TargetEvidence, TargetState};
use upkeep_exporter::heal::policy::Refusal;
use upkeep_exporter::heal::record::{HealEvent, MAX_DECISIONS};
use upkeep_exporter::heal::{BoxFuture, Control, HealSetup, Healer, ServiceHealView};
use upkeep_exporter::model::{
    Clock, Conclusion, Maintenance, Moment, Outcome, Problem, Reason, ServiceKey, Shortage,
};
use upkeep_exporter::store::{Run, Store};

use crate::common::clock::TokioClock;

/// A systemd that only counts.
#[derive(Default)]
struct FakeControl {
    actions: Mutex<Vec<String>>,
    /// Called for every query.
    on_query: Mutex<Option<Box<dyn FnMut() + Send>>>,
    /// If set, actions wait for this.
    gate: Mutex<Option<Arc<Notify>>>,
    fails: Mutex<bool>,
    queries: Mutex<u32>,
    /// The number of the query that reports a job.
    busy_at: Mutex<Option<u32>>,
}

impl Control for FakeControl {
    fn state<'a>(&'a self, _: &'a HealTarget) -> BoxFuture<'a, Result<TargetState, String>> {
        Box::pin(async {
            if let Some(on_query) = self.on_query.lock().unwrap().as_mut() {
                on_query();
            }
            let queries = {
                let mut queries = self.queries.lock().unwrap();
                *queries += 1;
                *queries
            };
            Ok(TargetState {
                has_job: *self.busy_at.lock().unwrap() == Some(queries),
                text: "it is failed".to_owned(),
                ..TargetState::default()
            })
        })
    }

    fn act<'a>(
        &'a self,
        service: &'a ServiceKey,
        _: &'a HealSettings,
        state: &'a TargetEvidence,
    ) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async {
            assert!(matches!(state, TargetEvidence::Known(_)));
            self.actions.lock().unwrap().push(service.to_string());
            let gate = self.gate.lock().unwrap().clone();
            if let Some(gate) = gate {
                gate.notified().await;
            }
            match *self.fails.lock().unwrap() {
                true => Err("job failed".to_owned()),
                false => Ok(()),
            }
        })
    }
}

struct Stage {
    clock: Arc<TokioClock>,
    store: Arc<Store>,
    control: Arc<FakeControl>,
    healer: Healer,
    _dir: tempfile::TempDir,
}

fn config(text: &str) -> Config {
    parse(text, "test.yml")
        .unwrap_or_else(|error| panic!("{text}\n{error}"))
        .config
}

/// A service in this mode.
fn one(mode: &str) -> Config {
    config(&format!(
        "services: [{{ key: api, systemd: api, heal: {{ mode: {mode} }} }}]"
    ))
}

impl Stage {
    fn new(config: &Config) -> Self {
        Self::with(config, false, |dir| Some(dir.join("state")))
    }

    fn with(config: &Config, is_disabled: bool, state_dir: impl FnOnce(PathBuf) -> Option<PathBuf>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = TokioClock::new();
        let (store, _) = Store::open(clock.clone(), None).unwrap();
        store.apply(config);
        let control = Arc::new(FakeControl::default());
        let setup = HealSetup {
            store: store.clone(),
            clock: clock.clone(),
            control: control.clone(),
            state_dir: state_dir(dir.path().to_owned()),
            procfs: dir.path().to_owned(),
            lost: Arc::default(),
            is_disabled,
        };
        let healer = Healer::start(&Handle::current(), setup);
        healer.apply(config);
        Self {
            clock,
            store,
            control,
            healer,
            _dir: dir,
        }
    }

    /// Runs every check of these services every 5 s for this time.
    async fn run(&self, seconds: u64, services: &[&str], reason: Option<Reason>) {
        for _ in 0..seconds / 5 {
            for service in services {
                record(&self.store, &*self.clock, service, reason);
            }
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
    }

    async fn fail(&self, seconds: u64) {
        self.run(seconds, &["api"], Some(Reason::State)).await;
    }

    fn actions(&self) -> usize {
        self.control.actions.lock().unwrap().len()
    }

    fn view(&self) -> ServiceHealView {
        self.healer.view().services.remove(0)
    }

    /// The events of the first service, oldest first, with the details of refusals.
    fn events(&self) -> Vec<String> {
        let records = self.view().records.into_iter().rev().map(|(_, record)| record);
        let text = records.map(|record| match record.event {
            HealEvent::Refused => record.detail,
            event => event.to_string(),
        });
        text.collect()
    }
}

fn record(store: &Store, clock: &dyn Clock, service: &str, reason: Option<Reason>) {
    let conclusion = || match reason {
        Some(reason) => Conclusion::Failure(Problem::new(reason, "api.service is failed")),
        None => Conclusion::Success,
    };
    record_conclusion(store, clock.now(), service, conclusion);
}

/// Records two successful runs of `api`, which end its outage. The first one started a recheck interval ago.
fn recover(store: &Store, clock: &dyn Clock) {
    let now = clock.now();
    for at in [now - Duration::from_secs(5), now] {
        record_conclusion(store, at, "api", || Conclusion::Success);
    }
}

fn record_conclusion(store: &Store, now: Moment, service: &str, conclusion: impl Fn() -> Conclusion) {
    let handles = store.handles();
    for (_, handle, _) in handles.iter().filter(|(id, ..)| id.service.as_str() == service) {
        let run = Run {
            started: now,
            ended: now,
        };
        let outcome = Outcome {
            conclusion: conclusion(),
            ..Outcome::default()
        };
        store.record(*handle, run, outcome, 0);
    }
}

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
async fn nothing_is_done_if_the_intent_can_not_be_saved() {
    for no_dir in [true, false] {
        let stage = Stage::with(&one("act"), false, |dir| {
            // A file in place of the directory.
            let path = dir.join("file");
            std::fs::write(&path, "").unwrap();
            (!no_dir).then_some(path)
        });
        stage.fail(300).await;
        assert_eq!(stage.actions(), 0);
        assert_eq!(stage.view().refusal, Some(Refusal::History));
        assert!(stage.healer.view().cannot_save);
        assert_eq!(stage.view().budget_remaining, 5, "nothing was spent");
    }
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
    stage.store.apply(&without);
    stage.healer.apply(&without);
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
async fn a_restart_of_the_exporter_renews_no_budget() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_owned();
    let first = Stage::with(&one("act"), false, |_| Some(path.clone()));
    first.fail(10).await;
    assert_eq!(first.actions(), 1);
    first.healer.stop().await;
    drop(first);
    let second = Stage::with(&one("act"), false, |_| Some(path));
    second.fail(3600).await;
    assert_eq!(second.actions(), 1, "the second one in a row");
    assert!(second.view().has_given_up);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_was_given_up_stays_so_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_owned();
    let first = Stage::with(&one("act"), false, |_| Some(path.clone()));
    first.fail(4 * 3600).await;
    first.healer.stop().await;
    drop(first);
    let second = Stage::with(&one("act"), false, |_| Some(path));
    second.fail(600).await;
    assert_eq!(
        (second.actions(), second.view().refusal),
        (0, Some(Refusal::GaveUp))
    );
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
    let pressure = stage._dir.path().join("pressure");
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

/// The environment variable with the directory of the test below, on a small disk of its own.
const DISK: &str = "UPKEEP_TEST_HEAL_DISK";

#[tokio::test(start_paused = true)]
async fn a_full_disk_ends_healing_until_there_is_space() {
    const NAME: &str = "rounds::a_full_disk_ends_healing_until_there_is_space";
    let Some(disk) = std::env::var_os(DISK).map(PathBuf::from) else {
        let dir = tempfile::tempdir().unwrap();
        let output = std::process::Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-ec"])
            .arg("mount -t tmpfs -o size=256k none \"$1\"; shift; exec \"$@\"")
            .arg("sh")
            .arg(dir.path())
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", NAME, "--nocapture"])
            .env(DISK, dir.path())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && text.contains("1 passed"),
            "run this test as root, with mount and unshare: {output:?}"
        );
        return;
    };
    let stage = Stage::with(&one("act"), false, |_| Some(disk.join("state")));
    stage.fail(10).await;
    stage.run(90, &["api"], None).await;
    let old = std::fs::read(disk.join("state/heal.json")).unwrap();
    let filler = disk.join("filler");
    let mut file = std::fs::File::create(&filler).unwrap();
    while std::io::Write::write_all(&mut file, &[0; 512]).is_ok() {}
    stage.fail(120).await;
    assert_eq!(
        (stage.actions(), stage.view().refusal),
        (1, Some(Refusal::History))
    );
    assert_eq!(stage.view().budget_remaining, 4, "nothing was spent");
    let now = std::fs::read(disk.join("state/heal.json")).unwrap();
    assert!(now == old, "the old file is complete");
    drop(file);
    std::fs::remove_file(&filler).unwrap();
    stage.fail(15).await;
    assert_eq!(stage.actions(), 2);
}
