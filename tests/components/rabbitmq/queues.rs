//! Queues that are too long, without consumers, or missing, and the parts of the AMQP client that only other kinds use.

use amq_protocol::protocol::{BasicProperties, basic, exchange, queue};
use upkeep_exporter::check::amqp::{Connection, short_string};
use upkeep_exporter::model::Reason;

use super::{
    CONSUMERS, MESSAGES_LIMIT, READY, UNACKNOWLEDGED, check, check_with_management, password, up, warned,
};
use crate::common::rabbitmq::shared_broker;
use crate::common::ran::{LONG, run};
use crate::common::servers::eventually;

/// Declares a queue.
pub async fn declare(connection: &mut Connection, name: &str) {
    let declare = queue::Declare {
        queue: short_string(name).unwrap(),
        ..queue::Declare::default()
    };
    connection.declare_queue(declare).await.unwrap();
}

/// Publishes messages to a queue, and waits until they are in it.
pub async fn fill(connection: &mut Connection, name: &str, count: u32) {
    for _ in 0..count {
        let published = connection.publish("", name, BasicProperties::default(), b"work");
        published.await.unwrap();
    }
    let there = async { while connection.inspect_queue(name).await.unwrap().messages < count {} };
    tokio::time::timeout(LONG, there)
        .await
        .expect("the broker accepts messages");
}

#[tokio::test]
async fn a_queue_that_is_too_long_or_without_consumers_is_a_warning() {
    let (_others, broker) = shared_broker().await;
    broker.tenant("limits", &password("limits"), "none");
    let mut mine = broker.connect("limits", &password("limits")).await;
    declare(&mut mine, "a b/c").await;
    fill(&mut mine, "a b/c", 3).await;
    let queues = "queues: [{ name: a b/c, max_messages: 2 }]";
    let ran = run!(check(&broker, "limits", queues), LONG);
    let text = "the queue a b/c has 3 ready messages, the limit (max_messages) is 2: check its consumers";
    warned(&ran, Reason::Limit, text);
    assert_eq!(ran.value(READY, Some("a b/c")), Some(3.0));
    assert_eq!(
        ran.value(UNACKNOWLEDGED, None),
        None,
        "only the management API reports it"
    );
    let queues = "queues: [{ name: a b/c, max_messages: 3, min_consumers: 1 }]";
    let mut check = check(&broker, "limits", queues);
    let ran = run!(check, LONG);
    let text = "the queue a b/c has 0 consumers, the minimum (min_consumers) is 1: start more consumers";
    warned(&ran, Reason::Missing, text);
    let consume = basic::Consume {
        queue: short_string("a b/c").unwrap(),
        ..basic::Consume::default()
    };
    mine.consume(consume).await.unwrap();
    let ran = run!(check, LONG);
    up(&ran);
    assert_eq!(ran.value(CONSUMERS, Some("a b/c")), Some(1.0));
    // The messages are no longer ready, because the consumer has them.
    assert_eq!(ran.value(READY, Some("a b/c")), Some(0.0));
}

#[tokio::test]
async fn a_missing_queue_is_a_warning_and_the_others_are_reported() {
    let (_others, broker) = shared_broker().await;
    broker.tenant("missing", &password("missing"), "none");
    let mut mine = broker.connect("missing", &password("missing")).await;
    declare(&mut mine, "there").await;
    let queues = "queues: [{ name: gone, max_messages: 7 }, { name: there }, { name: lost }]";
    let mut check = check(&broker, "missing", queues);
    for _ in 0..2 {
        let ran = run!(check, LONG);
        let warning = warned(
            &ran,
            Reason::Missing,
            "inspecting the queue gone: the broker refused the request: 404 NOT_FOUND",
        );
        let text = warning.report.warning.as_ref().unwrap();
        assert!(text.message().contains("inspecting the queue lost"), "{text}");
        assert_eq!(ran.value(READY, Some("there")), Some(0.0));
        assert_eq!(ran.value(READY, Some("gone")), None);
        assert_eq!(ran.value(MESSAGES_LIMIT, Some("gone")), Some(7.0));
    }
    // The broker closed the channel, but not the connection.
    broker.connections("missing", 2).await;
    declare(&mut mine, "gone").await;
    declare(&mut mine, "lost").await;
    up(&run!(check, LONG));
}

#[tokio::test]
async fn an_exclusive_queue_of_another_connection_is_a_warning() {
    let (_others, broker) = shared_broker().await;
    broker.tenant("exclusive", &password("exclusive"), "none");
    let mut mine = broker.connect("exclusive", &password("exclusive")).await;
    let declare = queue::Declare {
        queue: short_string("mine").unwrap(),
        exclusive: true,
        ..queue::Declare::default()
    };
    mine.declare_queue(declare).await.unwrap();
    let ran = run!(check(&broker, "exclusive", "queues: [{ name: mine }]"), LONG);
    warned(&ran, Reason::State, "405 RESOURCE_LOCKED");
}

#[tokio::test]
async fn unacknowledged_messages_come_from_the_management_api() {
    let (_others, broker) = shared_broker().await;
    broker.tenant("unacked", &password("unacked"), "monitoring");
    let mut mine = broker.connect("unacked", &password("unacked")).await;
    declare(&mut mine, "jobs").await;
    fill(&mut mine, "jobs", 2).await;
    let message = mine.get("jobs", false).await.unwrap().unwrap();
    assert_eq!(message.body, b"work");
    let check = check_with_management(&broker, "unacked", "queues: [{ name: jobs }]");
    let check = tokio::sync::Mutex::new(check);
    // Statistics of queues are some seconds old.
    eventually("the message is counted", LONG, || async {
        let ran = run!(check.lock().await, LONG);
        up(&ran);
        assert_eq!(ran.value(READY, Some("jobs")), Some(1.0));
        ran.value(UNACKNOWLEDGED, Some("jobs"))
            .filter(|count| *count == 1.0)
    })
    .await;
    mine.ack(message.delivery_tag).await.unwrap();
}

#[tokio::test]
async fn consumers_receive_messages_published_to_an_exchange() {
    let (_others, broker) = shared_broker().await;
    broker.tenant("exchange", &password("exchange"), "none");
    let mut mine = broker.connect("exchange", &password("exchange")).await;
    let fanout = exchange::Declare {
        exchange: short_string("news").unwrap(),
        kind: short_string("fanout").unwrap(),
        ..exchange::Declare::default()
    };
    mine.declare_exchange(fanout).await.unwrap();
    let own = queue::Declare {
        exclusive: true,
        auto_delete: true,
        ..queue::Declare::default()
    };
    let name = mine.declare_queue(own).await.unwrap().name;
    let bind = queue::Bind {
        queue: short_string(&name).unwrap(),
        exchange: short_string("news").unwrap(),
        ..queue::Bind::default()
    };
    mine.bind_queue(bind).await.unwrap();
    let consume = basic::Consume {
        queue: short_string(&name).unwrap(),
        no_ack: true,
        ..basic::Consume::default()
    };
    let tag = mine.consume(consume).await.unwrap();
    // Longer than a frame.
    let body: Vec<u8> = (0..300_000_u32).map(|number| number as u8).collect();
    let properties = BasicProperties::default().with_correlation_id(short_string("42").unwrap());
    for _ in 0..2 {
        mine.publish("news", "", properties.clone(), &body).await.unwrap();
    }
    // A reply that arrives between messages.
    assert_eq!(mine.inspect_queue(&name).await.unwrap().consumers, 1);
    for _ in 0..2 {
        let message = mine.next_message().await.unwrap();
        assert!(message.body == body);
        assert_eq!(message.consumer_tag.as_deref(), Some(tag.as_str()));
        assert_eq!(
            message.properties.correlation_id().as_ref().unwrap().as_str(),
            "42"
        );
    }
    mine.cancel(&tag).await.unwrap();
    mine.close_channel().await.unwrap();
    mine.open_channel().await.unwrap();
    mine.close().await.unwrap();
    broker.connections("exchange", 0).await;
}
