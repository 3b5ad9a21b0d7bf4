//! The configuration of postgres checks: a URL with libpq's syntax, and the query to run.

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

/// The default share of the server's connections from which on there is a warning.
const DEFAULT_CONNECTION_SHARE: f64 = 0.9;
/// The default timeout of `query`.
const DEFAULT_STATEMENT_TIMEOUT: Duration = Duration::from_secs(5);
/// The range of statement timeouts. PostgreSQL counts milliseconds, and 0 means no timeout.
const STATEMENT_TIMEOUTS: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(3600);

/// The options of a postgres check.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PostgresOptions {
    /// URL of the database with libpq's options, such as postgres://app@db:5432/app?sslmode=require.
    #[schemars(regex(pattern = r"^\s*[A-Za-z][A-Za-z0-9+.-]*:"))]
    pub url: Option<String>,
    /// Password, if the URL has none.
    pub password: Option<String>,
    /// File with the password, read at every run.
    pub password_file: Option<PathBuf>,
    /// Environment variable with the password.
    pub password_env: Option<String>,
    /// Statement to run in a read-only transaction instead of SELECT 1.
    #[schemars(length(min = 1))]
    pub query: Option<String>,
    /// Expected text of the first column in the first row of the query.
    pub expect: Option<String>,
    /// Timeout of the query on the server; keep it below the timeout of the check. Default: 5s.
    pub statement_timeout: Option<DurationText>,
    /// Read the server's statistics for metrics and warnings. Default: true.
    pub metrics: Option<bool>,
    /// Reuse the connection between runs, for at most 60 s. Default: true.
    pub reuse_connection: Option<bool>,
    /// Replication lag from which on the run has a warning.
    pub max_replication_lag: Option<DurationText>,
    /// Share of max_connections in use from which on the run has a warning, between 0 and 1. Default: 0.9.
    #[schemars(extend("exclusiveMinimum" = 0), range(max = 1))]
    pub max_connection_share: Option<f64>,
    /// IP protocol to try first: ip4 or ip6. Default: ip6.
    pub preferred_ip_protocol: Option<IpProtocol>,
    /// Whether to try the other IP protocol as well. Default: true.
    pub ip_protocol_fallback: Option<bool>,
}

/// Shows no content, which may be secret.
impl std::fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresOptions").finish_non_exhaustive()
    }
}

/// A statement to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuerySettings {
    /// A single statement, without a semicolon at its end.
    pub statement: String,
    /// The expected text of the first column in the first row.
    pub expect: Option<String>,
    /// The timeout on the server.
    pub timeout: Duration,
}

/// The limits for the server's statistics.
#[derive(Clone, Debug, PartialEq)]
pub struct StatisticsSettings {
    /// The lag from which on there is a warning.
    pub max_replication_lag: Option<Duration>,
    /// The share of connections from which on there is a warning.
    pub max_connection_share: f64,
}

/// The settings of a postgres check.
#[derive(Clone, Debug, PartialEq)]
pub struct PostgresSettings {
    /// The database and its connection options.
    pub url: LibpqUrl,
    /// The source of the password.
    pub password: Option<SecretSource>,
    /// The addresses of the host to try.
    pub preference: AddressPreference,
    /// The query; `None` for `SELECT 1`.
    pub query: Option<QuerySettings>,
    /// The limits for statistics; `None` to read none.
    pub statistics: Option<StatisticsSettings>,
    /// Whether the connection is reused between runs.
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
                "url is missing: write the URL of the database, such as url: {}",
                url::EXAMPLE
            ))),
        };
        let (inline, file, env) = (self.password, self.password_file, self.password_env);
        let Ok((url, parsed)) = url else {
            // Report errors of the password as well.
            let _ = SecretSource::from_keys(place, "password", inline, file, env);
            return Err(Invalid);
        };
        let password = parsed.resolve_password(place, inline, file, env);
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
            Some(other) => Err(place
                .field("statement_timeout")
                .error(format_args!("{other} is out of range: write 1ms to 1h"))),
        };
        let Some(text) = self.query.take() else {
            for (key, is_given) in [
                ("expect", self.expect.is_some()),
                ("statement_timeout", self.statement_timeout.is_some()),
            ] {
                if is_given {
                    let place = place.field(key);
                    return Err(
                        place.error_at_key(format_args!("{key} needs query: add query, or remove this key"))
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
                    let message = format_args!("{key} needs statistics: remove this key, or metrics: false");
                    return Err(place.field(key).error_at_key(message));
                }
            }
            return Ok(None);
        }
        let max_replication_lag = match self.max_replication_lag {
            Some(DurationText(Duration::ZERO)) => Err(place
                .field("max_replication_lag")
                .error("0s is out of range: write a longer duration, such as 10s")),
            lag => Ok(lag.map(|DurationText(lag)| lag)),
        };
        let share = self.max_connection_share.unwrap_or(DEFAULT_CONNECTION_SHARE);
        let max_connection_share = match share > 0.0 && share <= 1.0 {
            true => Ok(share),
            false => Err(place.field("max_connection_share").error(format_args!(
                "{share} is out of range: write a number above 0 and at most 1, such as 0.9 for 90 %"
            ))),
        };
        Ok(Some(StatisticsSettings {
            max_replication_lag: max_replication_lag?,
            max_connection_share: max_connection_share?,
        }))
    }
}

impl super::KindFacts for PostgresSettings {
    const SEES_CERTIFICATES: bool = true;

    const IS_STORE: bool = true;

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
