//! Applications that do not accept JSON, over both brokers.

use std::time::Duration;

use upkeep_exporter::model::Reason;

use super::{DEADLINE, celery};
use crate::common::celery::App;
use crate::common::rabbitmq::shared_broker;
use crate::common::ran::run;
use crate::common::redis::Redis;

const SERIALIZERS: [&str; 4] = ["json", "yaml", "msgpack", "pickle"];

/// The configuration of an application that accepts and writes only this serializer.
fn only(serializer: &str) -> String {
    format!(
        r#"{{"task_serializer": "{serializer}", "result_serializer": "{serializer}", "accept_content": ["{serializer}"]}}"#
    )
}

/// How often a worker's log mentions a rejected JSON message. One message may cause several lines.
fn refusals(log: &str) -> usize {
    log.matches("content of type json").count()
}

/// A configured serializer is the only one that is used. Without one, the check finds the one that works and keeps using it.
async fn workers_reply(broker: &str, serializer: &str) {
    let app = App::new(broker, &only(serializer));
    let worker = app.ready_worker("one").await;
    let mut check_as_configured = celery(broker, &format!(", serializer: {serializer}"));
    let ran = run!(check_as_configured, DEADLINE);
    ran.fine();
    assert_eq!(ran.workers(), Some(1.0), "{serializer}");
    let log = worker.server.log();
    assert_eq!(refusals(&log), 0, "{serializer}: {log}");
    assert!(!log.contains("Refusing to deserialize"), "{serializer}: {log}");

    let mut check = celery(broker, "");
    let ran = run!(check, DEADLINE);
    ran.fine();
    // The wait for a reply to the JSON ping does not count as response time.
    let response_time = ran.report.response_time.unwrap();
    assert!(
        response_time < Duration::from_secs(1),
        "{serializer}: {response_time:?}"
    );
    // Messages are read in order, so the worker rejected the first ping before it replied to another one.
    let refused = refusals(&worker.server.log());
    assert_eq!(refused > 0, serializer != "json", "{}", worker.server.log());
    for _ in 0..3 {
        let ran = run!(check, DEADLINE);
        ran.fine();
        assert_eq!(ran.workers(), Some(1.0), "{serializer}");
    }
    assert_eq!(
        refusals(&worker.server.log()),
        refused,
        "{serializer}: the working serializer is remembered"
    );
}

#[tokio::test]
async fn workers_over_redis_reply_in_their_serializer() {
    for serializer in SERIALIZERS {
        let redis = Redis::start(&[]).await;
        workers_reply(&redis.url("", 1), serializer).await;
    }
}

#[tokio::test]
async fn workers_over_rabbitmq_reply_in_their_serializer() {
    let (_others, broker) = shared_broker().await;
    let name = "serializers";
    broker.tenant(name, "s3cret", "");
    let url = format!("amqp://{name}:s3cret@127.0.0.1:{}/{name}", broker.port);
    workers_reply(&url, "pickle").await;
}

#[tokio::test]
async fn a_serializer_that_workers_reject_is_named() {
    let redis = Redis::start(&[]).await;
    let broker = redis.url("", 1);
    let app = App::new(&broker, &only("pickle"));
    let worker = app.ready_worker("one").await;
    let ran = run!(celery(&broker, ", serializer: json"), DEADLINE);
    ran.failed(Reason::Missing, "or does not accept json (accept_content)");
    assert!(refusals(&worker.server.log()) > 0, "{}", worker.server.log());
}
