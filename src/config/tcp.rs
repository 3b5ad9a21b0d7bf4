//! The configuration of tcp checks. The options bear blackbox_exporter's names and mean what they mean there.

use rustls::pki_types::ServerName;
use schemars::JsonSchema;
use serde::Deserialize;

use super::address::{AddressPreference, HostPort, IpProtocol};
use super::place::{Invalid, Place};
use super::tls::{TlsOptions, TlsSettings};

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
    /// How to do TLS, where it is to be done.
    pub tls: Option<TlsSettings>,
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
        let tls = match self.tls_config {
            Some(_) if !self.tls => Err(place.field("tls_config").error("tls_config needs tls: true")),
            options => options.unwrap_or_default().resolve(&place.field("tls_config")),
        };
        Ok(TcpSettings {
            address: address?,
            preference: AddressPreference::new(self.preferred_ip_protocol, self.ip_protocol_fallback),
            tls: Some(tls?).filter(|_| self.tls),
        })
    }
}

impl TcpSettings {
    /// `host:port`.
    pub fn target(&self) -> String {
        self.address.to_string()
    }

    /// The same for another address; `hostname` is the name to ask for by TLS.
    ///
    /// # Errors
    /// What is wrong with the target and what would be right.
    pub fn aimed_at(&self, target: &str, hostname: Option<&str>) -> Result<Self, String> {
        let mut aimed = self.clone();
        aimed.address = HostPort::read(target)?;
        if let Some(hostname) = hostname {
            let name = ServerName::try_from(hostname.to_owned())
                .map_err(|_| "the parameter hostname is no DNS name and no IP address")?;
            if let Some(tls) = &mut aimed.tls {
                tls.server_name.get_or_insert(name);
            }
        }
        Ok(aimed)
    }
}

impl super::KindLabels for TcpSettings {}

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
        assert_eq!((settings.target().as_str(), settings.tls), ("[::1]:80", None));
        let settings = resolve(serde_json::json!({"address": "a:80", "tls": true})).unwrap();
        assert_eq!(settings.tls, Some(TlsSettings::default()));
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let faults = resolve(serde_json::json!({"tls_config": {}})).unwrap_err();
        assert_eq!(
            faults,
            [
                "checks[0]: address is missing: write what to connect to, such as address: 127.0.0.1:5432",
                "checks[0].tls_config: tls_config needs tls: true",
            ]
        );
        assert!(serde_json::from_value::<TcpOptions>(serde_json::json!({"adress": "x"})).is_err());
    }
}
