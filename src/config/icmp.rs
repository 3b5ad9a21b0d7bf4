//! The configuration of icmp checks. The options have the names and meanings of blackbox_exporter's. In
//! blackbox_exporter, the target takes the place of `host`.

use std::net::IpAddr;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::address::{self, AddressPreference, IpProtocol};
use super::place::{Invalid, Place};

/// The largest payload of an echo request in bytes: an IPv4 packet has 65535 bytes, less 20 for its header and 8 for ICMP's.
pub const MAX_PAYLOAD: u16 = 65507;

/// The default payload of an echo request in bytes, as in blackbox_exporter.
const DEFAULT_PAYLOAD: u16 = 28;

/// The options of an icmp check.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IcmpOptions {
    /// The host to ping: a name or an address, without a port.
    pub host: Option<String>,
    /// Payload of the request in bytes, at most 65507. Default: 28.
    #[schemars(range(max = 65507))]
    pub payload_size: Option<u32>,
    /// Set the don't-fragment flag, so that a request that is too large for a link fails.
    pub dont_fragment: bool,
    /// Maximum number of hops, 1 to 255. Default: that of the system, usually 64.
    #[schemars(range(max = 255))]
    pub ttl: Option<u32>,
    /// IP protocol to try first: ip4 or ip6. Default: ip6.
    pub preferred_ip_protocol: Option<IpProtocol>,
    /// Whether to try the other IP protocol as well. Default: true.
    pub ip_protocol_fallback: Option<bool>,
    /// Source address of requests, an address of this machine.
    pub source_ip_address: Option<String>,
}

/// The settings of an icmp check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IcmpSettings {
    /// The host to ping.
    pub host: Arc<str>,
    /// The payload of the request in bytes.
    pub payload_size: u16,
    /// Whether the request must not be fragmented.
    pub dont_fragment: bool,
    /// The maximum number of hops; `None` for that of the system.
    pub ttl: Option<u8>,
    /// The addresses of the host to try.
    pub preference: AddressPreference,
    /// The source address.
    pub source: Option<IpAddr>,
}

impl IcmpOptions {
    /// Resolves the options.
    ///
    /// # Errors
    /// Reported at their keys.
    pub fn resolve(self, place: &Place<'_>) -> Result<IcmpSettings, Invalid> {
        let host = match &self.host {
            Some(text) => host(text).map_err(|message| place.field("host").error(message)),
            None => Err(place.error("host is missing: write the host to ping, such as host: 192.0.2.1")),
        };
        // In blackbox_exporter, zero means the default.
        let payload_size = match self.payload_size {
            None | Some(0) => Ok(DEFAULT_PAYLOAD),
            Some(size) => u16::try_from(size)
                .ok()
                .filter(|size| *size <= MAX_PAYLOAD)
                .ok_or_else(|| {
                    place.field("payload_size").error(format_args!(
                        "{size} is out of range: write at most {MAX_PAYLOAD}"
                    ))
                }),
        };
        let ttl = match self.ttl {
            None | Some(0) => Ok(None),
            Some(ttl) => u8::try_from(ttl).map(Some).map_err(|_| {
                place
                    .field("ttl")
                    .error(format_args!("{ttl} is out of range: write 1 to 255"))
            }),
        };
        let preference = AddressPreference::new(self.preferred_ip_protocol, self.ip_protocol_fallback);
        let source = address::resolve_source(self.source_ip_address.as_deref(), preference, place);
        let (source, preference) = source?;
        Ok(IcmpSettings {
            host: host?,
            payload_size: payload_size?,
            dont_fragment: self.dont_fragment,
            ttl: ttl?,
            preference,
            source,
        })
    }
}

/// Parses a host without a port.
fn host(text: &str) -> Result<Arc<str>, String> {
    let shown = match text.contains("://") || text.contains('@') {
        // A text that looks like a URL may contain a password, so it is not quoted.
        true => "this".to_owned(),
        false => format!("\"{text}\""),
    };
    address::host_without_port(text).map(Arc::from).ok_or_else(|| {
        format!(
            "{shown} is not a host: write a name or an address without a port, such as gw.example.org, 192.0.2.1 or \
             2001:db8::1"
        )
    })
}

impl IcmpSettings {
    /// The host.
    pub fn target(&self) -> String {
        self.host.to_string()
    }

    /// The same check of another host.
    ///
    /// # Errors
    /// What is wrong with the target and what to write instead.
    pub fn with_target(&self, target: &str) -> Result<Self, String> {
        Ok(Self {
            host: host(target)?,
            ..self.clone()
        })
    }
}

impl super::KindFacts for IcmpSettings {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests_support::resolve_json;

    fn resolve(json: serde_json::Value) -> Result<IcmpSettings, Vec<String>> {
        resolve_json(json, IcmpOptions::resolve)
    }

    #[test]
    fn a_host_suffices() {
        let settings = resolve(serde_json::json!({"host": "gw"})).unwrap();
        assert_eq!(settings.target(), "gw");
        assert_eq!(
            (settings.payload_size, settings.ttl, settings.dont_fragment),
            (28, None, false)
        );
        assert_eq!(settings.preference, AddressPreference::default());
        assert_eq!(
            resolve(serde_json::json!({"host": "[::1]"})).unwrap().target(),
            "::1"
        );
    }

    #[test]
    fn a_source_address_selects_the_protocol() {
        let settings = resolve(serde_json::json!({"host": "gw", "source_ip_address": "192.0.2.7"})).unwrap();
        let only_ip4 = AddressPreference {
            preferred: IpProtocol::Ip4,
            fallback: false,
        };
        assert_eq!(
            (settings.source, settings.preference),
            (Some([192, 0, 2, 7].into()), only_ip4)
        );
    }

    #[test]
    fn all_errors_are_reported_at_once() {
        let errors =
            resolve(serde_json::json!({"payload_size": 65508, "ttl": 256, "source_ip_address": "eth0"}));
        assert_eq!(
            errors.unwrap_err(),
            [
                ": host is missing: write the host to ping, such as host: 192.0.2.1",
                "payload_size: 65508 is out of range: write at most 65507",
                "ttl: 256 is out of range: write 1 to 255",
                "source_ip_address: not an IP address: write an address of this machine, such as 192.0.2.10",
            ]
        );
    }

    #[test]
    fn a_target_replaces_the_host() {
        let settings = resolve(serde_json::json!({"host": "a", "ttl": 7})).unwrap();
        let targeted = settings.with_target("::1").unwrap();
        assert_eq!((targeted.target().as_str(), targeted.ttl), ("::1", Some(7)));
        assert_eq!(
            settings.with_target("192.0.2.1:80").unwrap_err(),
            "\"192.0.2.1:80\" is not a host: write a name or an address without a port, such as gw.example.org, \
             192.0.2.1 or 2001:db8::1"
        );
        assert!(
            settings
                .with_target("http://user:secret@gw")
                .unwrap_err()
                .starts_with("this is not a host")
        );
    }
}
