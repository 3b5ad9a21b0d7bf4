//! The configuration of celery checks: the broker, the number of workers that must reply to a ping, and the queues whose lengths
//! are checked. Options that Celery has too have the same names.

mod broker;
mod options;
mod queues;

use std::time::Duration;

pub use self::broker::{AmqpServer, Broker, RedisKeys};
pub use self::options::{CeleryOptions, FanoutPrefix, Serializer};
pub use self::queues::{QueueOptions, QueueSettings};
use super::duration::DurationText;
use super::place::{Invalid, Place};

/// The default time to wait for replies, the same as that of Celery's `inspect ping`.
const REPLY_TIMEOUT: Duration = Duration::from_secs(1);

/// The longest time to wait for replies. A worker that replies later is not healthy.
const MAX_REPLY_TIMEOUT: Duration = Duration::from_secs(60);

/// The maximum number of workers that can be expected. A run reads this many replies.
pub const MAX_WORKERS: usize = 1000;

/// The maximum number of workers with their own series.
pub const MAX_NAMED: usize = 100;

/// The longest name of a control exchange, in bytes. Names derived from it must be short strings of AMQP.
const MAX_EXCHANGE: usize = 128;

/// The settings of a celery check.
#[derive(Clone, Debug, PartialEq)]
pub struct CelerySettings {
    /// The broker.
    pub broker: Broker,
    /// Whether the connection is reused between runs.
    pub reuse_connection: bool,
    /// The minimum number of workers; at least 1.
    pub min_workers: usize,
    /// The expected number of workers; at least `min_workers`.
    pub expected_workers: Option<usize>,
    /// The queues to check.
    pub queues: Vec<QueueSettings>,
    /// The time to wait for replies.
    pub reply_timeout: Duration,
    /// The serializer of pings; `None` to try all.
    pub serializer: Option<Serializer>,
    /// The namespace of the workers' mailboxes.
    pub control_exchange: String,
}

impl CeleryOptions {
    /// Resolves the options.
    ///
    /// # Errors
    /// Reported at their keys.
    pub fn resolve(mut self, place: &Place<'_>) -> Result<CelerySettings, Invalid> {
        let queues = queues::resolve(std::mem::take(&mut self.queues), &place.field("queues"));
        let workers = self.workers(place);
        let reply_timeout = reply_timeout(self.reply_timeout, &place.field("reply_timeout"));
        let control_exchange = exchange(self.control_exchange.take(), &place.field("control_exchange"));
        let serializer = self.serializer;
        let reuse_connection = self.reuse_connection.unwrap_or(true);
        let broker = broker::resolve(self, place);
        let (min_workers, expected_workers) = workers?;
        Ok(CelerySettings {
            broker: broker?,
            reuse_connection,
            min_workers,
            expected_workers,
            queues: queues?,
            reply_timeout: reply_timeout?,
            serializer,
            control_exchange: control_exchange?,
        })
    }

    /// The minimum and the expected number of workers.
    fn workers(&self, place: &Place<'_>) -> Result<(usize, Option<usize>), Invalid> {
        let at_most = |key: &str, number: usize| match number {
            0 => Err(place.field(key).error("0 is out of range: write at least 1")),
            1..=MAX_WORKERS => Ok(()),
            _ => Err(place.field(key).error(format_args!(
                "{number} is out of range: write at most {MAX_WORKERS}"
            ))),
        };
        let min = self.min_workers.unwrap_or(1);
        let checked = at_most("min_workers", min);
        if let Some(expected) = self.expected_workers {
            at_most("expected_workers", expected).and(checked)?;
            if expected < min {
                return Err(place.field("expected_workers").error(format_args!(
                    "{expected} is less than min_workers ({min}): write at least {min}"
                )));
            }
        }
        checked?;
        Ok((min, self.expected_workers))
    }
}

fn reply_timeout(written: Option<DurationText>, place: &Place<'_>) -> Result<Duration, Invalid> {
    match written {
        None => Ok(REPLY_TIMEOUT),
        Some(DurationText(timeout)) if timeout < Duration::from_millis(10) || timeout > MAX_REPLY_TIMEOUT => {
            Err(place.error(format_args!(
                "{} is out of range: write 10ms to 1m",
                DurationText(timeout)
            )))
        }
        Some(DurationText(timeout)) => Ok(timeout),
    }
}

fn exchange(written: Option<String>, place: &Place<'_>) -> Result<String, Invalid> {
    let name = written.unwrap_or_else(|| "celery".to_owned());
    if name.is_empty() || name.len() > MAX_EXCHANGE || name.chars().any(char::is_control) {
        return Err(place.error(format_args!(
            "not a name of a control exchange: write one line of 1 to {MAX_EXCHANGE} bytes, such as celery"
        )));
    }
    Ok(name)
}

impl CelerySettings {
    /// The URL of the broker, without credentials.
    pub fn target(&self) -> String {
        match &self.broker {
            Broker::Redis { server, .. } => server.target(),
            Broker::Amqp(server) => server.target(),
        }
    }
}

impl super::KindFacts for CelerySettings {
    const SEES_CERTIFICATES: bool = true;

    /// Workers respond within a time window. If the exporter does not run then, their responses are missing.
    const MISSES_WHEN_LATE: bool = true;

    fn values_at_once(&self, label: &str) -> Option<u64> {
        match label {
            "queue" => Some(self.queues.len() as u64),
            // Up to as many as are expected, and as many workers that are remembered after they stopped.
            "worker" => Some(2 * self.expected_workers.unwrap_or(self.min_workers).min(MAX_NAMED) as u64),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
