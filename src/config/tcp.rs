//! The configuration of tcp checks. The options bear blackbox_exporter's names and mean what they mean there.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Deserialize;

use super::address::{AddressPreference, HostPort, IpProtocol};
use super::dialogue::{Conversation, StepOptions};
use super::place::{Invalid, Place};
use super::tls::TlsOptions;

/// The options of a tcp check, as written.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TcpOptions {
    /// What to connect to: host:port, an IPv6 address in brackets.
    pub address: Option<String>,
    /// Do a TLS handshake after connecting.
    pub tls: bool,
    /// How TLS is done.
    pub tls_config: Option<TlsOptions>,
    /// What to say and what to hear, step by step.
    pub query_response: Option<Vec<StepOptions>>,
    /// The address of this machine to connect from.
    pub source_ip_address: Option<String>,
    /// The protocol whose addresses come first: ip4 or ip6 (default).
    pub preferred_ip_protocol: Option<IpProtocol>,
    /// Whether the other protocol's addresses come after them (default true).
    pub ip_protocol_fallback: Option<bool>,
}

/// What a tcp check needs, resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct TcpSettings {
    /// What to connect to.
    pub address: HostPort,
    /// Which of its addresses.
    pub preference: AddressPreference,
    /// Where to connect from, where that matters.
    pub source: Option<IpAddr>,
    /// What is said and heard then, with or without TLS.
    pub conversation: Conversation,
}

impl TcpOptions {
    /// Resolves the options.
    ///
    /// # Errors
    /// Reported at their keys.
    pub fn resolve(self, place: &Place<'_>) -> Result<TcpSettings, Invalid> {
        let address =
            match &self.address {
                Some(text) => HostPort::parse(&place.field("address"), text),
                None => Err(place
                    .error("address is missing: write what to connect to, such as address: 127.0.0.1:5432")),
            };
        let source = source(
            &place.field("source_ip_address"),
            self.source_ip_address.as_deref(),
        );
        let conversation = Conversation::resolve(place, self.query_response, self.tls, self.tls_config);
        Ok(TcpSettings {
            address: address?,
            preference: AddressPreference::new(self.preferred_ip_protocol, self.ip_protocol_fallback),
            source: source?,
            conversation: conversation?,
        })
    }
}

fn source(place: &Place<'_>, written: Option<&str>) -> Result<Option<IpAddr>, Invalid> {
    match written {
        None | Some("") => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|_| {
            place.error(format_args!(
                "\"{text}\" is no IP address: write one of this machine's, such as 192.0.2.1"
            ))
        }),
    }
}

impl TcpSettings {
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

impl super::KindFacts for TcpSettings {}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn resolve(json: serde_json::Value) -> Result<TcpSettings, Vec<String>> {
        let findings = RefCell::default();
        let options: TcpOptions = serde_json::from_value(json).unwrap();
        options
            .resolve(&Place::root(&findings).field("checks").index(0))
            .map_err(|Invalid| {
                let findings = findings.take();
                findings
                    .iter()
                    .map(|f| format!("{}: {}", f.path, f.message))
                    .collect()
            })
    }

    #[test]
    fn an_address_suffices() {
        let settings = resolve(serde_json::json!({"address": "[::1]:80"})).unwrap();
        assert_eq!(settings.target(), "[::1]:80");
        assert_eq!(settings.conversation, Conversation::default());
        let settings = resolve(serde_json::json!({"address": "a:80", "tls": true})).unwrap();
        assert!(settings.conversation.is_tls_first && settings.conversation.tls.is_some());
    }

    #[test]
    fn a_target_takes_the_place_of_the_address() {
        let written =
            serde_json::json!({"address": "a:80", "tls": true, "query_response": [{"expect": "x"}]});
        let settings = resolve(written).unwrap();
        let aimed = settings.aimed_at("[::1]:25").unwrap();
        assert_eq!(aimed.target(), "[::1]:25");
        assert!(std::ptr::eq(
            &*aimed.conversation.steps,
            &*settings.conversation.steps
        ));
        assert_eq!(
            settings.aimed_at("mail").unwrap_err(),
            "\"mail\" has no port: write host:port, such as 127.0.0.1:5432, db.example.org:5432 or [::1]:5432"
        );
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let faults = resolve(serde_json::json!({"tls_config": {}, "source_ip_address": "here"})).unwrap_err();
        assert_eq!(
            faults,
            [
                "checks[0]: address is missing: write what to connect to, such as address: 127.0.0.1:5432",
                "checks[0].source_ip_address: \"here\" is no IP address: write one of this machine's, such as \
                 192.0.2.1",
                "checks[0].tls_config: not used: neither is there tls: true nor starttls: true in a step of query_response",
            ]
        );
        assert!(serde_json::from_value::<TcpOptions>(serde_json::json!({"adress": "x"})).is_err());
    }
}
