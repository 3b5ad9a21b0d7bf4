//! The metric families of rabbitmq checks.

use std::borrow::Cow;

use crate::model::{Family, MetricType, Report, Sample, Scope, Unit};
use crate::net::certificates::{CERTIFICATE_NOT_AFTER, CERTIFICATE_NOT_BEFORE};

/// The families of rabbitmq checks.
pub const FAMILIES: &[&Family] = &[
    &VERSION_INFO,
    &ALARM,
    &NODE_UP,
    &QUEUE_MESSAGES_READY,
    &QUEUE_MESSAGES_UNACKNOWLEDGED,
    &QUEUE_CONSUMERS,
    &QUEUE_MESSAGES_LIMIT,
    &QUEUE_CONSUMERS_MINIMUM,
    &CERTIFICATE_NOT_AFTER,
    &CERTIFICATE_NOT_BEFORE,
];

/// Version of the broker.
pub static VERSION_INFO: Family = Family {
    name: "upkeep_rabbitmq_version_info",
    metric_type: MetricType::Info,
    unit: Unit::None,
    scope: Scope::Check,
    labels: &["version"],
    help: "Version of the broker.",
};

/// Alarms of the cluster.
pub static ALARM: Family = Family::gauge(
    "upkeep_rabbitmq_alarm",
    &["alarm"],
    "1 while this alarm (memory or disk) is in effect on a node and blocks publishers, otherwise 0. From the \
     management API.",
);

/// Nodes of the cluster.
pub static NODE_UP: Family = Family::gauge(
    "upkeep_rabbitmq_node_up",
    &["node"],
    "1 while this node of the cluster runs, otherwise 0. From the management API.",
);

/// Messages ready in a named queue.
pub static QUEUE_MESSAGES_READY: Family = Family::gauge(
    "upkeep_rabbitmq_queue_messages_ready",
    &["queue"],
    "Messages ready for delivery in a configured queue.",
);

/// Messages delivered from a named queue.
pub static QUEUE_MESSAGES_UNACKNOWLEDGED: Family = Family::gauge(
    "upkeep_rabbitmq_queue_messages_unacknowledged",
    &["queue"],
    "Messages of a configured queue that were delivered but not yet acknowledged. From the management API.",
);

/// Consumers of a named queue.
pub static QUEUE_CONSUMERS: Family = Family::gauge(
    "upkeep_rabbitmq_queue_consumers",
    &["queue"],
    "Consumers of a configured queue.",
);

/// The configured limit.
pub static QUEUE_MESSAGES_LIMIT: Family = Family::gauge(
    "upkeep_rabbitmq_queue_messages_limit",
    &["queue"],
    "Configured maximum of messages in a queue (max_messages). The check compares it with the ready messages. The alert \
     UpkeepQueueBacklog adds the unacknowledged ones. Absent if not configured.",
);

/// The configured minimum.
pub static QUEUE_CONSUMERS_MINIMUM: Family = Family::gauge(
    "upkeep_rabbitmq_queue_consumers_minimum",
    &["queue"],
    "Configured minimum of consumers of a queue (min_consumers). Absent if not configured.",
);

/// Reports a value of a family with one label.
pub fn push(report: &mut Report, family: &'static Family, label: Cow<'static, str>, value: f64) {
    report.samples.push(Sample {
        family,
        labels: vec![label],
        value,
    });
}
