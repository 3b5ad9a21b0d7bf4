//! The metric families of celery checks, and the functions that report them.

use std::borrow::Cow;

use super::judge::QueueLength;
use crate::config::celery::{CelerySettings, MAX_NAMED};
use crate::model::{Family, Report, Sample};
use crate::net::certificates::{CERTIFICATE_NOT_AFTER, CERTIFICATE_NOT_BEFORE};

static WORKERS: Family = Family::gauge(
    "upkeep_celery_workers",
    &[],
    "Workers that responded to the ping of the last run.",
);
static MIN_WORKERS: Family =
    Family::gauge("upkeep_celery_min_workers", &[], "Configured minimum of workers.");
static EXPECTED_WORKERS: Family = Family::gauge(
    "upkeep_celery_expected_workers",
    &[],
    "Configured number of expected workers. Absent if not configured.",
);
static WORKER_UP: Family = Family::gauge(
    "upkeep_celery_worker_up",
    &["worker"],
    "1 if the worker responded to the last ping, 0 if it only responded within the last hour. At most 100 workers, \
     names cut at 64 bytes.",
);
static QUEUE_MESSAGES: Family = Family::gauge(
    "upkeep_celery_queue_messages",
    &["queue"],
    "Messages waiting in a configured queue, summed over priorities.",
);
static QUEUE_MESSAGES_LIMIT: Family = Family::gauge(
    "upkeep_celery_queue_messages_limit",
    &["queue"],
    "Configured maximum of waiting messages (max_messages). Absent if not configured.",
);

/// The families of celery checks.
pub const FAMILIES: &[&Family] = &[
    &CERTIFICATE_NOT_AFTER,
    &CERTIFICATE_NOT_BEFORE,
    &WORKERS,
    &MIN_WORKERS,
    &EXPECTED_WORKERS,
    &WORKER_UP,
    &QUEUE_MESSAGES,
    &QUEUE_MESSAGES_LIMIT,
];

fn push(report: &mut Report, family: &'static Family, label: Option<&str>, value: f64) {
    report.samples.push(Sample {
        family,
        labels: label
            .map(|label| Cow::from(label.to_owned()))
            .into_iter()
            .collect(),
        value,
    });
}

#[allow(clippy::cast_precision_loss, reason = "exact up to 2^53")]
fn number(count: u64) -> f64 {
    count as f64
}

/// Reports the configured limits. They do not depend on the broker.
pub fn report_configured(settings: &CelerySettings, report: &mut Report) {
    push(report, &MIN_WORKERS, None, number(settings.min_workers as u64));
    if let Some(expected) = settings.expected_workers {
        push(report, &EXPECTED_WORKERS, None, number(expected as u64));
    }
    for queue in &settings.queues {
        if let Some(max) = queue.max_messages {
            push(report, &QUEUE_MESSAGES_LIMIT, Some(&queue.name), number(max));
        }
    }
}

/// Reports how many workers replied, and which of the known workers did.
pub fn report_workers<'a>(replied: usize, known: impl Iterator<Item = (&'a str, bool)>, report: &mut Report) {
    push(report, &WORKERS, None, number(replied as u64));
    for (name, is_up) in known.take(MAX_NAMED) {
        push(report, &WORKER_UP, Some(name), f64::from(u8::from(is_up)));
    }
}

/// Reports the length of every queue whose length is known.
pub fn report_queues(settings: &CelerySettings, lengths: &[QueueLength], report: &mut Report) {
    for (queue, length) in settings.queues.iter().zip(lengths) {
        if let QueueLength::Messages(found) = length {
            push(report, &QUEUE_MESSAGES, Some(&queue.name), number(*found));
        }
    }
}
