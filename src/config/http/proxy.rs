//! The proxy of a request: the configured one, or that of the environment.

use std::net::IpAddr;

use http::HeaderName;

use super::credentials::Credentials;
use super::target::TargetUrl;
use crate::config::address::HostPort;
use crate::config::place::{Invalid, Place};
use crate::config::secret::Secret;
use crate::config::zone;

/// An HTTP proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyServer {
    /// The address.
    pub address: HostPort,
    /// The credentials for the proxy.
    pub credentials: Option<Credentials>,
}

/// The proxies of a check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProxySettings {
    /// For http URLs.
    pub http: Option<ProxyServer>,
    /// For https URLs.
    pub https: Option<ProxyServer>,
    /// Targets to connect to directly.
    pub no_proxy: NoProxy,
    /// Headers of CONNECT requests.
    pub connect_headers: Vec<(HeaderName, Secret)>,
}

impl ProxySettings {
    /// The proxy for a URL.
    pub fn for_url(&self, url: &TargetUrl) -> Option<&ProxyServer> {
        self.for_address(&url.address(), url.is_https())
    }

    /// The proxy for an address.
    pub fn for_address(&self, address: &HostPort, is_https: bool) -> Option<&ProxyServer> {
        let server = if is_https { &self.https } else { &self.http };
        server.as_ref().filter(|_| !self.no_proxy.covers(address))
    }
}

/// The keys that set a proxy.
pub struct ProxyOptions<'a> {
    /// `proxy_url`.
    pub url: Option<&'a str>,
    /// `proxy_from_environment`.
    pub from_environment: bool,
    /// `no_proxy`.
    pub no_proxy: Option<&'a str>,
}

impl ProxyOptions<'_> {
    /// Resolves the keys, which are at `place`.
    ///
    /// # Errors
    /// Reported at the keys.
    pub fn resolve(self, place: &Place<'_>) -> Result<Option<ProxySettings>, Invalid> {
        match (self.url, self.from_environment) {
            (Some(_), true) => Err(place.error("give one of proxy_url and proxy_from_environment, not both")),
            (None, true) if self.no_proxy.is_some() => Err(place
                .field("no_proxy")
                .error("no_proxy needs proxy_url: with proxy_from_environment, set NO_PROXY instead")),
            (None, true) => from_environment(&place.field("proxy_from_environment")).map(Some),
            (None, false) if self.no_proxy.is_some() => Err(place
                .field("no_proxy")
                .error("no_proxy needs a proxy: add proxy_url")),
            (None, false) => Ok(None),
            (Some(text), false) => server(&place.field("proxy_url"), text).map(|server| {
                Some(ProxySettings {
                    http: Some(server.clone()),
                    https: Some(server),
                    no_proxy: NoProxy::parse(self.no_proxy.unwrap_or_default()),
                    connect_headers: Vec::new(),
                })
            }),
        }
    }
}

/// Resolves the URL of a proxy.
fn server(place: &Place<'_>, text: &str) -> Result<ProxyServer, Invalid> {
    let (url, user_info) = TargetUrl::parse(text).map_err(|error| place.error(error))?;
    if url.is_https() {
        return Err(place.error("TLS connections to a proxy are not supported: write http://"));
    }
    Ok(ProxyServer {
        address: url.address(),
        credentials: user_info.map(Credentials::from_user_info),
    })
}

/// The proxies of the environment variables `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`, also in lower case. Loopback targets
/// never use a proxy, as in Go.
fn from_environment(place: &Place<'_>) -> Result<ProxySettings, Invalid> {
    let variable = |name: &str| {
        let value = std::env::var(name).or_else(|_| std::env::var(name.to_ascii_lowercase()));
        value.ok().filter(|value| !value.is_empty())
    };
    let named = |name: &str| variable(name).map(|text| server(place, &text)).transpose();
    let (http, https) = (named("HTTP_PROXY"), named("HTTPS_PROXY"));
    let mut no_proxy = NoProxy::parse(&variable("NO_PROXY").unwrap_or_default());
    no_proxy.loopback = true;
    Ok(ProxySettings {
        http: http?,
        https: https?,
        no_proxy,
        connect_headers: Vec::new(),
    })
}

/// Targets that do not use the proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NoProxy {
    all: bool,
    loopback: bool,
    entries: Vec<(Exempt, Option<u16>)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Exempt {
    /// The names below a domain, and the domain itself unless it was written with a leading dot.
    Domain { name: String, itself: bool },
    /// A network with this prefix length.
    Network(IpAddr, u8),
}

impl NoProxy {
    /// Parses a comma-separated list of names, addresses and networks (`10.0.0.0/8`), each with an optional port.
    pub fn parse(text: &str) -> Self {
        let mut parsed = Self::default();
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            if entry == "*" {
                parsed.all = true;
                continue;
            }
            let entry = entry.to_ascii_lowercase();
            let (host, port) = match entry.rsplit_once(':') {
                Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, port.parse().ok()),
                _ => (entry.as_str(), None),
            };
            parsed.entries.push((Exempt::parse(host), port));
        }
        parsed
    }

    /// Whether a target does not use the proxy.
    pub fn covers(&self, target: &HostPort) -> bool {
        let host = zone::without_zone(&target.host)
            .trim_end_matches('.')
            .to_ascii_lowercase();
        let address: Option<IpAddr> = host.parse().ok();
        let local = host == "localhost" || address.is_some_and(|address| address.is_loopback());
        self.all
            || (self.loopback && local)
            || self.entries.iter().any(|(exempt, port)| {
                port.is_none_or(|port| port == target.port) && exempt.covers(&host, address)
            })
    }
}

impl Exempt {
    fn parse(host: &str) -> Self {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let (address, bits) = match bare.split_once('/') {
            Some((address, bits)) => (address, bits.parse::<u8>().ok()),
            None => (bare, Some(128)),
        };
        if let (Ok(address), Some(bits)) = (address.parse::<IpAddr>(), bits) {
            return Self::Network(address, bits);
        }
        let domain = host.trim_start_matches('*');
        Self::Domain {
            name: domain.trim_start_matches('.').to_owned(),
            itself: !domain.starts_with('.'),
        }
    }

    fn covers(&self, host: &str, address: Option<IpAddr>) -> bool {
        match self {
            Self::Domain { name, itself } => {
                let below = host
                    .strip_suffix(name.as_str())
                    .is_some_and(|rest| rest.ends_with('.'));
                below || (*itself && host == name)
            }
            Self::Network(network, bits) => match (network, address) {
                (IpAddr::V4(network), Some(IpAddr::V4(address))) => {
                    let differing = network.to_bits() ^ address.to_bits();
                    differing.leading_zeros() >= u32::from(*bits).min(32)
                }
                (IpAddr::V6(network), Some(IpAddr::V6(address))) => {
                    let differing = network.to_bits() ^ address.to_bits();
                    differing.leading_zeros() >= u32::from(*bits)
                }
                _ => false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_proxy_supports_names_addresses_networks_and_ports() {
        let list = NoProxy::parse(
            "example.org, .sub.net, *.star.net,10.0.0.0/8,192.0.2.1,[2001:db8::1]:80,2001:db8:1::/48,p.net:81",
        );
        for (host, port, covered) in [
            ("example.org", 80, true),
            ("EXAMPLE.org.", 80, true),
            ("www.example.org", 80, true),
            ("badexample.org", 80, false),
            ("sub.net", 80, false),
            ("a.sub.net", 80, true),
            ("a.star.net", 80, true),
            ("10.255.0.1", 80, true),
            ("11.0.0.1", 80, false),
            ("192.0.2.1", 80, true),
            ("192.0.2.2", 80, false),
            ("2001:db8::1", 80, true),
            ("2001:db8::1", 81, false),
            ("2001:db8:1:2::3", 80, true),
            ("p.net", 80, false),
            ("p.net", 81, true),
            ("127.0.0.1", 80, false),
        ] {
            let host = host.to_owned();
            assert_eq!(
                list.covers(&HostPort {
                    host: host.clone(),
                    port
                }),
                covered,
                "{host}:{port}"
            );
        }
        assert!(NoProxy::parse("*").covers(&HostPort {
            host: "x".to_owned(),
            port: 1
        }));
    }
}
