//! Hosts, ports and the choice between IPv4 and IPv6 in the options of network checks.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Deserialize;

use super::place::{Invalid, Place};
use super::zone;

/// A version of the Internet protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum IpProtocol {
    /// IPv4.
    Ip4,
    /// IPv6, the default as in blackbox_exporter.
    #[default]
    Ip6,
}

/// The addresses of a name that are tried, and their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressPreference {
    /// Addresses of this protocol come first.
    pub preferred: IpProtocol,
    /// Whether the other protocol's addresses come after them.
    pub fallback: bool,
}

impl Default for AddressPreference {
    fn default() -> Self {
        Self::new(None, None)
    }
}

impl AddressPreference {
    /// Resolves `preferred_ip_protocol` and `ip_protocol_fallback`, with blackbox_exporter's defaults: ip6, true.
    pub fn new(preferred: Option<IpProtocol>, fallback: Option<bool>) -> Self {
        Self {
            preferred: preferred.unwrap_or_default(),
            fallback: fallback.unwrap_or(true),
        }
    }

    /// The addresses to try, in order.
    pub fn order(self, addresses: &[IpAddr]) -> Vec<IpAddr> {
        let preferred = |ip: &&IpAddr| ip.is_ipv6() == (self.preferred == IpProtocol::Ip6);
        let mut ordered: Vec<IpAddr> = addresses.iter().filter(preferred).copied().collect();
        if self.fallback {
            ordered.extend(addresses.iter().filter(|ip| !preferred(ip)).copied());
        }
        ordered
    }
}

/// A host with a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// A name or an address. An IPv6 address has no brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// Parses a host without a port: a name, or an address. An IPv6 address may have brackets and a zone.
pub fn host_without_port(text: &str) -> Option<&str> {
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .filter(|inside| inside.contains(':'))
        .unwrap_or(text);
    let is_name = |name: &str| {
        (1..=253).contains(&name.len())
            && !name.contains(|c: char| c.is_whitespace() || "/@?#:[]%".contains(c))
    };
    (zone::is_address(bare) || is_name(bare)).then_some(bare)
}

/// Resolves `source_ip_address`, the address to send from. Returns the address preference as well, because only addresses of the
/// same protocol can be reached from it.
///
/// # Errors
/// Reported at the key.
pub fn resolve_source(
    written: Option<&str>,
    preference: AddressPreference,
    place: &Place<'_>,
) -> Result<(Option<IpAddr>, AddressPreference), Invalid> {
    let Some(text) = written.filter(|text| !text.is_empty()) else {
        return Ok((None, preference));
    };
    let Ok(address) = text.parse::<IpAddr>() else {
        return Err(place
            .field("source_ip_address")
            .error("not an IP address: write an address of this machine, such as 192.0.2.10"));
    };
    let preferred = if address.is_ipv4() {
        IpProtocol::Ip4
    } else {
        IpProtocol::Ip6
    };
    let only = AddressPreference {
        preferred,
        fallback: false,
    };
    Ok((Some(address), only))
}

impl HostPort {
    /// Resolves `host:port`, with an IPv6 address in brackets.
    ///
    /// # Errors
    /// Reported at `place`.
    pub fn resolve(place: &Place<'_>, text: &str) -> Result<Self, Invalid> {
        Self::parse(text).map_err(|message| place.error(message))
    }

    /// Parses `host:port`, with an IPv6 address in brackets.
    ///
    /// # Errors
    /// What is wrong and what to write instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| {
            // A text that looks like a URL may contain a password, so it is not quoted.
            let shown = match text.contains("://") || text.contains('@') {
                true => "this address".to_owned(),
                false => format!("\"{text}\""),
            };
            Err(format!(
                "{shown} {what}: write host:port, such as 127.0.0.1:5432, db.example.org:5432 or [::1]:5432"
            ))
        };
        if text.contains("://") {
            return wrong("is a URL");
        }
        let Some((host, port)) = text.rsplit_once(':') else {
            return wrong("has no port");
        };
        let Some(port) = port.parse().ok().filter(|port| *port != 0) else {
            return wrong("has no port between 1 and 65535");
        };
        let host = match host.strip_prefix('[').map(|rest| rest.strip_suffix(']')) {
            Some(Some(inside)) if matches!(zone::without_zone(inside).parse(), Ok(IpAddr::V6(_))) => inside,
            Some(Some(inside)) if inside.contains('%') => {
                return wrong(&format!("has an invalid zone: {}", zone::WRONG));
            }
            Some(_) => return wrong("has brackets without an IPv6 address"),
            None if host.contains(':') && !host.contains('@') => {
                return wrong("has an IPv6 address without brackets");
            }
            None => host,
        };
        if host.is_empty()
            || host.len() > 253
            || host.contains(|c: char| c.is_whitespace() || "/@?#".contains(c))
        {
            return wrong("has no valid host");
        }
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }
}

impl HostPort {
    /// The form to send to a server, such as in a `Host` header: without the zone.
    pub fn authority(&self) -> String {
        let host = zone::without_zone(&self.host);
        let port = self.port;
        if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        }
    }
}

impl std::fmt::Display for HostPort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<String, String> {
        HostPort::parse(text).map(|address| address.to_string())
    }

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for text in [
            "127.0.0.1:80",
            "db.example.org:5432",
            "[::1]:443",
            "my_host:1",
            "[fe80::1%eth0]:22",
        ] {
            assert_eq!(parse(text), Ok(text.to_owned()));
        }
        for (text, wrong) in [
            ("localhost", "has no port"),
            ("localhost:", "has no port between 1 and 65535"),
            ("localhost:0", "has no port between 1 and 65535"),
            ("localhost:65536", "has no port between 1 and 65535"),
            ("::1:80", "has an IPv6 address without brackets"),
            ("[127.0.0.1]:80", "has brackets without an IPv6 address"),
            (
                "[2001:db8::1%eth0]:80",
                "has an invalid zone: the part after % must be a network interface of this machine, and the address before it \
                 link-local (fe80::/10), as in [fe80::1%eth0]",
            ),
            (":80", "has no valid host"),
            ("a b:80", "has no valid host"),
            ("http://x:80", "is a URL"),
            ("postgres://user:password@db:5432/name", "is a URL"),
            ("user:password@db:5432", "has no valid host"),
            ("password@db:5432", "has no valid host"),
        ] {
            let shown = match text.contains('@') || text.contains("://") {
                true => "this address".to_owned(),
                false => format!("\"{text}\""),
            };
            let expected = format!(
                "{shown} {wrong}: write host:port, such as 127.0.0.1:5432, db.example.org:5432 or [::1]:5432"
            );
            assert_eq!(parse(text), Err(expected));
        }
    }

    #[test]
    fn an_authority_has_no_zone() {
        for (text, authority) in [
            ("[fe80::1%eth0]:22", "[fe80::1]:22"),
            ("[::1]:22", "[::1]:22"),
            ("gw:22", "gw:22"),
        ] {
            assert_eq!(HostPort::parse(text).unwrap().authority(), authority);
        }
    }

    #[test]
    fn a_host_without_a_port_is_a_name_or_an_address() {
        for (text, host) in [
            ("192.0.2.1", Some("192.0.2.1")),
            ("::1", Some("::1")),
            ("[::1]", Some("::1")),
            ("gw.example.org", Some("gw.example.org")),
            ("gw.example.org:53", None),
            ("[gw]", None),
            ("[::1]:53", None),
            ("", None),
            ("a b", None),
            ("http://gw", None),
            ("fe80::1%eth0", Some("fe80::1%eth0")),
            ("[fe80::1%eth0]", Some("fe80::1%eth0")),
            ("::1%lo", None),
        ] {
            assert_eq!(host_without_port(text), host, "{text}");
        }
    }

    #[test]
    fn the_preferred_protocol_comes_first_and_alone_without_fallback() {
        let addresses: Vec<IpAddr> = ["192.0.2.1", "2001:db8::1", "192.0.2.2"]
            .map(|text| text.parse().unwrap())
            .into();
        let order = |preferred, fallback| {
            let order = AddressPreference::new(preferred, fallback).order(&addresses);
            order
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(order(None, None), "2001:db8::1 192.0.2.1 192.0.2.2");
        assert_eq!(
            order(Some(IpProtocol::Ip4), None),
            "192.0.2.1 192.0.2.2 2001:db8::1"
        );
        assert_eq!(order(Some(IpProtocol::Ip6), Some(false)), "2001:db8::1");
    }
}
