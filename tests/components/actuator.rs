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
