//! The families of celery checks, and what a run reports in them.

use std::borrow::Cow;

use super::judge::Length;
use crate::config::celery::{CelerySettings, MAX_NAMED};
use crate::model::{Family, Report, Sample};
use crate::net::tls::CERTIFICATE_NOT_AFTER;

static WORKERS: Family = Family::gauge(
    "upkeep_celery_workers",
    &[],
    "Celery workers that answered the ping of the last run.",
);
static MIN_WORKERS: Family = Family::gauge(
    "upkeep_celery_min_workers",
    &[],
    "The fewest workers that are enough, as configured.",
);
static EXPECTED_WORKERS: Family = Family::gauge(
    "upkeep_celery_expected_workers",
    &[],
    "How many workers there should be, as configured; absent where nothing is.",
);
static WORKER_UP: Family = Family::gauge(
    "upkeep_celery_worker_up",
    &["worker"],
    "1 for a worker that answered the last ping, 0 for one that answered within the last hour but not now; at most 100 workers, names cut at 64 bytes.",
);
static QUEUE_MESSAGES: Family = Family::gauge(
    "upkeep_celery_queue_messages",
    &["queue"],
    "Messages that wait in a configured queue, all its priorities together.",
);
static QUEUE_MESSAGES_LIMIT: Family = Family::gauge(
    "upkeep_celery_queue_messages_limit",
    &["queue"],
    "The most messages that are not too many, as configured (max_messages); absent where nothing is.",
);

/// The families of celery checks.
pub const FAMILIES: &[&Family] = &[
    &CERTIFICATE_NOT_AFTER,
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

/// Reports what is configured: known whatever the broker does.
pub fn configured(settings: &CelerySettings, report: &mut Report) {
    push(report, &MIN_WORKERS, None, number(settings.min_workers as u64));
    if let Some(expected) = settings.expected_workers {
        push(report, &EXPECTED_WORKERS, None, number(expected as u64));
    }
    for queue in &settings.queues {
        if let Some(most) = queue.max_messages {
            push(report, &QUEUE_MESSAGES_LIMIT, Some(&queue.name), number(most));
        }
    }
}

/// Reports the workers: how many answered, and of the known ones which.
pub fn workers<'a>(answered: usize, known: impl Iterator<Item = (&'a str, bool)>, report: &mut Report) {
    push(report, &WORKERS, None, number(answered as u64));
    for (name, is_up) in known.take(MAX_NAMED) {
        push(report, &WORKER_UP, Some(name), f64::from(u8::from(is_up)));
    }
}

/// Reports the lengths of queues, as far as they are known.
pub fn queues(settings: &CelerySettings, lengths: &[Length], report: &mut Report) {
    for (queue, length) in settings.queues.iter().zip(lengths) {
        if let Length::Messages(found) = length {
            push(report, &QUEUE_MESSAGES, Some(&queue.name), number(*found));
        }
    }
}
