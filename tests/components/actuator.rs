//! Starting, stopping and restarting containers with podman, which serves the API of Docker.

use tokio::time::Instant;
use upkeep_exporter::actuator::{ActError, Action, Actuator, ContainerStatus, Done, Failure, Target};
use upkeep_exporter::config::docker::EngineHost;

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
