//! Celery checks over Redis.

use std::time::Duration;

use rustix::process::Signal;
use upkeep_exporter::model::Reason;

use super::{DEADLINE, celery, connections_to, succeeds};
use crate::common::celery::App;
use crate::common::ran::{SHORT, run};
use crate::common::redis::Redis;
use crate::common::servers::eventually;

fn url(redis: &Redis) -> String {
    redis.url("", 1)
}

/// Every key with its value, sorted.
fn keys(redis: &Redis) -> Vec<String> {
    let keys = redis.cli(&["-n", "1", "keys", "*"]);
    let mut keys: Vec<String> = keys.lines().map(str::to_owned).collect();
    keys.sort();
    keys
}

#[tokio::test]
async fn workers_reply_come_and_go() {
    let redis = Redis::start(&[]).await;
    let app = App::new(&url(&redis), "{}");
    let (one, mut two) = (app.worker("one"), app.worker("two"));
    one.ready().await;
    two.ready().await;
    let before = keys(&redis);
    let mut check = celery(
        &url(&redis),
        ", min_workers: 1, expected_workers: 2, queues: [celery]",
    );

    let ran = run!(check, DEADLINE);
    ran.fine();
    assert_eq!(ran.workers(), Some(2.0));
    assert_eq!(
        (ran.is_up("one@test"), ran.is_up("two@test")),
        (Some(1.0), Some(1.0))
    );
    assert_eq!(ran.messages("celery"), Some(0.0));
    assert_eq!(keys(&redis), before);

    two.server.signal(Signal::STOP);
    let ran = run!(check, DEADLINE);
    ran.warned(
        Reason::Missing,
        "1 of 2 expected workers replied to the ping (one@test); not replying: two@test; listening workers: 2",
    );
    assert_eq!(ran.workers(), Some(1.0));
    assert_eq!(
        (ran.is_up("one@test"), ran.is_up("two@test")),
        (Some(1.0), Some(0.0))
    );
    assert!(ran.report.response_time.unwrap() < Duration::from_secs(1));
    let mut strict = celery(&url(&redis), ", min_workers: 2");
    let ran = run!(strict, DEADLINE);
    ran.failed(
        Reason::Missing,
        "1 of at least 2 workers replied to the ping within 1s (one@test)",
    )
    .without_response();
    assert_eq!(ran.workers(), Some(1.0));

    two.server.signal(Signal::CONT);
    let mut both = celery(&url(&redis), ", min_workers: 2");
    succeeds(&mut both, "both reply again").await;
    let ran = run!(check, DEADLINE);
    ran.fine();
    assert_eq!(ran.is_up("two@test"), Some(1.0));

    two.server.kill();
    let ran = run!(check, DEADLINE);
    ran.warned(Reason::Missing, "not replying: two@test");
    assert_eq!(ran.is_up("two@test"), Some(0.0));
    let two = app.ready_worker("two").await;
    run!(check, DEADLINE).fine();
    drop((one, two));

    let ran = run!(check, DEADLINE);
    ran.failed(Reason::Missing, "no worker replied to the ping within 1s; not replying: one@test, two@test; no worker listens on celery.pidbox")
        .without_response();
    assert_eq!(ran.workers(), Some(0.0));
    assert_eq!(ran.is_up("one@test"), Some(0.0));
    assert_eq!(keys(&redis), before);
}

#[tokio::test]
async fn pings_every_second_are_fast() {
    let redis = Redis::start(&[]).await;
    let app = App::new(&url(&redis), "{}");
    let (one, two) = (app.worker("one"), app.worker("two"));
    one.ready().await;
    two.ready().await;
    let mut check = celery(&url(&redis), "");
    // The configuration does not say how many workers there are: the first run waits for both.
    let mut took = Duration::ZERO;
    for run in 0..20 {
        let ran = run!(check, DEADLINE);
        ran.fine();
        assert_eq!(ran.workers(), Some(2.0), "run {run}");
        took += ran.took;
        assert_eq!(connections_to(redis.port()), 1, "run {run}");
    }
    // Far below the second for which a run collects replies at most. A busy machine may delay single runs.
    assert!(took < Duration::from_secs(5), "{took:?} for 20 runs");
    drop(check);
    eventually("the connection is closed", DEADLINE, || async {
        (connections_to(redis.port()) == 0).then_some(())
    })
    .await;
    let mut fresh = celery(&url(&redis), ", reuse_connection: false");
    for _ in 0..3 {
        run!(fresh, DEADLINE).fine();
    }
    eventually("no connection is left", DEADLINE, || async {
        (connections_to(redis.port()) == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_solo_worker_does_not_reply_during_a_task() {
    let redis = Redis::start(&[]).await;
    let app = App::new(&url(&redis), "{}");
    let worker = app.ready_worker("one").await;
    app.client("nap.delay(4)");
    worker.got_task().await;
    let mut check = celery(&url(&redis), ", reply_timeout: 500ms");
    run!(check, DEADLINE).failed(
        Reason::Missing,
        "no worker replied to the ping within 500ms; listening workers: 1; check the worker's log: a worker does not \
         reply if it is stopped, hangs, runs a task in a solo pool, or does not accept json, pickle, msgpack, yaml \
         (accept_content)",
    );
    succeeds(&mut check, "the task ends").await;
    assert!(worker.server.log().contains("succeeded"));
}

#[tokio::test]
async fn messages_of_all_priorities_are_counted() {
    let redis = Redis::start(&[]).await;
    let conf = r#"{"broker_transport_options": {"queue_order_strategy": "priority", "priority_steps": [0, 2, 5, 8]}}"#;
    let app = App::new(&url(&redis), conf);
    let worker = app.ready_worker("one").await;
    app.client("nap.apply_async((0,), queue='other')\nfor p in (0, 2, 2, 5, 9): nap.apply_async((0,), priority=p, queue='slow')");
    let queues = "queues: [{ name: slow, max_messages: 4 }, { name: other, max_messages: 1 }, none]";
    let mut check = celery(&url(&redis), &format!(", priority_steps: [0, 2, 5, 8], {queues}"));
    let ran = run!(check, DEADLINE);
    ran.warned(
        Reason::Limit,
        "the queue slow has 5 messages, the limit (max_messages) is 4",
    );
    assert_eq!(ran.messages("slow"), Some(5.0));
    assert_eq!(
        (ran.messages("other"), ran.messages("none")),
        (Some(1.0), Some(0.0))
    );
    assert_eq!(
        ran.value("upkeep_celery_queue_messages_limit", Some("slow")),
        Some(4.0)
    );
    // Lengths are reported although no worker runs.
    drop(worker);
    let ran = run!(check, DEADLINE);
    ran.failed(Reason::Missing, "no worker listens");
    assert_eq!(ran.messages("slow"), Some(5.0));
    redis.cli(&["-n", "1", "set", "none", "text"]);
    let ran = run!(check, DEADLINE);
    assert_eq!(ran.messages("none"), None);
}

#[tokio::test]
async fn transport_options_are_respected() {
    let redis = Redis::start(&[]).await;
    let conf = r#"{"control_exchange": "shopctl", "broker_transport_options":
        {"global_keyprefix": "shop:", "fanout_prefix": "/x{db}.", "sep": ":"}}"#;
    let app = App::new(&url(&redis), conf);
    let _worker = app.ready_worker("one").await;
    app.client("nap.apply_async((0,), priority=9, queue='slow')");
    let options = ", global_keyprefix: \"shop:\", fanout_prefix: \"/x{db}.\", sep: \":\", control_exchange: shopctl, queues: [slow]";
    let ran = run!(celery(&url(&redis), options), DEADLINE);
    ran.fine();
    assert_eq!(ran.messages("slow"), Some(1.0));
    let others = ", global_keyprefix: \"shop:\", control_exchange: shopctl, reply_timeout: 100ms";
    run!(celery(&url(&redis), others), DEADLINE)
        .failed(Reason::Missing, "no worker listens on shopctl.pidbox");
}

#[tokio::test]
async fn failures_of_the_broker_have_their_own_reasons() {
    let mut redis = Redis::with_password("right", &[]).await;
    let broker = redis.url(":right@", 1);
    let mut wrong = celery(&redis.url(":wr0ng@", 1), "");
    let ran = run!(wrong, DEADLINE);
    ran.failed(Reason::Auth, "the server rejects the password")
        .without_response();
    let shown = format!("{:?} {:?} {wrong:?}", ran.result, ran.report);
    assert!(!shown.contains("wr0ng"), "{shown}");
    assert_eq!(ran.workers(), None);
    assert_eq!(ran.value("upkeep_celery_min_workers", None), Some(1.0));

    let app = App::new(&broker, "{}");
    let worker = app.ready_worker("one").await;
    let mut check = celery(&broker, "");
    run!(check, DEADLINE).fine();
    redis.signal(Signal::STOP);
    let ran = run!(check, SHORT);
    ran.hung("waiting for the response of 127.0.0.1:");
    redis.signal(Signal::CONT);
    run!(check, DEADLINE).fine();

    redis.kill();
    run!(check, DEADLINE)
        .failed(Reason::Refused, "connecting to 127.0.0.1:")
        .without_response();
    redis.restart().await;
    succeeds(&mut check, "the worker is back after the broker").await;
    // The broker restarted between two runs, so the run uses a new connection.
    redis.restart().await;
    drop(worker);
    run!(check, DEADLINE).failed(Reason::Missing, "no worker replied");
}

#[tokio::test]
async fn a_broker_that_hangs_during_the_wait_for_replies_times_out() {
    let redis = Redis::start(&[]).await;
    let mut check = celery(&url(&redis), ", reply_timeout: 200ms");
    let stop = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        redis.signal(Signal::STOP);
    };
    let (ran, ()) = tokio::join!(async { run!(check, Duration::from_secs(2)) }, stop);
    assert_eq!(ran.result, None);
    assert!(ran.report.step.contains("to BRPOP"), "{}", ran.report.step);
    assert_eq!(ran.workers(), None);
    redis.signal(Signal::CONT);
}

#[tokio::test]
async fn data_left_by_cancelled_runs_does_not_grow() {
    let redis = Redis::start(&[]).await;
    let app = App::new(&url(&redis), "{}");
    let worker = app.ready_worker("one").await;
    let before = keys(&redis);
    let mut check = celery(&url(&redis), "");
    for _ in 0..3 {
        worker.server.signal(Signal::STOP);
        let ran = run!(check, SHORT);
        ran.hung("waiting for workers: 0 of at least 1 have replied");
        worker.server.signal(Signal::CONT);
        eventually("the connection is closed", DEADLINE, || async {
            (connections_to(redis.port()) == 0).then_some(())
        })
        .await;
        // The late reply creates a list, because the set of bindings still exists.
        eventually("the late reply has arrived", DEADLINE, || async {
            (keys(&redis).len() == before.len() + 2).then_some(())
        })
        .await;
        let bindings = redis.cli(&["-n", "1", "smembers", "_kombu.binding.reply.celery.pidbox"]);
        assert_eq!(bindings.lines().count(), 1, "{bindings}");
    }
    run!(check, DEADLINE).fine();
    assert_eq!(keys(&redis), before);
}

#[tokio::test]
async fn data_of_deleted_checks_is_removed_hours_later() {
    let redis = Redis::start(&[]).await;
    let app = App::new(&url(&redis), "{}");
    let _worker = app.ready_worker("one").await;
    let before = keys(&redis);
    let set = "_kombu.binding.reply.celery.pidbox";
    let binding = |name: &str, time: &str| format!("{name}.{time}\x06\x16\x06\x16{name}.reply.celery.pidbox");
    redis.cli(&[
        "-n",
        "1",
        "sadd",
        set,
        &binding("upkeep-dead", "1000000000"),
        &binding("upkeep-live", "99999999999"),
    ]);
    redis.cli(&["-n", "1", "sadd", set, &binding("flower", "1000000000")]);
    redis.cli(&["-n", "1", "lpush", "upkeep-dead.reply.celery.pidbox", "x"]);
    run!(celery(&url(&redis), ""), DEADLINE).fine();
    let left = redis.cli(&["-n", "1", "smembers", set]);
    assert!(
        left.contains("upkeep-live") && left.contains("flower") && !left.contains("upkeep-dead"),
        "{left}"
    );
    redis.cli(&["-n", "1", "del", set]);
    assert_eq!(keys(&redis), before);
}
