//! A healer with a fake systemd, in paused time.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;
use upkeep_exporter::config::heal::HealSettings;
use upkeep_exporter::config::{Config, Target, parse};
use upkeep_exporter::heal::evidence::{TargetEvidence, TargetState};
use upkeep_exporter::heal::record::HealEvent;
use upkeep_exporter::heal::{BoxFuture, Control, HealSetup, Healer, ServiceHealView};
use upkeep_exporter::model::{Clock, Conclusion, Moment, Outcome, Problem, Reason, ServiceKey};
use upkeep_exporter::store::{Run, Store};

use crate::common::clock::TokioClock;

/// A systemd that only counts.
#[derive(Default)]
pub struct FakeControl {
    pub actions: Mutex<Vec<String>>,
    /// Called for every query.
    pub on_query: Mutex<Option<Box<dyn FnMut() + Send>>>,
    /// If set, actions wait for this.
    pub gate: Mutex<Option<Arc<Notify>>>,
    pub fails: Mutex<bool>,
    pub queries: Mutex<u32>,
    /// The number of the query that reports a job.
    pub busy_at: Mutex<Option<u32>>,
    /// The next query, or the next action, panics.
    pub query_panics: AtomicBool,
    pub action_panics: AtomicBool,
}

impl Control for FakeControl {
    fn state<'a>(&'a self, _: &'a Target) -> BoxFuture<'a, Result<TargetState, String>> {
        Box::pin(async {
            assert!(!self.query_panics.swap(false, Ordering::SeqCst), "as scripted");
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
            assert!(!self.action_panics.swap(false, Ordering::SeqCst), "as scripted");
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

pub struct Stage {
    pub clock: Arc<dyn Clock>,
    pub store: Arc<Store>,
    pub control: Arc<FakeControl>,
    pub healer: Healer,
    /// The directory of its proc file system, and by default of its state.
    pub dir: tempfile::TempDir,
}

pub fn config(text: &str) -> Config {
    parse(text, "test.yml")
        .unwrap_or_else(|error| panic!("{text}\n{error}"))
        .config
}

/// A service in this mode.
pub fn one(mode: &str) -> Config {
    config(&format!(
        "services: [{{ key: api, systemd: api, heal: {{ mode: {mode} }} }}]"
    ))
}

impl Stage {
    pub fn new(config: &Config) -> Self {
        Self::with(config, false, |dir| Some(dir.join("state")))
    }

    pub fn with(
        config: &Config,
        is_disabled: bool,
        state_dir: impl FnOnce(PathBuf) -> Option<PathBuf>,
    ) -> Self {
        Self::on(TokioClock::new(), config, is_disabled, state_dir)
    }

    pub fn on(
        clock: Arc<dyn Clock>,
        config: &Config,
        is_disabled: bool,
        state_dir: impl FnOnce(PathBuf) -> Option<PathBuf>,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let random = dir.path().join("sys/kernel/random");
        std::fs::create_dir_all(&random).unwrap();
        std::fs::write(random.join("boot_id"), "the only boot\n").unwrap();
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
            dir,
        }
    }

    /// Applies another configuration.
    pub fn reload(&self, config: &Config) {
        self.store.apply(config);
        self.healer.apply(config);
    }

    /// Runs every check of these services every 5 s for this time.
    pub async fn run(&self, seconds: u64, services: &[&str], reason: Option<Reason>) {
        for _ in 0..seconds / 5 {
            for service in services {
                record(&self.store, &*self.clock, service, reason);
            }
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
    }

    pub async fn fail(&self, seconds: u64) {
        self.run(seconds, &["api"], Some(Reason::State)).await;
    }

    pub fn actions(&self) -> usize {
        self.control.actions.lock().unwrap().len()
    }

    pub fn view(&self) -> ServiceHealView {
        self.healer.view().services.remove(0)
    }

    /// The events of the first service, oldest first, with the details of refusals.
    pub fn events(&self) -> Vec<String> {
        let records = self.view().records.into_iter().rev().map(|(_, record)| record);
        let text = records.map(|record| match record.event {
            HealEvent::Refused => record.detail,
            event => event.to_string(),
        });
        text.collect()
    }
}

pub fn record(store: &Store, clock: &dyn Clock, service: &str, reason: Option<Reason>) {
    let conclusion = || match reason {
        Some(reason) => Conclusion::Failure(Problem::new(reason, "api.service is failed")),
        None => Conclusion::Success,
    };
    record_conclusion(store, clock.now(), service, conclusion);
}

/// Records two successful runs of `api`, which end its outage. The first one started a recheck interval ago.
pub fn recover(store: &Store, clock: &dyn Clock) {
    let now = clock.now();
    for at in [now - Duration::from_secs(5), now] {
        record_conclusion(store, at, "api", || Conclusion::Success);
    }
}

pub fn record_conclusion(store: &Store, now: Moment, service: &str, conclusion: impl Fn() -> Conclusion) {
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
