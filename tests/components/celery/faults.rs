//! Servers that are not brokers, and replies that do not come from workers.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use upkeep_exporter::model::Reason;

use super::{DEADLINE, celery};
use crate::common::ran::{SHORT, run};
use crate::common::redis::Redis;
use crate::common::targets::Target;

#[tokio::test]
async fn servers_that_are_not_brokers() {
    for scheme in ["redis", "amqp"] {
        let at = |address: &dyn std::fmt::Display| format!("{scheme}://me:s3cret@{address}");
        let run_at = async |address: &dyn std::fmt::Display| {
            let mut check = celery(&at(address), "");
            let ran = run!(check, DEADLINE);
            let shown = format!("{:?} {:?} {check:?}", ran.result, ran.report);
            assert!(!shown.contains("s3cret"), "{shown}");
            assert_eq!(ran.workers(), None);
            assert_eq!(ran.value("upkeep_celery_min_workers", None), Some(1.0));
            ran
        };
        let refusing = Target::refusing().await;
        run_at(&refusing)
            .await
            .failed(Reason::Refused, "Connection refused")
            .without_response();
        run_at(&"nobody.invalid")
            .await
            .failed(Reason::Dns, "nobody.invalid")
            .without_response();
        let garbage = Target::serve(|mut stream, _, _| async move {
            let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").await;
            Some(stream)
        })
        .await;
        run_at(&garbage.address)
            .await
            .failed(Reason::Protocol, "")
            .without_response();
        let closing = Target::closing(false).await;
        run_at(&closing.address)
            .await
            .failed(Reason::Closed, "")
            .without_response();
        let silent = Target::silent().await;
        let mut check = celery(&at(&silent.address), "");
        run!(check, SHORT).hung("waiting for ");
        for target in [garbage, closing, silent] {
            target.freed().await;
        }
    }
    let endless = Target::serve(|mut stream, _, _| async move {
        let _ = stream.write_all(b"$999999999\r\n").await;
        while stream.write_all(&[b'x'; 16 << 10]).await.is_ok() {}
        Some(stream)
    })
    .await;
    let ran = run!(celery(&format!("redis://{}", endless.address), ""), DEADLINE);
    ran.failed(Reason::Limit, "it sent more than").without_response();
    endless.freed().await;
}

/// A reply to a ping as a worker would send it.
fn reply(ping: &Value, worker: &str) -> String {
    let body = json!({ worker: { "ok": "pong" } }).to_string();
    let envelope = json!({
        "body": STANDARD.encode(body),
        "content-type": "application/json",
        "headers": { "ticket": ping["ticket"] },
        "properties": { "body_encoding": "base64" },
    });
    envelope.to_string()
}

/// Waits for a ping and sends these replies, and an additional message if given.
fn impostor(redis: &Redis, names: Vec<String>, extra: Vec<String>) -> std::thread::JoinHandle<()> {
    let client = redis::Client::open(redis.url("", 1)).unwrap();
    let mut listening = client.get_connection().unwrap();
    let mut pushing = client.get_connection().unwrap();
    let (ready, is_ready) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        let mut channel = listening.as_pubsub();
        channel.subscribe("/1.celery.pidbox").unwrap();
        ready.send(()).unwrap();
        let message: String = channel.get_message().unwrap().get_payload().unwrap();
        let envelope: Value = serde_json::from_str(&message).unwrap();
        let body = STANDARD.decode(envelope["body"].as_str().unwrap()).unwrap();
        let ping: Value = serde_json::from_slice(&body).unwrap();
        let key = ping["reply_to"]["routing_key"].as_str().unwrap();
        let queue = format!("{}.reply.celery.pidbox", key.rsplit_once('.').unwrap().0);
        let replies = names.iter().map(|name| reply(&ping, name)).chain(extra);
        let mut pipe = redis::pipe();
        for reply in replies {
            pipe.lpush(&queue, reply).ignore();
        }
        let () = pipe.query(&mut pushing).unwrap();
    });
    is_ready.recv().unwrap();
    thread
}

#[tokio::test]
async fn replies_and_names_of_workers_are_bounded() {
    let redis = Redis::start(&[]).await;
    let long = "x".repeat(200);
    let names: Vec<String> = (0..1500).map(|number| format!("w{number:04}@{long}")).collect();
    let mut check = celery(&redis.url("", 1), "");
    let thread = impostor(&redis, names, Vec::new());
    let ran = run!(check, DEADLINE);
    thread.join().unwrap();
    ran.fine();
    assert!(ran.workers().unwrap() <= 1000.0, "{:?}", ran.workers());
    let up: Vec<_> = ran
        .report
        .samples
        .iter()
        .filter(|sample| sample.family.name == "upkeep_celery_worker_up")
        .collect();
    assert!(up.len() <= 100, "{}", up.len());
    assert!(up.iter().all(|sample| sample.labels[0].len() <= 64));
    assert!(ran.report.samples.len() < 110);
}

#[tokio::test]
async fn invalid_replies_do_not_count() {
    let redis = Redis::start(&[]).await;
    let huge = format!("{{\"body\": \"{}\"}}", "x".repeat(5000));
    let stale =
        json!({"body": "{\"old@test\": {\"ok\": \"pong\"}}", "headers": {"ticket": "another"}}).to_string();
    for (extra, told) in [
        (
            huge,
            "an unreadable reply was ignored: it has 5012 bytes, the limit is 4096",
        ),
        (
            "PONG".to_owned(),
            "not a valid message of Celery's Redis transport",
        ),
        (stale, "listening workers: 1"),
    ] {
        let mut check = celery(&redis.url("", 1), ", reply_timeout: 300ms");
        let thread = impostor(&redis, Vec::new(), vec![extra.clone()]);
        let ran = run!(check, DEADLINE);
        thread.join().unwrap();
        assert_eq!(ran.workers(), Some(0.0));
        let problem = ran.result.unwrap().unwrap_err();
        assert!(problem.message().contains(told), "{problem}");
        // A valid reply counts in addition to the invalid one.
        let thread = impostor(&redis, vec!["new@test".to_owned()], vec![extra]);
        let ran = run!(check, DEADLINE);
        thread.join().unwrap();
        ran.succeeded();
        assert_eq!(ran.workers(), Some(1.0));
    }
}

#[tokio::test]
async fn a_monitor_needs_few_permissions() {
    let redis = Redis::start(&[]).await;
    let allow = |commands: &str| {
        let user = format!(
            "ACL SETUSER watch reset on >s3cret ~_kombu.binding.reply.celery.pidbox ~upkeep-* ~celery* &/1.celery.pidbox {commands}"
        );
        redis.ok(&user.split(' ').collect::<Vec<_>>());
    };
    allow("+select +publish +del +sadd +srem +sscan +brpop +llen");
    let thread = impostor(&redis, vec!["one@test".to_owned()], Vec::new());
    let url = redis.url("watch:s3cret@", 1);
    let ran = run!(celery(&url, ", queues: [celery]"), DEADLINE);
    thread.join().unwrap();
    ran.fine();
    assert_eq!(ran.messages("celery"), Some(0.0));
    allow("+select +del +sadd +srem +sscan +brpop +llen");
    let ran = run!(celery(&url, ""), Duration::from_secs(5));
    ran.failed(Reason::Auth, "PUBLISH: the user lacks permission");
}
