//! The memcached check: the version, the statistics, and a value that is written, read and deleted.

mod families;
mod protocol;

use std::borrow::Cow;

pub use self::families::FAMILIES;
use self::protocol::{Connection, Statistics};
use super::CheckContext;
use crate::config::memcached::{MemcachedAddress, MemcachedSettings};
use crate::model::{Family, Problem, Reason, Report, Sample, truncate};
use crate::net::endpoint::{Endpoint, HostEndpoint};
use crate::net::read_budget::ReadBudget;
use crate::net::run_recorder::{Phase, RunRecorder};

/// The number of bytes that a run reads at most. The statistics have about 3 kB.
const MAX_BYTES: u64 = 64 << 10;
/// The longest version that becomes a label, in bytes.
const MAX_VERSION_BYTES: usize = 64;
/// How long a written value lasts if it is not deleted, in seconds.
const VALUE_SECONDS: u32 = 60;

/// A memcached check. Every run opens a new connection, as a client without a pool does.
#[derive(Debug)]
pub struct MemcachedCheck {
    settings: MemcachedSettings,
    endpoint: Endpoint,
    read_budget: ReadBudget,
}

impl MemcachedCheck {
    /// A check with these settings.
    pub fn new(settings: &MemcachedSettings, context: &CheckContext) -> Self {
        let endpoint = match &settings.address {
            MemcachedAddress::Host {
                address,
                preference,
                tls,
            } => HostEndpoint::new(&context.network, address, *preference)
                .with_tls(tls.as_ref(), &[])
                .into(),
            MemcachedAddress::Unix(path) => Endpoint::Unix(path.clone()),
        };
        Self {
            settings: settings.clone(),
            endpoint,
            read_budget: ReadBudget::new(MAX_BYTES),
        }
    }

    /// Runs once.
    ///
    /// # Errors
    /// The problem that made it fail.
    pub async fn run(&mut self, report: &mut Report) -> Result<(), Problem> {
        let mut recorder = RunRecorder::new(report);
        let result = self.query(&mut recorder).await;
        recorder.end();
        result
    }

    async fn query(&mut self, recorder: &mut RunRecorder<'_>) -> Result<(), Problem> {
        if let Some(ratio) = self.settings.max_connection_share {
            push(recorder, &families::CONNECTION_RATIO_LIMIT, ratio);
        }
        self.read_budget.renew();
        let stream = self.endpoint.connect(&self.read_budget, recorder).await?;
        recorder.enter(Phase::Processing);
        let mut connection = Connection::new(stream, self.settings.target());
        let stats = if self.settings.metrics { "stats\r\n" } else { "" };
        connection.send(&format!("version\r\n{stats}")).await?;
        let line = connection.response("version", recorder).await?;
        let Some(version) = line.strip_prefix("VERSION ") else {
            return Err(connection.problem("version", &line));
        };
        recorder.record_response_time();
        let mut version = version.to_owned();
        truncate(&mut version, MAX_VERSION_BYTES);
        recorder.report.samples.push(Sample {
            family: &families::VERSION_INFO,
            labels: vec![Cow::Owned(version)],
            value: 1.0,
        });
        if self.settings.metrics {
            let statistics = statistics(&mut connection, recorder).await?;
            record(&statistics, recorder);
            recorder.report.warning = warning(&statistics, &self.settings);
        }
        match &self.settings.key {
            Some(key) => write_and_read(&mut connection, key, recorder).await,
            None => Ok(()),
        }
    }
}

async fn statistics(
    connection: &mut Connection,
    recorder: &mut RunRecorder<'_>,
) -> Result<Statistics, Problem> {
    let mut statistics = Statistics::default();
    let mut line = connection.response("stats", recorder).await?;
    while line != "END" {
        if statistics.add(&line).is_err() {
            return Err(connection.problem("stats", &line));
        }
        line = connection.line("stats").await?;
    }
    Ok(statistics)
}

/// Writes a value, reads it back and deletes it. Every run writes another value, so that an old one is an error.
async fn write_and_read(
    connection: &mut Connection,
    key: &str,
    recorder: &mut RunRecorder<'_>,
) -> Result<(), Problem> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| {
        let message = format_args!("getting random bytes for the value of {key}: {error}");
        Problem::new(Reason::Internal, message)
    })?;
    let value = format!("{:032x}", u128::from_ne_bytes(random));
    let length = value.len();
    let commands = format!("ms {key} {length} T{VALUE_SECONDS}\r\n{value}\r\nmg {key} v\r\nmd {key}\r\n");
    connection.send(&commands).await?;
    let written = connection.response("ms", recorder).await?;
    if written != "HD" {
        return Err(connection.problem("ms", &written));
    }
    let head = connection.response("mg", recorder).await?;
    let differs = |connection: &Connection, what: &str| {
        let message = format_args!("{}: the value of {key} {what}", connection.target());
        Problem::new(Reason::Assertion, message)
    };
    if head == "EN" {
        return Err(differs(connection, "is missing right after it was written"));
    }
    let found = head
        .strip_prefix("VA ")
        .and_then(|rest| rest.split(' ').next()?.parse::<usize>().ok());
    let is_same = match found {
        None => return Err(connection.problem("mg", &head)),
        Some(found) => found == length && connection.data("mg", length).await? == value.as_bytes(),
    };
    if !is_same {
        return Err(differs(
            connection,
            "is not the one that was written: does another client use this key?",
        ));
    }
    // NF: another client, or an eviction, was faster.
    let deleted = connection.response("md", recorder).await?;
    match deleted.as_str() {
        "HD" | "NF" => Ok(()),
        _ => Err(connection.problem("md", &deleted)),
    }
}

/// Parses the response to `stats`, as a run does. For tests with arbitrary input.
///
/// # Errors
/// The first line that is not a statistic.
#[doc(hidden)]
pub fn fuzz_parse(response: &str) -> Result<(), String> {
    let mut statistics = Statistics::default();
    let mut lines = response.split("\r\n").take_while(|line| *line != "END");
    lines.try_for_each(|line| statistics.add(line).map_err(|()| line.to_owned()))
}

fn push(recorder: &mut RunRecorder<'_>, family: &'static Family, value: f64) {
    recorder.report.samples.push(Sample {
        family,
        labels: Vec::new(),
        value,
    });
}

#[allow(clippy::cast_precision_loss)] // Counts and bytes are exact up to 2^53.
fn record(statistics: &Statistics, recorder: &mut RunRecorder<'_>) {
    for (family, value) in [
        (&families::CONNECTIONS, statistics.connections),
        (&families::MAX_CONNECTIONS, statistics.max_connections),
        (&families::ITEMS, statistics.items),
        (&families::MEMORY_USED, statistics.memory_used),
        (&families::MEMORY_LIMIT, statistics.memory_limit),
        (&families::EVICTIONS, statistics.evictions),
    ] {
        if let Some(value) = value {
            push(recorder, family, value as f64);
        }
    }
    for (result, value) in [("hit", statistics.hits), ("miss", statistics.misses)] {
        recorder.report.samples.extend(value.map(|value| Sample {
            family: &families::GETS,
            labels: vec![result.into()],
            value: value as f64,
        }));
    }
}

#[allow(clippy::cast_precision_loss)] // Servers have fewer than 2^53 connections.
fn warning(statistics: &Statistics, settings: &MemcachedSettings) -> Option<Problem> {
    let target = settings.target();
    if statistics.accepts_connections == Some(false) {
        let message = format_args!(
            "{target}: the server accepts no new connections, its limit is reached: raise the limit (-c), or find out \
             which clients hold them"
        );
        return Some(Problem::new(Reason::Limit, message));
    }
    let limit = settings.max_connection_share?;
    let (used, max) = (statistics.connections?, statistics.max_connections?);
    let ratio = used as f64 / max as f64;
    (max > 0 && ratio >= limit).then(|| {
        let message = format_args!(
            "{target}: {used} of {max} connections are open, {:.0} %, at or above the limit of {:.0} %",
            ratio * 100.0,
            limit * 100.0
        );
        Problem::new(Reason::Limit, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(max_connection_share: Option<f64>) -> MemcachedSettings {
        MemcachedSettings {
            address: MemcachedAddress::Unix("/run/m.sock".into()),
            metrics: true,
            max_connection_share,
            key: None,
        }
    }

    #[test]
    fn a_limit_of_connections_is_a_warning() {
        let statistics = |connections, accepts_connections| Statistics {
            connections: Some(connections),
            max_connections: Some(100),
            accepts_connections,
            ..Statistics::default()
        };
        let limited = settings(Some(0.9));
        assert_eq!(warning(&statistics(89, None), &limited), None);
        assert_eq!(warning(&statistics(100, Some(true)), &settings(None)), None);
        let problem = warning(&statistics(90, Some(true)), &limited).unwrap();
        assert_eq!(
            problem.to_string(),
            "limit: /run/m.sock: 90 of 100 connections are open, 90 %, at or above the limit of 90 %"
        );
        let problem = warning(&statistics(1, Some(false)), &settings(None)).unwrap();
        assert!(
            problem.message().contains("accepts no new connections"),
            "{problem}"
        );
        assert_eq!(warning(&Statistics::default(), &limited), None);
    }
}
