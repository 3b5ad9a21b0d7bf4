//! The configuration of grpc checks. The options have the names and meanings of blackbox_exporter's.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use http::HeaderName;
use schemars::JsonSchema;
use serde::Deserialize;

use super::address::{AddressPreference, HostPort, IpProtocol};
use super::place::{Invalid, Place, all};
use super::secret::Secret;
use super::tls::{TlsOptions, TlsSettings};

/// The longest name of a service, in bytes.
const MAX_SERVICE_BYTES: usize = 1024;

/// Metadata whose key ends with this has binary values, which are sent as base64.
const BINARY_SUFFIX: &str = "-bin";
/// Metadata that the check itself or HTTP/2 sets (RFC 9113, section 8.2.2).
const RESERVED_METADATA: [&str; 9] = [
    "connection",
    "content-length",
    "content-type",
    "host",
    "keep-alive",
    "te",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

/// The options of a grpc check.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GrpcOptions {
    /// The server: host:port, with an IPv6 address in brackets.
    #[schemars(regex(pattern = ":"))]
    pub address: Option<String>,
    /// Service to check. Default: the server as a whole.
    pub service: Option<String>,
    /// Use TLS.
    pub tls: bool,
    /// TLS options.
    pub tls_config: Option<TlsOptions>,
    /// IP protocol to try first: ip4 or ip6. Default: ip6.
    pub preferred_ip_protocol: Option<IpProtocol>,
    /// Whether to try the other IP protocol as well. Default: true.
    pub ip_protocol_fallback: Option<bool>,
    /// Metadata to send: values by key.
    pub metadata: BTreeMap<String, Vec<String>>,
}

/// The settings of a grpc check.
#[derive(Clone, Debug, PartialEq)]
pub struct GrpcSettings {
    /// The server.
    pub address: HostPort,
    /// The addresses of the server to try.
    pub preference: AddressPreference,
    /// The service; empty for the server as a whole.
    pub service: Arc<str>,
    /// The TLS settings; `None` without TLS.
    pub tls: Option<Arc<TlsSettings>>,
    /// The metadata to send. Its values may be secrets.
    pub metadata: Vec<(HeaderName, Secret)>,
}

impl GrpcOptions {
    /// Resolves the options.
    ///
    /// # Errors
    /// Reported at their keys.
    pub fn resolve(self, place: &Place<'_>) -> Result<GrpcSettings, Invalid> {
        let address = match &self.address {
            Some(text) => HostPort::resolve(&place.field("address"), text),
            None => {
                Err(place.error("address is missing: write the server, such as address: 127.0.0.1:50051"))
            }
        };
        let tls_place = place.field("tls_config");
        if self.tls_config.is_some() && !self.tls {
            tls_place.warn("ignored without tls: true");
        }
        let tls = self.tls_config.unwrap_or_default().resolve(&tls_place);
        let service = self.service.unwrap_or_default();
        let service = match service.len() > MAX_SERVICE_BYTES {
            true => Err(place
                .field("service")
                .error(format_args!("longer than {MAX_SERVICE_BYTES} bytes"))),
            false => Ok(service.into()),
        };
        let metadata = metadata(&place.field("metadata"), &self.metadata);
        Ok(GrpcSettings {
            address: address?,
            preference: AddressPreference::new(self.preferred_ip_protocol, self.ip_protocol_fallback),
            service: service?,
            tls: Some(Arc::new(tls?)).filter(|_| self.tls),
            metadata: metadata?,
        })
    }
}

/// Resolves metadata (gRPC's PROTOCOL-HTTP2.md, "Custom-Metadata"). Errors do not quote values, which may be secrets.
fn metadata(
    place: &Place<'_>,
    written: &BTreeMap<String, Vec<String>>,
) -> Result<Vec<(HeaderName, Secret)>, Invalid> {
    let pairs = written
        .iter()
        .flat_map(|(key, values)| values.iter().map(move |value| (key, value)));
    all(pairs.map(|(key, value)| {
        let place = place.field(key);
        let key = key.to_ascii_lowercase();
        let is_allowed = |key: &str| {
            key.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
        };
        let name = match HeaderName::try_from(&*key) {
            Ok(name) if is_allowed(&key) => name,
            _ => {
                return Err(place.error(format_args!(
                    "\"{key}\" is not a metadata key: write letters, digits, _, - and ."
                )));
            }
        };
        if key.starts_with("grpc-") || RESERVED_METADATA.contains(&&*key) {
            return Err(place.error(format_args!("the check itself sets {key}: remove this key")));
        }
        let is_printable = value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        match key.ends_with(BINARY_SUFFIX) {
            true => Ok((name, Secret::new(STANDARD_NO_PAD.encode(value)))),
            false if is_printable => Ok((name, Secret::new(value))),
            false => Err(place.error(
                "the value has characters other than printable ASCII: end the key with -bin for other values",
            )),
        }
    }))
}

impl GrpcSettings {
    /// `host:port`.
    pub fn target(&self) -> String {
        self.address.to_string()
    }

    /// The same check of another target, `host:port`.
    ///
    /// # Errors
    /// What is wrong with the target and what to write instead.
    pub fn with_target(&self, target: &str) -> Result<Self, String> {
        Ok(Self {
            address: HostPort::parse(target)?,
            ..self.clone()
        })
    }
}

impl super::KindFacts for GrpcSettings {
    const SEES_CERTIFICATES: bool = true;
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::config::tests_support::resolve_json;

    fn resolve(json: Value) -> Result<GrpcSettings, Vec<String>> {
        resolve_json(json, GrpcOptions::resolve)
    }

    #[test]
    fn an_address_suffices_and_a_target_replaces_it() {
        let settings = resolve(json!({"address": "a:1", "service": "b.C", "tls": true})).unwrap();
        assert_eq!((settings.target().as_str(), &*settings.service), ("a:1", "b.C"));
        let targeted = settings.with_target("[::1]:2").unwrap();
        assert_eq!(
            (targeted.target().as_str(), &*targeted.service),
            ("[::1]:2", "b.C")
        );
        assert_eq!(targeted.tls, settings.tls);
        let error = settings.with_target("http://a:1").unwrap_err();
        assert!(
            error.starts_with("this address is a URL: write host:port"),
            "{error}"
        );
    }

    #[test]
    fn all_errors_are_reported_at_once() {
        assert_eq!(
            resolve(json!({"tls_config": {}, "service": "a".repeat(1025)})).unwrap_err(),
            [
                ": address is missing: write the server, such as address: 127.0.0.1:50051",
                "tls_config: ignored without tls: true",
                "service: longer than 1024 bytes",
            ]
        );
    }
}
