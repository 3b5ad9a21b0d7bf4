//! The requests of the command `heal`, and what snapshots contain about healing.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use upkeep_exporter::config::heal::{HealMode, HealSettings};
use upkeep_exporter::config::{Config, Target, parse};
use upkeep_exporter::heal::evidence::{TargetEvidence, TargetState};
use upkeep_exporter::heal::{BoxFuture, Control, HealSetup, Healer, Request, Response, ServiceRow};
use upkeep_exporter::model::{Clock, Conclusion, Outcome, Problem, Reason, ServiceKey};
use upkeep_exporter::store::{HealBudget, HealState, Run, Store};

use crate::common::clock::TokioClock;

const SERVICES: &str = "services:\n\
     - { key: api, systemd: api, heal: { mode: act } }\n\
     - { key: shop, systemd: shop, heal: { mode: dry-run, budget: { per_service: 3 } } }\n\
     - { key: docs, systemd: docs }\n";

/// Every unit has failed, and every action succeeds.
struct FakeControl;

impl Control for FakeControl {
    fn state<'a>(&'a self, _: &'a Target) -> BoxFuture<'a, Result<TargetState, String>> {
        Box::pin(async { Ok(TargetState::default()) })
    }

    fn act<'a>(
        &'a self,
        _: &'a ServiceKey,
        _: &'a HealSettings,
        _: &'a TargetEvidence,
    ) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async { Ok(()) })
    }
}

struct Monitor {
    clock: Arc<TokioClock>,
    store: Arc<Store>,
    healer: Healer,
}

impl Monitor {
    fn start(clock: Arc<TokioClock>, dir: Option<&Path>) -> Self {
        let config: Config = parse(SERVICES, "test.yml").unwrap().config;
        let (store, _) = Store::open(clock.clone(), None).unwrap();
        store.apply(&config);
        let setup = HealSetup {
            store: store.clone(),
            clock: clock.clone(),
            control: Arc::new(FakeControl),
            state_dir: dir.map(|dir| dir.join("state")),
            procfs: "/nonexistent".into(),
            lost: Arc::default(),
            is_disabled: false,
        };
        let healer = Healer::start(&Handle::current(), setup);
        healer.apply(&config);
        Self { clock, store, healer }
    }

    /// Lets the checks of a service fail for this time.
    async fn fail(&self, service: &str, seconds: u64) {
        for _ in 0..seconds / 5 {
            let problem = Problem::new(Reason::State, "the unit has failed");
            let now = self.clock.now();
            for (_, handle, _) in self
                .store
                .handles()
                .iter()
                .filter(|(id, ..)| id.service.as_str() == service)
            {
                let run = Run {
                    started: now,
                    ended: now,
                };
                let outcome = Outcome {
                    conclusion: Conclusion::Failure(problem.clone()),
                    ..Outcome::default()
                };
                self.store.record(*handle, run, outcome, 0);
            }
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
    }

    fn ask(&self, request: &Request) -> Result<Response, String> {
        self.healer.handle(request, "alice")
    }

    fn status(&self, service: Option<&str>) -> Response {
        let service = service.map(str::to_owned);
        self.ask(&Request::Status { service }).unwrap()
    }

    fn one(&self, service: &str) -> ServiceRow {
        self.status(Some(service)).services.remove(0)
    }

    /// The healing of a service in a snapshot.
    fn state(&self, service: &str) -> Option<HealState> {
        let mut snapshot = self.store.snapshot();
        self.healer.add_to(&mut snapshot);
        let mut services = snapshot.services.into_iter();
        services
            .find(|view| view.service.key.as_str() == service)
            .unwrap()
            .heal
    }
}

fn pause(service: Option<&str>, seconds: Option<u64>) -> Request {
    Request::Pause {
        service: service.map(str::to_owned),
        seconds,
        reason: "upgrade\n".to_owned(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_status_lists_healed_services_and_the_decisions_of_one() {
    let dir = tempfile::tempdir().unwrap();
    let monitor = Monitor::start(TokioClock::new(), Some(dir.path()));
    monitor.fail("api", 10).await;
    let all = monitor.status(None);
    let keys: Vec<&str> = all.services.iter().map(|row| row.service.as_str()).collect();
    assert_eq!(keys, ["api", "shop"]);
    assert!(all.services.iter().all(|row| row.decisions.is_empty()));
    assert_eq!((all.budget_remaining, all.budget_limit), (19, 20));
    assert_eq!(all.warnings, [""; 0]);
    let api = monitor.one("api");
    assert_eq!((api.budget_remaining, api.budget_limit), (4, 5));
    assert_eq!((api.mode.as_str(), api.target.as_str()), ("act", "api.service"));
    assert_eq!(api.last_result.as_deref(), Some("pending"));
    let events: Vec<&str> = api.decisions.iter().map(|row| row.event.as_str()).collect();
    assert_eq!(events, ["acted", "acting"]);
    assert_eq!(api.decisions[1].reason.as_deref(), Some("state"));
    for (name, message) in [
        ("shops", "no service shops is healed: did you mean shop?"),
        (
            "database\u{1b}",
            "no service database\\u{1b} is healed: set heal.mode in the configuration; `heal status` lists all healed services",
        ),
    ] {
        let service = Some(name.to_owned());
        assert_eq!(monitor.ask(&Request::Status { service }), Err(message.to_owned()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_is_saved_before_the_response_and_ends() {
    let dir = tempfile::tempdir().unwrap();
    let clock = TokioClock::new();
    let monitor = Monitor::start(clock.clone(), Some(dir.path()));
    let response = monitor.ask(&pause(Some("api"), Some(3600))).unwrap();
    assert_eq!(response.warnings, [""; 0]);
    let row = response.services[0].pause.as_ref().unwrap();
    assert_eq!((row.by.as_str(), row.reason.as_str()), ("alice", "upgrade"));
    assert!(row.until.is_some());
    // As after SIGKILL: nothing is written at the end.
    drop(monitor);
    // The aborted loop releases the state directory when the runtime drops it.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let monitor = Monitor::start(clock, Some(dir.path()));
    monitor.fail("api", 20).await;
    let api = monitor.one("api");
    assert_eq!(
        (api.refusal.as_deref(), api.budget_remaining),
        (Some("paused"), 5)
    );
    let state = monitor.state("api").unwrap();
    assert_eq!(state.pause.unwrap().by, "alice");
    let service = Some("api".to_owned());
    monitor.ask(&Request::Resume { service }).unwrap();
    monitor.fail("api", 20).await;
    let api = monitor.one("api");
    assert_eq!(api.pause, None);
    assert_eq!(api.budget_remaining, 4, "{:?}", api.decisions);
}

#[tokio::test(start_paused = true)]
async fn a_pause_of_all_services_is_shown_for_each() {
    let dir = tempfile::tempdir().unwrap();
    let monitor = Monitor::start(TokioClock::new(), Some(dir.path()));
    let response = monitor.ask(&pause(None, None)).unwrap();
    assert_eq!(response.pause.unwrap().until, None);
    for service in ["api", "shop"] {
        assert!(monitor.state(service).unwrap().pause.is_some(), "{service}");
    }
    monitor.ask(&Request::Resume { service: None }).unwrap();
    assert_eq!(monitor.state("api").unwrap().pause, None);
    for seconds in [0, 40 * 24 * 3600] {
        let error = monitor.ask(&pause(None, Some(seconds))).unwrap_err();
        assert!(error.contains("1s to 31d"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_state_directory_the_operator_is_warned() {
    let monitor = Monitor::start(TokioClock::new(), None);
    let response = monitor.ask(&pause(Some("api"), None)).unwrap();
    assert_eq!(response.warnings.len(), 2, "{:?}", response.warnings);
    assert!(
        response.warnings[0].starts_with("saving failed"),
        "{:?}",
        response.warnings
    );
    assert!(
        response.warnings[1].contains("--state.dir"),
        "{:?}",
        response.warnings
    );
}

#[tokio::test(start_paused = true)]
async fn snapshots_contain_the_state_of_healed_services_only() {
    let dir = tempfile::tempdir().unwrap();
    let monitor = Monitor::start(TokioClock::new(), Some(dir.path()));
    monitor.fail("shop", 10).await;
    let mut snapshot = monitor.store.snapshot();
    assert_eq!(snapshot.exporter.heal_budget, None);
    monitor.healer.add_to(&mut snapshot);
    let budget = HealBudget {
        remaining: 20,
        limit: 20,
    };
    assert_eq!(
        snapshot.exporter.heal_budget,
        Some(budget),
        "a dry run spends nothing"
    );
    assert_eq!(monitor.state("docs"), None);
    let shop = monitor.state("shop").unwrap();
    assert_eq!(shop.mode, HealMode::DryRun);
    assert_eq!((shop.budget_remaining, shop.budget_limit), (2, 3));
    assert_eq!(shop.last_action, None);
    assert!(shop.actions.contains(&("dry_run", 1)), "{:?}", shop.actions);
    assert_eq!(shop.decisions[0].event, "dry_run");
}
