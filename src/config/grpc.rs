//! The configuration of grpc checks. The options bear blackbox_exporter's names and mean what they mean there.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::address::{AddressPreference, HostPort, IpProtocol};
use super::place::{Invalid, Place};
use super::tls::{TlsOptions, TlsSettings};

/// The longest name of a service, in bytes.
const MAX_SERVICE_BYTES: usize = 1024;

/// The options of a grpc check, as written.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GrpcOptions {
    /// The server: host:port, an IPv6 address in brackets.
    pub address: Option<String>,
    /// The service to ask about; without it the server as a whole.
    pub service: Option<String>,
    /// Talk TLS with the server.
    pub tls: bool,
    /// How TLS is done.
    pub tls_config: Option<TlsOptions>,
    /// The protocol whose addresses come first: ip4 or ip6 (default).
    pub preferred_ip_protocol: Option<IpProtocol>,
    /// Whether the other protocol's addresses come after them (default true).
    pub ip_protocol_fallback: Option<bool>,
}

/// What a grpc check needs, resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct GrpcSettings {
    /// The server.
    pub address: HostPort,
    /// Which of its addresses.
    pub preference: AddressPreference,
    /// The service; empty for the server as a whole.
    pub service: Arc<str>,
    /// How to do TLS, where it is to be done.
    pub tls: Option<Arc<TlsSettings>>,
}

impl GrpcOptions {
    /// Resolves the options.
    ///
    /// # Errors
    /// Reported at their keys.
    pub fn resolve(self, place: &Place<'_>) -> Result<GrpcSettings, Invalid> {
        let address = match &self.address {
            Some(text) => HostPort::parse(&place.field("address"), text),
            None => {
                Err(place.error("address is missing: write the server, such as address: 127.0.0.1:50051"))
            }
        };
        let tls_place = place.field("tls_config");
        if self.tls_config.is_some() && !self.tls {
            tls_place.remark("not used: there is no tls: true");
        }
        let tls = self.tls_config.unwrap_or_default().resolve(&tls_place);
        let service = self.service.unwrap_or_default();
        let service = match service.len() > MAX_SERVICE_BYTES {
            true => Err(place
                .field("service")
                .error(format_args!("it is longer than {MAX_SERVICE_BYTES} bytes"))),
            false => Ok(service.into()),
        };
        Ok(GrpcSettings {
            address: address?,
            preference: AddressPreference::new(self.preferred_ip_protocol, self.ip_protocol_fallback),
            service: service?,
            tls: Some(Arc::new(tls?)).filter(|_| self.tls),
        })
    }
}

impl GrpcSettings {
    /// `host:port`.
    pub fn target(&self) -> String {
        self.address.to_string()
    }

    /// The same for another target, `host:port`.
    ///
    /// # Errors
    /// What is wrong with the target, and what would be right.
    pub fn aimed_at(&self, target: &str) -> Result<Self, String> {
        Ok(Self {
            address: HostPort::read(target)?,
            ..self.clone()
        })
    }
}

impl super::KindFacts for GrpcSettings {}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use serde_json::{Value, json};

    use super::*;

    fn resolve(json: Value) -> Result<GrpcSettings, Vec<String>> {
        let findings = RefCell::default();
        let options: GrpcOptions = serde_json::from_value(json).unwrap();
        options.resolve(&Place::root(&findings)).map_err(|Invalid| {
            let findings = findings.take();
            findings
                .iter()
                .map(|finding| format!("{}: {}", finding.path, finding.message))
                .collect()
        })
    }

    #[test]
    fn an_address_suffices_and_a_target_replaces_it() {
        let settings = resolve(json!({"address": "a:1", "service": "b.C", "tls": true})).unwrap();
        assert_eq!((settings.target().as_str(), &*settings.service), ("a:1", "b.C"));
        let aimed = settings.aimed_at("[::1]:2").unwrap();
        assert_eq!((aimed.target().as_str(), &*aimed.service), ("[::1]:2", "b.C"));
        assert_eq!(aimed.tls, settings.tls);
        let error = settings.aimed_at("http://a:1").unwrap_err();
        assert!(
            error.starts_with("this address is a URL: write host:port"),
            "{error}"
        );
    }

    #[test]
    fn all_faults_are_told_at_once() {
        assert_eq!(
            resolve(json!({"tls_config": {}, "service": "a".repeat(1025)})).unwrap_err(),
            [
                ": address is missing: write the server, such as address: 127.0.0.1:50051",
                "tls_config: not used: there is no tls: true",
                "service: it is longer than 1024 bytes",
            ]
        );
    }
}
