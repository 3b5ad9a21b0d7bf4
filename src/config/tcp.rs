//! The configuration of tcp checks. The options have the names and meanings of blackbox_exporter's.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Deserialize;

use super::address::{AddressPreference, HostPort, IpProtocol};
use super::dialogue::{Conversation, StepOptions};
use super::place::{Invalid, Place};
use super::tls::TlsOptions;

/// The options of a tcp check.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TcpOptions {
    /// Address to connect to: host:port, with an IPv6 address in brackets.
    #[schemars(regex(pattern = ":"))]
    pub address: Option<String>,
    /// Start TLS after connecting.
    pub tls: bool,
    /// TLS options.
    pub tls_config: Option<TlsOptions>,
    /// Steps of a dialogue with the server.
    pub query_response: Option<Vec<StepOptions>>,
    /// Source address of the connection, an address of this machine.
    pub source_ip_address: Option<String>,
    /// IP protocol to try first: ip4 or ip6. Default: ip6.
    pub preferred_ip_protocol: Option<IpProtocol>,
    /// Whether to try the other IP protocol as well. Default: true.
    pub ip_protocol_fallback: Option<bool>,
}

/// The settings of a tcp check.
#[derive(Clone, Debug, PartialEq)]
pub struct TcpSettings {
    /// The address to connect to.
    pub address: HostPort,
    /// The addresses of the host to try.
    pub preference: AddressPreference,
    /// The source address.
    pub source: Option<IpAddr>,
    /// The dialogue after connecting, with or without TLS.
    pub conversation: Conversation,
}

impl TcpOptions {
    /// Resolves the options.
    ///
    /// # Errors
    /// Reported at their keys.
    pub fn resolve(self, place: &Place<'_>) -> Result<TcpSettings, Invalid> {
        let address = match &self.address {
            Some(text) => HostPort::resolve(&place.field("address"), text),
            None => Err(place.error(
                "address is missing: write the address to connect to, such as address: 127.0.0.1:5432",
            )),
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
                "\"{text}\" is not an IP address: write an address of this machine, such as 192.0.2.10"
            ))
        }),
    }
}

impl TcpSettings {
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

impl super::KindFacts for TcpSettings {
    const SEES_CERTIFICATES: bool = true;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests_support::resolve_json;

    fn resolve(json: serde_json::Value) -> Result<TcpSettings, Vec<String>> {
        resolve_json(json, |options: TcpOptions, root| {
            options.resolve(&root.field("checks").index(0))
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
    fn a_target_replaces_the_address() {
        let written =
            serde_json::json!({"address": "a:80", "tls": true, "query_response": [{"expect": "x"}]});
        let settings = resolve(written).unwrap();
        let targeted = settings.with_target("[::1]:25").unwrap();
        assert_eq!(targeted.target(), "[::1]:25");
        assert!(std::ptr::eq(
            &*targeted.conversation.steps,
            &*settings.conversation.steps
        ));
        assert_eq!(
            settings.with_target("mail").unwrap_err(),
            "\"mail\" has no port: write host:port, such as 127.0.0.1:5432, db.example.org:5432 or [::1]:5432"
        );
    }

    #[test]
    fn all_errors_are_reported_at_once() {
        let errors = resolve(serde_json::json!({"tls_config": {}, "source_ip_address": "here"})).unwrap_err();
        assert_eq!(
            errors,
            [
                "checks[0]: address is missing: write the address to connect to, such as address: 127.0.0.1:5432",
                "checks[0].source_ip_address: \"here\" is not an IP address: write an address of this machine, such as \
                 192.0.2.10",
                "checks[0].tls_config: ignored without tls: true, or starttls: true in a step of query_response",
            ]
        );
        assert!(serde_json::from_value::<TcpOptions>(serde_json::json!({"adress": "x"})).is_err());
    }
}
