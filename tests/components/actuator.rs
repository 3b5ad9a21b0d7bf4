//! Starting, stopping and restarting containers with podman, which serves the API of Docker.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};
use upkeep_exporter::actuator::{ActError, Action, Actuator, ContainerStatus, Done, Failure};
use upkeep_exporter::config::Target;
use upkeep_exporter::config::docker::EngineHost;
use upkeep_exporter::config::parse;
use upkeep_exporter::heal::policy::Refusal;
use upkeep_exporter::heal::record::HealEvent;
use upkeep_exporter::heal::{HealSetup, Healer, ServiceHealView, SystemControl};
use upkeep_exporter::model::{Clock, Conclusion, Outcome, Problem, Reason, SystemClock};
use upkeep_exporter::store::{Run, Store};

use crate::common::podman::Podman;
use crate::common::ran::LONG;

fn host(podman: &Podman) -> EngineHost {
    EngineHost::Unix(podman.socket())
}

async fn act(engine: &EngineHost, name: &str, action: Action) -> Result<Done, ActError> {
    let target = Target::Container {
        name: name.to_owned(),
        engine: engine.clone(),
    };
    Actuator::default()
        .act(&target, action, Instant::now() + 2 * LONG)
        .await
}

async fn status(podman: &Podman, name: &str) -> ContainerStatus {
    Actuator::default()
        .container_status(name, &host(podman))
        .await
        .unwrap()
}

/// Asserts that the action failed for this reason, with a message that contains the text.
#[track_caller]
fn failed(result: Result<Done, ActError>, failure: Failure, text: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.failure, failure, "{error}");
    assert!(error.to_string().contains(text), "{error}");
}

#[tokio::test]
async fn containers_are_stopped_started_and_restarted() {
    let podman = Podman::start().await;
    let engine = host(&podman);
    let id = podman.run(
        "web",
        &["--stop-timeout=1", "--restart=on-failure:3"],
        "sleep 1000",
    );
    let first = status(&podman, "web").await;
    assert!(first.is_running(), "{first:?}");
    assert_eq!(
        (first.id.as_str(), first.restart_policy.as_str()),
        (id.as_str(), "on-failure")
    );

    assert_eq!(act(&engine, "web", Action::Start).await, Ok(Done::Unchanged));
    assert_eq!(act(&engine, "web", Action::Stop).await, Ok(Done::Changed));
    assert!(!status(&podman, "web").await.is_running());
    assert_eq!(act(&engine, "web", Action::Stop).await, Ok(Done::Unchanged));
    assert_eq!(act(&engine, "web", Action::Start).await, Ok(Done::Changed));
    assert_eq!(act(&engine, &id[..12], Action::Restart).await, Ok(Done::Changed));
    let last = status(&podman, "web").await;
    assert!(last.is_running() && last.started > first.started, "{last:?}");
    podman.has_connections(0).await;
}

#[tokio::test]
async fn only_the_named_container_is_changed() {
    let podman = Podman::start().await;
    let engine = host(&podman);
    let id = podman.run("web", &["--stop-timeout=1"], "sleep 1000");
    failed(
        act(&engine, &id[..4], Action::Stop).await,
        Failure::Missing,
        "no container has this name; the engine found web instead",
    );
    assert!(status(&podman, "web").await.is_running());
    failed(
        act(&engine, "absent", Action::Restart).await,
        Failure::Missing,
        "list containers with `docker ps --all`",
    );
    let nowhere = EngineHost::Unix("/nonexistent/engine.sock".into());
    failed(
        act(&nowhere, "web", Action::Start).await,
        Failure::Unreachable,
        "start container web: ",
    );
}

/// Runs `upkeep_exporter service` with a docker check of the container web, and returns its output after asserting success.
fn service(podman: &Podman, arguments: &[&str]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("upkeep.yml");
    let services = format!(
        "services: [{{ key: shop, checks: [{{ {} }}] }}]\n",
        podman.keys("web")
    );
    std::fs::write(&file, services).unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_upkeep_exporter"))
        .arg("service")
        .args(arguments)
        .arg("--config.file")
        .arg(file)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {text}{errors}");
    text
}

#[tokio::test]
async fn the_command_controls_containers() {
    let podman = Podman::start().await;
    podman.run("web", &["--stop-timeout=1"], "sleep 1000");
    let text = service(&podman, &["stop", "shop"]);
    assert!(text.starts_with("shop: stopped container web after "), "{text}");
    let text = service(&podman, &["list"]);
    assert!(text.ends_with("  container web      exited\n"), "{text}");
    let text = service(&podman, &["start", "shop"]);
    assert!(
        text.starts_with("shop: started container web, up after "),
        "{text}"
    );
    let text = service(&podman, &["restart", "--all"]);
    assert!(text.contains("restarted container web, up after "), "{text}");
    assert!(status(&podman, "web").await.is_running());
}

/// A healer of the service `api`, whose check of the container web always fails.
struct Healing {
    clock: Arc<SystemClock>,
    store: Arc<Store>,
    healer: Healer,
    _dir: tempfile::TempDir,
}

impl Healing {
    fn start(podman: &Podman) -> Self {
        let text = format!(
            "services: [{{ key: api, checks: [{{ {} }}], heal: {{ mode: act, start_grace: 15s }} }}]",
            podman.keys("web")
        );
        let config = parse(&text, "test.yml").unwrap().config;
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(SystemClock::new());
        let (store, _) = Store::open(clock.clone(), None).unwrap();
        store.apply(&config);
        let setup = HealSetup {
            store: store.clone(),
            clock: clock.clone(),
            control: Arc::new(SystemControl::default()),
            state_dir: Some(dir.path().to_owned()),
            // Without pressure files: this machine is busy with other tests.
            procfs: "/nonexistent".into(),
            lost: Arc::default(),
            is_disabled: false,
        };
        let healer = Healer::start(&Handle::current(), setup);
        healer.apply(&config);
        Self {
            clock,
            store,
            healer,
            _dir: dir,
        }
    }

    async fn until(&self, what: &str, is_wanted: impl Fn(&ServiceHealView) -> bool) {
        let began = Instant::now();
        loop {
            let now = self.clock.now();
            let outcome = Outcome {
                conclusion: Conclusion::Failure(Problem::new(Reason::State, "it does not run")),
                ..Outcome::default()
            };
            let run = Run {
                started: now,
                ended: now,
            };
            let (_, handle, _) = self.store.handles().remove(0);
            self.store.record(handle, run, outcome, 0);
            let view = self.healer.view().services.remove(0);
            if is_wanted(&view) {
                return;
            }
            assert!(began.elapsed() < 3 * LONG, "waiting until {what}: {view:#?}");
            sleep(Duration::from_millis(250)).await;
        }
    }
}

fn acted(view: &ServiceHealView) -> bool {
    view.actions.contains_key(&HealEvent::Acted)
}

#[tokio::test]
async fn a_container_is_healed_unless_a_person_stopped_it() {
    let mut podman = Podman::start().await;
    podman.run("web", &["--stop-timeout=1"], "sleep 1000");
    let healing = Healing::start(&podman);
    healing
        .until("it is in its grace", |view| {
            view.refusal == Some(Refusal::StartGrace)
        })
        .await;
    podman.cli(&["stop", "web"]);
    healing
        .until("it was stopped", |view| view.refusal == Some(Refusal::Stopped))
        .await;
    podman.server.kill();
    healing
        .until("the engine is gone", |view| {
            view.refusal == Some(Refusal::TargetUnknown) && !acted(view)
        })
        .await;
    podman.serve_again().await;
    podman.cli(&["start", "web"]);
    let before = status(&podman, "web").await;
    healing.until("it is healed", acted).await;
    let after = status(&podman, "web").await;
    assert!(after.is_running() && after.started > before.started, "{after:?}");
}
