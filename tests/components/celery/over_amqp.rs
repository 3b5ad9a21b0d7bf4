//! Celery checks over RabbitMQ. Each test has its own virtual host.

use std::time::Duration;

use rustix::process::Signal;
use upkeep_exporter::model::Reason;

use super::{DEADLINE, celery, succeeds};
use crate::common::celery::App;
use crate::common::rabbitmq::{RabbitMq, exclusive_broker, shared_broker};
use crate::common::ran::{SHORT, run};
use crate::common::servers::eventually;

/// The password of tenants.
const PASSWORD: &str = "s3cret";

/// The URL of the broker for this user and virtual host.
fn at(broker: &RabbitMq, user: &str, password: &str, vhost: &str) -> String {
    format!("amqp://{user}:{password}@127.0.0.1:{}/{vhost}", broker.port)
}

/// Creates a tenant and returns its URL.
fn url(broker: &RabbitMq, tenant: &str) -> String {
    broker.tenant(tenant, PASSWORD, "");
    at(broker, tenant, PASSWORD, tenant)
}

/// The queues of a virtual host, sorted.
fn queues(broker: &RabbitMq, vhost: &str) -> String {
    broker.eval(&format!(
        "lists:sort([element(4, amqqueue:get_name(Q)) || Q <- rabbit_amqqueue:list(<<\"{vhost}\">>)])"
    ))
}

#[tokio::test]
async fn workers_reply_come_and_go() {
    let (_use, broker) = shared_broker().await;
    let tenant = "celery_workers";
    let url = url(&broker, tenant);
    let keys = ", expected_workers: 2, queues: [celery, { name: slow, max_messages: 1 }]";
    let mut check = celery(&url, keys);
    // No worker has ever run: the check creates nothing in the broker and does not wait.
    let ran = run!(check, DEADLINE);
    ran.failed(
        Reason::Missing,
        "no worker replied to the ping within 1s; no worker listens on celery.pidbox",
    )
    .without_response();
    assert_eq!(ran.workers(), Some(0.0));
    assert_eq!(queues(&broker, tenant), "[]");

    let app = App::new(&url, "{}");
    let (one, mut two) = (app.worker("one"), app.worker("two"));
    one.ready().await;
    two.ready().await;
    let before = queues(&broker, tenant);
    let ran = run!(check, DEADLINE);
    ran.warned(Reason::Missing, "the queue slow: not found on the broker");
    assert_eq!(ran.workers(), Some(2.0));
    assert_eq!(
        (ran.is_up("one@test"), ran.is_up("two@test")),
        (Some(1.0), Some(1.0))
    );
    assert_eq!((ran.messages("celery"), ran.messages("slow")), (Some(0.0), None));
    assert_eq!(queues(&broker, tenant), before);
    app.client("for p in (0, 9): nap.apply_async((0,), priority=p, queue='slow')");
    let ran = run!(check, DEADLINE);
    ran.warned(
        Reason::Limit,
        "the queue slow has 2 messages, the limit (max_messages) is 1",
    );
    assert_eq!(ran.messages("slow"), Some(2.0));

    two.server.signal(Signal::STOP);
    let ran = run!(check, DEADLINE);
    ran.warned(
        Reason::Missing,
        "1 of 2 expected workers replied to the ping (one@test); not replying: two@test; listening workers: 2",
    );
    assert_eq!(
        (ran.is_up("one@test"), ran.is_up("two@test")),
        (Some(1.0), Some(0.0))
    );
    let mut strict = celery(&url, ", min_workers: 2");
    run!(strict, DEADLINE).failed(
        Reason::Missing,
        "1 of at least 2 workers replied to the ping within 1s (one@test)",
    );
    two.server.signal(Signal::CONT);
    succeeds(&mut strict, "both reply again").await;
    assert_eq!(run!(check, DEADLINE).is_up("two@test"), Some(1.0));

    two.server.kill();
    let ran = run!(check, DEADLINE);
    ran.warned(
        Reason::Missing,
        "1 of 2 expected workers replied to the ping (one@test); not replying: two@test",
    );
    assert_eq!(ran.is_up("two@test"), Some(0.0));
    drop((check, strict, one));
    broker.connections(tenant, 0).await;
}

#[tokio::test]
async fn pings_every_second_are_fast() {
    let (_use, broker) = shared_broker().await;
    let tenant = "celery_often";
    let url = url(&broker, tenant);
    let app = App::new(&url, "{}");
    let (one, two) = (app.worker("one"), app.worker("two"));
    one.ready().await;
    two.ready().await;
    let before = queues(&broker, tenant);
    let mut check = celery(&url, "");
    let mut took = Duration::ZERO;
    // The broker does not report how many workers there are: the first run discovers both.
    for run in 0..20 {
        let ran = run!(check, DEADLINE);
        ran.fine();
        assert_eq!(ran.workers(), Some(2.0), "run {run}");
        took += ran.took;
    }
    // Far below the second for which a run collects replies at most. A busy machine may delay single runs.
    assert!(took < Duration::from_secs(5), "{took:?} for 20 runs");
    assert_eq!(queues(&broker, tenant), before);
    drop((one, two));
    // Only the connection of the check is left.
    broker.connections(tenant, 1).await;
    let mut fresh = celery(&url, ", reuse_connection: false, reply_timeout: 100ms");
    run!(fresh, DEADLINE).failed(Reason::Missing, "no worker replied");
    drop(check);
    broker.connections(tenant, 0).await;
}

#[tokio::test]
async fn a_cancelled_run_leaves_nothing() {
    let (_use, broker) = shared_broker().await;
    let tenant = "celery_cancelled";
    let url = url(&broker, tenant);
    let app = App::new(&url, "{}");
    let worker = app.ready_worker("one").await;
    let mut check = celery(&url, "");
    run!(check, DEADLINE).fine();
    let before = queues(&broker, tenant);
    worker.server.signal(Signal::STOP);
    for _ in 0..3 {
        run!(check, Duration::from_millis(700)).step("waiting for workers: 0 of at least 1 have replied");
        // Until the broker has noticed it, the next run can't declare the queue again.
        eventually(
            "the connection is closed, and its queue with it",
            DEADLINE,
            || async { (queues(&broker, tenant) == before).then_some(()) },
        )
        .await;
    }
    worker.server.signal(Signal::CONT);
    succeeds(&mut check, "the worker continues").await;
    assert_eq!(queues(&broker, tenant), before);
}

#[tokio::test]
async fn a_monitor_needs_few_permissions() {
    let (_use, broker) = shared_broker().await;
    let tenant = "celery_monitor";
    let url = url(&broker, tenant);
    let app = App::new(&url, "{}");
    let _worker = app.ready_worker("one").await;
    let allow = |configure: &str| {
        broker.eval(&format!(
            "rabbit_auth_backend_internal:add_user(<<\"watch\">>, <<\"{PASSWORD}\">>, <<\"test\">>), \
             rabbit_auth_backend_internal:set_permissions(<<\"watch\">>, <<\"{tenant}\">>, <<\"{configure}\">>, \
             <<\"^(upkeep-.*|celery[.]pidbox)$\">>, <<\"^(upkeep-.*|reply[.]celery[.]pidbox)$\">>, <<\"test\">>)"
        ));
    };
    let as_monitor = at(&broker, "watch", PASSWORD, tenant);
    allow("^(upkeep-.*|reply[.]celery[.]pidbox)$");
    let ran = run!(celery(&as_monitor, ", queues: [celery]"), DEADLINE);
    ran.fine();
    assert_eq!(ran.messages("celery"), Some(0.0));
    broker.eval(&format!(
        "rabbit_auth_backend_internal:clear_permissions(<<\"watch\">>, <<\"{tenant}\">>, <<\"test\">>)"
    ));
    run!(celery(&as_monitor, ""), DEADLINE).failed(Reason::Auth, "rabbitmqctl set_permissions");
    broker.eval(&format!(
        "rabbit_auth_backend_internal:set_permissions(<<\"watch\">>, <<\"{tenant}\">>, <<\"\">>, <<\"\">>, <<\"\">>, \
         <<\"test\">>)"
    ));
    run!(celery(&as_monitor, ""), DEADLINE).failed(Reason::Auth, "declaring the");
}

#[tokio::test]
async fn failures_of_the_broker_have_their_own_reasons() {
    let (_use, broker) = exclusive_broker().await;
    let tenant = "celery_faults";
    let url = url(&broker, tenant);
    let mut wrong = celery(&at(&broker, tenant, "wr0ng", tenant), "");
    let ran = run!(wrong, DEADLINE);
    ran.failed(Reason::Auth, "403 ACCESS_REFUSED").without_response();
    let shown = format!("{:?} {:?} {wrong:?}", ran.result, ran.report);
    assert!(!shown.contains("wr0ng"), "{shown}");
    assert_eq!(ran.workers(), None);
    let nowhere = at(&broker, tenant, PASSWORD, "nowhere");
    run!(celery(&nowhere, ""), DEADLINE).failed(Reason::Missing, "vhost nowhere not found");
    let expired = url
        .replace("amqp:", "amqps:")
        .replace(&broker.port.to_string(), &broker.tls_port.to_string());
    let trust = format!(
        ", tls_config: {{ ca: \"{}\" }}",
        broker.authority.pem().replace('\n', "\\n")
    );
    let ran = run!(celery(&expired, &trust), DEADLINE);
    ran.failed(Reason::Tls, "expired");
    assert!(ran.not_after().is_some());

    let app = App::new(&url, "{}");
    let worker = app.ready_worker("one").await;
    let mut check = celery(&url, "");
    run!(check, DEADLINE).fine();
    let mut secured = celery(&expired, ", tls_config: { insecure_skip_verify: true }");
    for _ in 0..2 {
        let ran = run!(secured, DEADLINE);
        ran.fine();
        assert!(ran.not_after().is_some(), "also on a reused connection");
    }
    broker.alarm("memory", true).await;
    let ran = run!(check, Duration::from_secs(4));
    ran.failed(Reason::State, "the broker currently accepts no messages");
    assert_eq!(ran.workers(), None);
    broker.alarm("memory", false).await;
    succeeds(&mut check, "the alarm is over").await;

    broker.signal(Signal::STOP);
    run!(check, SHORT).hung("opening a channel");
    run!(check, SHORT).hung("waiting for the broker's greeting");
    broker.signal(Signal::CONT);
    succeeds(&mut check, "the broker continues").await;

    broker.kill();
    run!(check, DEADLINE)
        .failed(Reason::Refused, "connecting to 127.0.0.1:")
        .without_response();
    broker.restart().await;
    succeeds(&mut check, "the worker is back after the broker").await;
    drop(worker);
    // The broker restarted between two runs, so the run uses a new connection.
    broker.kill();
    broker.restart().await;
    run!(check, DEADLINE).failed(Reason::Missing, "no worker replied");
}
