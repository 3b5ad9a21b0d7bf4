//! The configuration of celery checks: the broker that the workers are asked over, how many are to answer, and the queues
//! whose lengths are looked at. Options of Celery's own bear its names.

mod broker;
mod queues;

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

pub use self::broker::{AmqpServer, Broker, FanoutPrefix, RedisKeys};
pub use self::queues::{QueueOptions, QueueSettings};
use super::address::IpProtocol;
use super::duration::DurationText;
use super::place::{Invalid, Place};
use super::tls::TlsOptions;

/// How long answers are collected where nothing is said; the same as Celery's own `inspect ping`.
const REPLY_TIMEOUT: Duration = Duration::from_secs(1);

/// The longest that answers may be collected: a check that waits longer tells nothing new.
const MAX_REPLY_TIMEOUT: Duration = Duration::from_secs(60);

/// The most workers that can be asked for: as many answers are read in one run.
pub const MAX_WORKERS: usize = 1000;

/// The most workers that have a series of their own.
pub const MAX_NAMED: usize = 100;

/// The longest name of a control exchange, in bytes: the names made of it stay short strings of AMQP.
const MAX_EXCHANGE: usize = 128;

/// A serializer of Celery's messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Serializer {
    /// JSON.
    #[default]
    Json,
    /// YAML.
    Yaml,
    /// `MessagePack`.
    Msgpack,
    /// Python's pickle.
    Pickle,
}

impl Serializer {
    /// All of them, the usual ones first.
    pub const ALL: [Self; 4] = [Self::Json, Self::Pickle, Self::Msgpack, Self::Yaml];
}

impl std::fmt::Display for Serializer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Json => "json",
            Self::Yaml => "yaml",
            Self::Msgpack => "msgpack",
            Self::Pickle => "pickle",
        })
    }
}

/// The options of a celery check, as written.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CeleryOptions {
    /// The broker, as Celery's `broker_url`: redis://, rediss://, amqp:// or amqps://.
    pub broker_url: Option<String>,
    /// The broker's password, where the URL has none.
    pub password: Option<String>,
    /// A file with the password.
    pub password_file: Option<PathBuf>,
    /// An environment variable with the password.
    pub password_env: Option<String>,
    /// How TLS is done; needs rediss:// or amqps://.
    pub tls_config: Option<TlsOptions>,
    /// The protocol whose addresses come first: ip4 or ip6 (default).
    pub preferred_ip_protocol: Option<IpProtocol>,
    /// Whether the other protocol's addresses come after them (default true).
    pub ip_protocol_fallback: Option<bool>,
    /// Keep the connection between runs (default true).
    pub reuse_connection: Option<bool>,
    /// The fewest workers that are enough (default 1).
    pub min_workers: Option<usize>,
    /// How many workers there should be: fewer are a warning.
    pub expected_workers: Option<usize>,
    /// Queues whose lengths are looked at: names, or mappings with name and max_messages.
    pub queues: Vec<QueueOptions>,
    /// How long answers are collected (default 1s).
    pub reply_timeout: Option<DurationText>,
    /// How pings are written, one that the workers' `accept_content` has: json, yaml, msgpack or pickle. By default json,
    /// and the others where nobody answers.
    pub serializer: Option<Serializer>,
    /// Celery's `control_exchange` (default celery).
    pub control_exchange: Option<String>,
    /// The `global_keyprefix` of Celery's `broker_transport_options` (Redis only).
    pub global_keyprefix: Option<String>,
    /// Their `fanout_prefix` (Redis only, default true).
    pub fanout_prefix: Option<FanoutPrefix>,
    /// Their `priority_steps` (Redis only, default 0, 3, 6, 9).
    pub priority_steps: Option<Vec<u8>>,
    /// Their `sep` (Redis only).
    pub sep: Option<String>,
}

/// Shows nothing of its content, which may be secret.
impl std::fmt::Debug for CeleryOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CeleryOptions").finish_non_exhaustive()
    }
}

/// What a celery check needs, resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct CelerySettings {
    /// The broker.
    pub broker: Broker,
    /// Whether the connection is kept between runs.
    pub reuse_connection: bool,
    /// The fewest workers that are enough; at least 1.
    pub min_workers: usize,
    /// How many there should be, where that is said; at least `min_workers`.
    pub expected_workers: Option<usize>,
    /// The queues to look at.
    pub queues: Vec<QueueSettings>,
    /// How long answers are collected.
    pub reply_timeout: Duration,
    /// How pings are written; `None` to find out.
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

    /// The fewest workers and the expected ones.
    fn workers(&self, place: &Place<'_>) -> Result<(usize, Option<usize>), Invalid> {
        let at_most = |key: &str, number: usize| match number {
            0 => Err(place
                .field(key)
                .error("0 workers are always there: write at least 1")),
            1..=MAX_WORKERS => Ok(()),
            _ => Err(place.field(key).error(format_args!(
                "{number} is too many: at most {MAX_WORKERS} answers are read in one run"
            ))),
        };
        let min = self.min_workers.unwrap_or(1);
        let checked = at_most("min_workers", min);
        if let Some(expected) = self.expected_workers {
            at_most("expected_workers", expected).and(checked)?;
            if expected < min {
                return Err(place.field("expected_workers").error(format_args!(
                    "{expected} is fewer than min_workers ({min}), of which fewer are a failure: write at least {min}"
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
            Err(place.error("answers are collected for at least 10ms and at most 1m"))
        }
        Some(DurationText(timeout)) => Ok(timeout),
    }
}

fn exchange(written: Option<String>, place: &Place<'_>) -> Result<String, Invalid> {
    let name = written.unwrap_or_else(|| "celery".to_owned());
    if name.is_empty() || name.len() > MAX_EXCHANGE || name.chars().any(char::is_control) {
        return Err(place.error(format_args!(
            "the control exchange is one line of 1 to {MAX_EXCHANGE} bytes, as Celery's control_exchange: celery"
        )));
    }
    Ok(name)
}

impl CelerySettings {
    /// The broker, without who asks.
    pub fn target(&self) -> String {
        match &self.broker {
            Broker::Redis { server, .. } => server.target(),
            Broker::Amqp(server) => server.target(),
        }
    }
}

impl super::KindFacts for CelerySettings {
    /// Workers respond within a time window. If the exporter does not run then, their responses are missing.
    const MISSES_WHEN_LATE: bool = true;

    fn values_at_once(&self, label: &str) -> Option<u64> {
        match label {
            "queue" => Some(self.queues.len() as u64),
            // As many as are expected, and some that are remembered; the bound is far above.
            "worker" => Some(2 * self.expected_workers.unwrap_or(self.min_workers).min(MAX_NAMED) as u64),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
