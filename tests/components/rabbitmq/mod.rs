//! The rabbitmq check against a real broker, and against other servers.

mod connections;
mod failures;
mod management;
mod queues;

use upkeep_exporter::check::Check;
use upkeep_exporter::model::Reason;

use crate::common::rabbitmq::{RabbitMq, shared_broker};
use crate::common::ran::{self, LONG, Ran, run};

const VERSION: &str = "upkeep_rabbitmq_version_info";
const ALARM: &str = "upkeep_rabbitmq_alarm";
const NODE_UP: &str = "upkeep_rabbitmq_node_up";
const READY: &str = "upkeep_rabbitmq_queue_messages_ready";
const UNACKNOWLEDGED: &str = "upkeep_rabbitmq_queue_messages_unacknowledged";
const CONSUMERS: &str = "upkeep_rabbitmq_queue_consumers";
const MESSAGES_LIMIT: &str = "upkeep_rabbitmq_queue_messages_limit";
const CONSUMERS_MINIMUM: &str = "upkeep_rabbitmq_queue_consumers_minimum";

/// The password of a tenant.
fn password(tenant: &str) -> String {
    format!("hush-{tenant}")
}

/// A tenant's check with these keys in addition to the URL.
fn check(broker: &RabbitMq, tenant: &str, more: &str) -> Check {
    let (port, password) = (broker.port, password(tenant));
    ran::check(&format!(
        "kind: rabbitmq, url: \"amqp://{tenant}:{password}@127.0.0.1:{port}/{tenant}\"{}{more}",
        if more.is_empty() { "" } else { ", " }
    ))
}

/// A check that also queries the management API.
fn check_with_management(broker: &RabbitMq, tenant: &str, more: &str) -> Check {
    let url = format!(
        "management_url: \"http://127.0.0.1:{}\"{}{more}",
        broker.management_port,
        if more.is_empty() { "" } else { ", " }
    );
    check(broker, tenant, &url)
}

/// Asserts that the run succeeded without a warning.
#[track_caller]
fn up(ran: &Ran) -> &Ran {
    ran.succeeded();
    assert_eq!(ran.report.warning, None);
    ran
}

/// Asserts that the run succeeded with a warning of this reason that contains the text.
#[track_caller]
fn warned<'r>(ran: &'r Ran, reason: Reason, text: &str) -> &'r Ran {
    ran.succeeded();
    let warning = ran.report.warning.as_ref().expect("a warning");
    assert_eq!(warning.reason, reason, "{warning}");
    assert!(warning.message().contains(text), "{warning}");
    ran
}

#[tokio::test]
async fn a_broker_is_up_with_all_its_metrics() {
    let (_others, broker) = shared_broker().await;
    broker.tenant("whole", &password("whole"), "monitoring");
    let mut mine = broker.connect("whole", &password("whole")).await;
    queues::declare(&mut mine, "jobs").await;
    queues::fill(&mut mine, "jobs", 3).await;
    let more = "queues: [{ name: jobs, max_messages: 10, min_consumers: 0 }]";
    let mut check = check_with_management(&broker, "whole", more);
    let ran = run!(check, LONG);
    up(&ran);
    assert!(ran.value(VERSION, None) == Some(1.0), "{:?}", ran.report.samples);
    for (family, label, value) in [
        (ALARM, "memory", 0.0),
        (ALARM, "disk", 0.0),
        (NODE_UP, "upkeep@localhost", 1.0),
        (READY, "jobs", 3.0),
        (CONSUMERS, "jobs", 0.0),
        (MESSAGES_LIMIT, "jobs", 10.0),
        (CONSUMERS_MINIMUM, "jobs", 0.0),
    ] {
        assert_eq!(ran.value(family, Some(label)), Some(value), "{family} {label}");
    }
    let target = format!("{check:?}");
    assert!(!target.contains("hush"), "{target}");
}
