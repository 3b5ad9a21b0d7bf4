//! The configuration of redis checks: Redis, Valkey, Sentinel and cluster nodes.

pub mod server;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use self::server::{RedisServer, ServerOptions};
use super::address::IpProtocol;
use super::place::{Invalid, Place};
use super::tls::TlsOptions;

/// The options of a redis check.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RedisOptions {
    /// URL of the server: redis://cache:6379/0, rediss:// for TLS, or unix:///run/redis/redis.sock?db=0.
    #[schemars(regex(pattern = r"^\s*[A-Za-z][A-Za-z0-9+.-]*:"))]
    pub url: Option<String>,
    /// User (ACL), if the URL has none.
    pub username: Option<String>,
    /// Password, if the URL has none.
    pub password: Option<String>,
    /// File with the password, read at every run.
    pub password_file: Option<PathBuf>,
    /// Environment variable with the password.
    pub password_env: Option<String>,
    /// TLS options.
    pub tls_config: Option<TlsOptions>,
    /// IP protocol to try first: ip4 or ip6. Default: ip6.
    pub preferred_ip_protocol: Option<IpProtocol>,
    /// Whether to try the other IP protocol as well. Default: true.
    pub ip_protocol_fallback: Option<bool>,
    /// Read INFO for metrics and warnings. Default: true.
    pub metrics: Option<bool>,
    /// Share of maxmemory from which on the run has a warning, such as 0.9 for 90 %. Default: no limit.
    #[schemars(extend("exclusiveMinimum" = 0), range(max = 1))]
    pub max_memory_share: Option<f64>,
    /// Reuse the connection between runs. Default: true.
    pub reuse_connection: Option<bool>,
}

/// Shows no content, which may be secret.
impl std::fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisOptions").finish_non_exhaustive()
    }
}

/// The settings of a redis check.
#[derive(Clone, Debug, PartialEq)]
pub struct RedisSettings {
    /// The server.
    pub server: RedisServer,
    /// Whether to read INFO.
    pub metrics: bool,
    /// The share of maxmemory from which on there is a warning.
    pub max_memory_share: Option<f64>,
    /// Whether the connection is reused between runs.
    pub reuse_connection: bool,
}

impl RedisOptions {
    /// Resolves the options.
    ///
    /// # Errors
    /// Reported at their keys.
    pub fn resolve(self, place: &Place<'_>) -> Result<RedisSettings, Invalid> {
        let metrics = self.metrics.unwrap_or(true);
        let share_place = place.field("max_memory_share");
        let share =
            match self.max_memory_share {
                Some(share) if !(share > 0.0 && share <= 1.0) => Err(share_place.error(format_args!(
                    "{share} is out of range: write a number above 0 and at most 1, such as 0.9 for 90 %"
                ))),
                Some(_) if !metrics => Err(share_place
                    .error("max_memory_share needs statistics: remove this key, or metrics: false")),
                share => Ok(share),
            };
        let Some(url) = self.url else {
            return Err(
                place.error("url is missing: write the URL of the server, such as url: redis://cache:6379/0")
            );
        };
        let options = ServerOptions {
            url,
            username: self.username,
            password: self.password,
            password_file: self.password_file,
            password_env: self.password_env,
            tls_config: self.tls_config,
            preferred_ip_protocol: self.preferred_ip_protocol,
            ip_protocol_fallback: self.ip_protocol_fallback,
        };
        Ok(RedisSettings {
            server: RedisServer::resolve(options, "url", place)?,
            metrics,
            max_memory_share: share?,
            reuse_connection: self.reuse_connection.unwrap_or(true),
        })
    }
}

impl RedisSettings {
    /// `scheme://host:port/database`, or the Unix socket.
    pub fn target(&self) -> String {
        self.server.target()
    }
}

#[cfg(test)]
mod tests;

impl crate::config::KindFacts for RedisSettings {
    const SEES_CERTIFICATES: bool = true;

    const IS_STORE: bool = true;

    fn values_at_once(&self, label: &str) -> Option<u64> {
        match label {
            // master, replica, sentinel
            "role" => Some(3),
            // The limits in check/redis/info.rs.
            "db" => Some(64),
            "master" => Some(32),
            // ok, pfail, fail, unassigned
            "state" => Some(4),
            "server" | "version" => Some(1),
            _ => None,
        }
    }
}
