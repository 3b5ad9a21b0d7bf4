//! The configuration of memcached checks.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::address::{AddressPreference, HostPort, IpProtocol};
use super::place::{Invalid, Place};
use super::schema_scalars::ANY_SCALAR;
use super::tls::{TlsOptions, TlsSettings};

/// The longest key that memcached accepts, in bytes (memcached's doc/protocol.txt, "Keys").
const MAX_KEY_BYTES: usize = 250;
/// The advice for a missing or invalid address.
const ADVICE: &str =
    "write host:port or the absolute path of a Unix socket, such as address: 127.0.0.1:11211";

/// The options of a memcached check.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MemcachedOptions {
    /// The server: host:port, or the absolute path of a Unix socket.
    #[schemars(regex(pattern = ":|^/"))]
    pub address: Option<String>,
    /// Use TLS (memcached --enable-ssl). Default: false.
    pub tls: bool,
    /// TLS options.
    pub tls_config: Option<TlsOptions>,
    /// IP protocol to try first: ip4 or ip6. Default: ip6.
    pub preferred_ip_protocol: Option<IpProtocol>,
    /// Whether to try the other IP protocol as well. Default: true.
    pub ip_protocol_fallback: Option<bool>,
    /// Request the statistics and export them as metrics. Default: true.
    pub metrics: Option<bool>,
    /// Warn if the connections reach this share of the server's limit, such as 0.9 for 90 %. Default: no limit.
    #[schemars(extend("exclusiveMinimum" = 0), range(max = 1))]
    pub max_connection_share: Option<f64>,
    /// Write a value under this key, read it back and delete it, with meta commands (memcached 1.6 or later). Default: none.
    #[schemars(regex(pattern = "^[!-~]{1,250}$"), extend("$comment" = ANY_SCALAR))]
    pub key: Option<String>,
}

/// The address of a server.
#[derive(Clone, Debug, PartialEq)]
pub enum MemcachedAddress {
    /// A host.
    Host {
        /// Host and port.
        address: HostPort,
        /// The addresses of the host to try.
        preference: AddressPreference,
        /// The TLS settings; `None` without TLS.
        tls: Option<TlsSettings>,
    },
    /// A Unix socket.
    Unix(PathBuf),
}

/// The settings of a memcached check.
#[derive(Clone, Debug, PartialEq)]
pub struct MemcachedSettings {
    /// The server.
    pub address: MemcachedAddress,
    /// Whether the statistics are requested.
    pub metrics: bool,
    /// The share of connections to their limit from which the check warns.
    pub max_connection_share: Option<f64>,
    /// The key to write, read and delete.
    pub key: Option<String>,
}

impl MemcachedOptions {
    /// Resolves the options.
    ///
    /// # Errors
    /// Reported at their keys.
    pub fn resolve(self, place: &Place<'_>) -> Result<MemcachedSettings, Invalid> {
        let metrics = self.metrics.unwrap_or(true);
        let share_place = place.field("max_connection_share");
        let share = match self.max_connection_share {
            Some(share) if !(share > 0.0 && share <= 1.0) => Err(share_place.error(format_args!(
                "{share} is out of range: write a number above 0 and at most 1, such as 0.9 for 90 %"
            ))),
            Some(_) if !metrics => Err(share_place
                .error("max_connection_share needs statistics: remove this key, or metrics: false")),
            share => Ok(share),
        };
        let key = match self.key {
            Some(key) if !is_key(&key) => Err(place.field("key").error(format_args!(
                "not a memcached key: write 1 to {MAX_KEY_BYTES} printable ASCII characters without spaces, \
                 such as upkeep_check"
            ))),
            key => Ok(key),
        };
        let address = match self.address.as_deref() {
            None => Err(place.error(format_args!("address is missing: {ADVICE}"))),
            Some(path) if path.starts_with('/') => Ok(MemcachedAddress::Unix(path.into())),
            Some(text) => HostPort::parse(text)
                .map_err(|wrong| {
                    let wrong = wrong.split(": write ").next().unwrap_or_default();
                    place.field("address").error(format_args!("{wrong}: {ADVICE}"))
                })
                .map(|address| MemcachedAddress::Host {
                    address,
                    preference: AddressPreference::new(self.preferred_ip_protocol, self.ip_protocol_fallback),
                    tls: None,
                }),
        };
        let tls = match (self.tls, self.tls_config) {
            (true, options) => options
                .unwrap_or_default()
                .resolve(&place.field("tls_config"))
                .map(Some),
            (false, Some(_)) => Err(place.field("tls_config").error("tls_config needs tls: true")),
            (false, None) => Ok(None),
        };
        let address = match (address?, tls?) {
            (MemcachedAddress::Unix(_), Some(_)) => {
                return Err(place
                    .field("tls")
                    .error("TLS is not supported over a Unix socket: remove tls"));
            }
            (
                MemcachedAddress::Host {
                    address, preference, ..
                },
                tls,
            ) => MemcachedAddress::Host {
                address,
                preference,
                tls,
            },
            (address, None) => address,
        };
        Ok(MemcachedSettings {
            address,
            metrics,
            max_connection_share: share?,
            key: key?,
        })
    }
}

/// Whether memcached accepts the key without escaping.
fn is_key(key: &str) -> bool {
    (1..=MAX_KEY_BYTES).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())
}

impl MemcachedSettings {
    /// `host:port`, or the path of the socket.
    pub fn target(&self) -> String {
        match &self.address {
            MemcachedAddress::Host { address, .. } => address.to_string(),
            MemcachedAddress::Unix(path) => path.display().to_string(),
        }
    }
}

impl super::KindFacts for MemcachedSettings {
    const SEES_CERTIFICATES: bool = true;

    const IS_STORE: bool = true;

    fn values_at_once(&self, label: &str) -> Option<u64> {
        match label {
            // hit, miss
            "result" => Some(2),
            "version" => Some(1),
            _ => None,
        }
    }
}
