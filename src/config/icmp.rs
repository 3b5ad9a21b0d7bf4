//! The configuration of icmp checks. The options bear blackbox_exporter's names and mean what they mean there; `host`, which
//! is the target there, is ours.

use std::net::IpAddr;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::address::{self, AddressPreference, IpProtocol};
use super::place::{Invalid, Place};

/// The most bytes that an echo request carries: a packet of IPv4 has 65535, of which its header takes 20 and ICMP's 8.
pub const MAX_PAYLOAD: u16 = 65507;

/// What an echo request carries where nothing is said, in bytes: as much as blackbox_exporter's.
const DEFAULT_PAYLOAD: u16 = 28;

/// The options of an icmp check, as written.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IcmpOptions {
    /// Whom to ping: a name or an address, without a port.
    pub host: Option<String>,
    /// How many bytes the request carries (default 28), at most 65507.
    pub payload_size: Option<u32>,
    /// Forbid the network to take the request apart where it is too large for a link.
    pub dont_fragment: bool,
    /// How many hops the request may take, 1 to 255 (default: the system's, 64 as a rule).
    pub ttl: Option<u32>,
    /// The protocol whose addresses come first: ip4 or ip6 (default).
    pub preferred_ip_protocol: Option<IpProtocol>,
    /// Whether the other protocol's addresses come after them (default true).
    pub ip_protocol_fallback: Option<bool>,
    /// The address of this machine to ping from.
    pub source_ip_address: Option<String>,
}

/// What an icmp check needs, resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IcmpSettings {
    /// Who is pinged.
    pub host: Arc<str>,
    /// How many bytes the request carries.
    pub payload_size: u16,
    /// Whether it may not be taken apart.
    pub dont_fragment: bool,
    /// How many hops it may take, where that is not the system's choice.
    pub ttl: Option<u8>,
    /// Which of the host's addresses is taken.
    pub preference: AddressPreference,
    /// The address to ping from.
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
            None => Err(place.error("host is missing: write whom to ping, such as host: 192.0.2.1")),
        };
        // Zero means the default there.
        let payload_size = match self.payload_size {
            None | Some(0) => Ok(DEFAULT_PAYLOAD),
            Some(size) => u16::try_from(size)
                .ok()
                .filter(|size| *size <= MAX_PAYLOAD)
                .ok_or_else(|| {
                    place.field("payload_size").error(format_args!(
                        "is more than a packet holds: write at most {MAX_PAYLOAD}"
                    ))
                }),
        };
        let ttl = match self.ttl {
            None | Some(0) => Ok(None),
            Some(ttl) => u8::try_from(ttl).map(Some).map_err(|_| {
                place
                    .field("ttl")
                    .error("is more than a packet can say: write 1 to 255")
            }),
        };
        let preference = AddressPreference::new(self.preferred_ip_protocol, self.ip_protocol_fallback);
        let source = address::source(self.source_ip_address.as_deref(), preference, place);
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

/// The host that `text` names.
fn host(text: &str) -> Result<Arc<str>, String> {
    let shown = match text.contains("://") || text.contains('@') {
        // What looks like a URL may hold a password, which no message shows.
        true => "this".to_owned(),
        false => format!("\"{text}\""),
    };
    address::host_alone(text).map(Arc::from).ok_or_else(|| {
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

    /// The same for another host.
    ///
    /// # Errors
    /// What is wrong with the target, and what would be right.
    pub fn aimed_at(&self, target: &str) -> Result<Self, String> {
        Ok(Self {
            host: host(target)?,
            ..self.clone()
        })
    }
}

impl super::KindFacts for IcmpSettings {}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn resolve(json: serde_json::Value) -> Result<IcmpSettings, Vec<String>> {
        let findings = RefCell::default();
        let options: IcmpOptions = serde_json::from_value(json).unwrap();
        options.resolve(&Place::root(&findings)).map_err(|Invalid| {
            let findings = findings.take();
            findings
                .iter()
                .map(|f| format!("{}: {}", f.path, f.message))
                .collect()
        })
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
    fn a_source_decides_the_protocol() {
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
    fn all_faults_are_told_at_once() {
        let faults =
            resolve(serde_json::json!({"payload_size": 65508, "ttl": 256, "source_ip_address": "eth0"}));
        assert_eq!(
            faults.unwrap_err(),
            [
                ": host is missing: write whom to ping, such as host: 192.0.2.1",
                "payload_size: is more than a packet holds: write at most 65507",
                "ttl: is more than a packet can say: write 1 to 255",
                "source_ip_address: is not an address: write one of this machine's addresses, such as 192.0.2.10",
            ]
        );
    }

    #[test]
    fn another_target_is_a_host() {
        let settings = resolve(serde_json::json!({"host": "a", "ttl": 7})).unwrap();
        let aimed = settings.aimed_at("::1").unwrap();
        assert_eq!((aimed.target().as_str(), aimed.ttl), ("::1", Some(7)));
        assert_eq!(
            settings.aimed_at("192.0.2.1:80").unwrap_err(),
            "\"192.0.2.1:80\" is not a host: write a name or an address without a port, such as gw.example.org, \
             192.0.2.1 or 2001:db8::1"
        );
        assert!(
            settings
                .aimed_at("http://user:secret@gw")
                .unwrap_err()
                .starts_with("this is not a host")
        );
    }
}
