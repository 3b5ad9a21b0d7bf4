//! Faults of single kinds: a container is killed, a broker has an alarm, the disk is full.

use std::time::Duration;

use crate::common::stage::{FullDisk, is_on_stage};
use crate::component::Servers;
use crate::matrix::TO_RECOVERY;
use crate::stack::Stack;
use crate::watch::{becomes, state_of};

/// From the fault to the metrics, if the server reports it at once.
const TO_METRIC: Duration = Duration::from_secs(2);

/// RabbitMQ checks its disk at least every ten seconds, and more often the fuller it is.
const TO_DISK_ALARM: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_single_kinds_show_too() {
    if !is_on_stage("own::faults_of_single_kinds_show_too") {
        return;
    }
    let mut stack = Stack::start().await;
    let exporter = stack.exporter().await;
    for component in &stack.components {
        becomes(&exporter, component.kind, "up", &[], TO_RECOVERY).await;
    }

    let Servers::Docker(engine) = &stack.of("docker").servers else {
        panic!("an engine")
    };
    engine.cli(&["kill", "web"]);
    let shown = becomes(&exporter, "docker", "down", &["state"], TO_METRIC).await;
    engine.cli(&["start", "web"]);
    becomes(&exporter, "docker", "up", &[], TO_RECOVERY).await;
    eprintln!("docker, container killed: visible after {shown:.1?}");

    let Servers::Rabbitmq(broker) = &stack.of("rabbitmq").servers else {
        panic!("a broker")
    };
    broker.alarm("memory", true).await;
    let shown = becomes(&exporter, "rabbitmq", "degraded", &["state"], TO_METRIC).await;
    broker.alarm("memory", false).await;
    becomes(&exporter, "rabbitmq", "up", &[], TO_RECOVERY).await;
    eprintln!("rabbitmq, alarm: visible after {shown:.1?}");

    let disk = FullDisk::fill();
    // Redis notices a full disk when it saves. This one is not configured to refuse writes then.
    for kind in ["redis", "celery"] {
        match &stack.of(kind).servers {
            Servers::Redis(server) => server.cli(&["BGSAVE"]),
            Servers::Celery(celery) => celery.1.cli(&["BGSAVE"]),
            _ => panic!("a Redis"),
        };
    }
    becomes(&exporter, "redis", "degraded", &["state"], TO_METRIC).await;
    becomes(&exporter, "rabbitmq", "degraded", &["state"], TO_DISK_ALARM).await;
    // Components that need no disk space continue.
    let metrics = exporter.metrics().await;
    for kind in ["postgres", "s3", "celery", "docker"] {
        assert!(
            state_of(&metrics, kind).is("up", &[]),
            "{kind}: {:?}",
            state_of(&metrics, kind)
        );
    }
    drop(disk);
    for kind in ["redis", "celery"] {
        match &stack.of(kind).servers {
            Servers::Redis(server) => server.cli(&["BGSAVE"]),
            Servers::Celery(celery) => celery.1.cli(&["BGSAVE"]),
            _ => panic!("a Redis"),
        };
    }
    for component in &stack.components {
        becomes(&exporter, component.kind, "up", &[], TO_DISK_ALARM).await;
    }
}
