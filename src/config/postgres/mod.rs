//! The configuration of postgres checks: a URL as libpq reads it, and what to ask the server.

mod options;
mod query;
#[cfg(test)]
mod tests;
mod url;

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

pub use self::url::{LibpqUrl, ServerAddress, SessionAttributes, SslMode};
use super::address::{AddressPreference, IpProtocol};
use super::duration::DurationText;
use super::place::{Invalid, Place};
use super::secret::SecretSource;

/// The share of the server's connections from which on a check warns.
const DEFAULT_CONNECTION_SHARE: f64 = 0.9;
/// How long the server may work on `query`.
const DEFAULT_STATEMENT_TIMEOUT: Duration = Duration::from_secs(5);
/// What a statement timeout can be: PostgreSQL counts milliseconds in 32 bits, and 0 is none.
const STATEMENT_TIMEOUTS: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(3600);

/// The options of a postgres check, as written.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PostgresOptions {
    /// The database, as in postgres://app@db:5432/app?sslmode=require: libpq's URL with its options.
    pub url: Option<String>,
    /// The password, where it is not in the URL.
    pub password: Option<String>,
    /// A file with the password; read again at every run.
    pub password_file: Option<PathBuf>,
    /// An environment variable with the password.
    pub password_env: Option<String>,
    /// One statement to run instead of SELECT 1, in a read-only transaction.
    pub query: Option<String>,
    /// The text that the first column of the query's first row must have.
    pub expect: Option<String>,
    /// How long the server may work on the query (default 5s); keep it below the check's timeout.
    pub statement_timeout: Option<DurationText>,
    /// Read the server's statistics and serve them as metrics (default true).
    pub metrics: Option<bool>,
    /// Keep the connection between runs, for at most 60 s (default true), or make a new one each time.
    pub reuse_connection: Option<bool>,
    /// The replication lag from which on the check warns.
    pub max_replication_lag: Option<DurationText>,
    /// The share of max_connections in use from which on the check warns, between 0 and 1 (default 0.9).
    pub max_connection_share: Option<f64>,
    /// The protocol whose addresses come first: ip4 or ip6 (default).
    pub preferred_ip_protocol: Option<IpProtocol>,
    /// Whether the other protocol's addresses come after them (default true).
    pub ip_protocol_fallback: Option<bool>,
}

/// Shows nothing of its content, which may be secret.
impl std::fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresOptions").finish_non_exhaustive()
    }
}

/// A statement to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuerySettings {
    /// The statement, one, without a semicolon at its end.
    pub statement: String,
    /// What the first column of its first row must be.
    pub expect: Option<String>,
    /// How long the server may work on it.
    pub timeout: Duration,
}

/// What is read of the server's statistics, and what is too much.
#[derive(Clone, Debug, PartialEq)]
pub struct StatisticsSettings {
    /// The lag from which on the check warns.
    pub max_replication_lag: Option<Duration>,
    /// The share of connections from which on the check warns.
    pub max_connection_share: f64,
}

/// What a postgres check needs, resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct PostgresSettings {
    /// The database and how to reach it.
    pub url: LibpqUrl,
    /// Where the password comes from.
    pub password: Option<SecretSource>,
    /// Which of the host's addresses.
    pub preference: AddressPreference,
    /// What to run instead of `SELECT 1`.
    pub query: Option<QuerySettings>,
    /// The statistics, where they are to be read.
    pub statistics: Option<StatisticsSettings>,
    /// Whether the connection is kept between runs.
    pub reuse_connection: bool,
}

impl PostgresOptions {
    /// Resolves the options.
    ///
    /// # Errors
    /// Reported at their keys.
    pub fn resolve(mut self, place: &Place<'_>) -> Result<PostgresSettings, Invalid> {
        let query = self.query(place);
        let statistics = self.statistics(place);
        let url = match &self.url {
            Some(text) => url::parse(text, &place.field("url")),
            None => Err(place.error(format_args!(
                "url is missing: write the database, such as url: {}",
                url::EXAMPLE
            ))),
        };
        let (inline, file, env) = (self.password, self.password_file, self.password_env);
        let Ok((url, parsed)) = url else {
            // What is wrong with the password is told all the same.
            let _ = SecretSource::from_keys(place, "password", inline, file, env);
            return Err(Invalid);
        };
        let password = parsed.password(place, inline, file, env);
        Ok(PostgresSettings {
            url,
            password: password?,
            preference: AddressPreference::new(self.preferred_ip_protocol, self.ip_protocol_fallback),
            query: query?,
            statistics: statistics?,
            reuse_connection: self.reuse_connection.unwrap_or(true),
        })
    }

    fn query(&mut self, place: &Place<'_>) -> Result<Option<QuerySettings>, Invalid> {
        let timeout = match self.statement_timeout {
            None => Ok(DEFAULT_STATEMENT_TIMEOUT),
            Some(DurationText(timeout)) if STATEMENT_TIMEOUTS.contains(&timeout) => Ok(timeout),
            Some(_) => Err(place
                .field("statement_timeout")
                .error("must be between 1ms and 1h")),
        };
        let Some(text) = self.query.take() else {
            for (key, is_given) in [
                ("expect", self.expect.is_some()),
                ("statement_timeout", self.statement_timeout.is_some()),
            ] {
                if is_given {
                    let place = place.field(key);
                    return Err(
                        place.error_at_key(format_args!("{key} needs a query: add one, or remove it"))
                    );
                }
            }
            return Ok(None);
        };
        let statement = query::single_statement(text, &place.field("query"));
        Ok(Some(QuerySettings {
            statement: statement?,
            expect: self.expect.take(),
            timeout: timeout?,
        }))
    }

    fn statistics(&self, place: &Place<'_>) -> Result<Option<StatisticsSettings>, Invalid> {
        if self.metrics == Some(false) {
            for (key, is_given) in [
                ("max_replication_lag", self.max_replication_lag.is_some()),
                ("max_connection_share", self.max_connection_share.is_some()),
            ] {
                if is_given {
                    let message =
                        format_args!("{key} is judged by the statistics: remove it, or metrics: false");
                    return Err(place.field(key).error_at_key(message));
                }
            }
            return Ok(None);
        }
        let max_replication_lag = match self.max_replication_lag {
            Some(DurationText(Duration::ZERO)) => Err(place
                .field("max_replication_lag")
                .error("must be above 0: a replica that has caught up has a lag of 0")),
            lag => Ok(lag.map(|DurationText(lag)| lag)),
        };
        let share = self.max_connection_share.unwrap_or(DEFAULT_CONNECTION_SHARE);
        let max_connection_share = match share > 0.0 && share <= 1.0 {
            true => Ok(share),
            false => Err(place
                .field("max_connection_share")
                .error("must be above 0 and at most 1, such as 0.9 for 90 % of max_connections")),
        };
        Ok(Some(StatisticsSettings {
            max_replication_lag: max_replication_lag?,
            max_connection_share: max_connection_share?,
        }))
    }
}

impl super::KindFacts for PostgresSettings {
    fn values_at_once(&self, label: &str) -> Option<u64> {
        (label == "version").then_some(1)
    }
}

impl PostgresSettings {
    /// `postgres://host:port/database`.
    pub fn target(&self) -> String {
        self.url.to_string()
    }
}
