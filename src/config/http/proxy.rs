//! The proxy of a request: the configured one, or that of the environment.

use std::collections::BTreeMap;
use std::net::IpAddr;

use http::HeaderName;

use super::credentials::Credentials;
use super::header_fields;
use super::target::TargetUrl;
use crate::config::address::HostPort;
use crate::config::place::{Invalid, Place};
use crate::config::secret::Secret;
use crate::config::zone;

/// The default port of a SOCKS proxy (IANA).
const DEFAULT_SOCKS_PORT: u16 = 1080;
/// The longest user name and password of SOCKS5 (RFC 1929, section 2), in bytes.
const MAX_SOCKS_CREDENTIAL_BYTES: usize = 255;

/// The protocol of a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// HTTP (RFC 9110, section 7.3).
    Http,
    /// HTTP over TLS.
    Https,
    /// SOCKS5 (RFC 1928). The exporter resolves names.
    Socks5,
    /// SOCKS5. The proxy resolves names.
    Socks5h,
}

impl ProxyProtocol {
    const ALL: [Self; 4] = [Self::Http, Self::Https, Self::Socks5, Self::Socks5h];

    /// The scheme of the proxy's URL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Socks5 => "socks5",
            Self::Socks5h => "socks5h",
        }
    }

    /// Whether it is SOCKS.
    pub const fn is_socks(self) -> bool {
        matches!(self, Self::Socks5 | Self::Socks5h)
    }

    /// Whether the proxy resolves the names of targets.
    pub const fn resolves_names(self) -> bool {
        !matches!(self, Self::Socks5)
    }
}

/// A proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyServer {
    /// The protocol.
    pub protocol: ProxyProtocol,
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
    /// All proxies.
    pub fn servers(&self) -> impl Iterator<Item = &ProxyServer> {
        self.http.iter().chain(&self.https)
    }

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

/// Resolves the keys of proxies together with `proxy_connect_header`.
pub(super) fn with_connect_headers(
    options: ProxyOptions<'_>,
    headers: &BTreeMap<String, Vec<String>>,
    place: &Place<'_>,
) -> Result<Option<ProxySettings>, Invalid> {
    let header_place = place.field("proxy_connect_header");
    let written = headers.iter();
    let written = written.flat_map(|(name, values)| values.iter().map(move |value| (name, value)));
    let connect_headers = header_fields::resolve_all(&header_place, written);
    let is_alone = options.url.is_none() && !options.from_environment && options.no_proxy.is_none();
    let settings = match is_alone && !headers.is_empty() {
        true => Err(header_place.error("proxy_connect_header needs a proxy: add proxy_url")),
        false => options.resolve(place),
    };
    let (settings, connect_headers) = (settings?, connect_headers?);
    let Some(settings) = settings else {
        return Ok(None);
    };
    if !connect_headers.is_empty() && settings.servers().any(|server| server.protocol.is_socks()) {
        header_place.warn("ignored for SOCKS proxies: they receive no headers");
    }
    Ok(Some(ProxySettings {
        connect_headers,
        ..settings
    }))
}

/// Resolves the URL of a proxy. The default scheme is http. A path is ignored, as in blackbox_exporter.
fn server(place: &Place<'_>, text: &str) -> Result<ProxyServer, Invalid> {
    let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
    let known = |protocol: &ProxyProtocol| protocol.as_str().eq_ignore_ascii_case(scheme);
    let Some(protocol) = ProxyProtocol::ALL.into_iter().find(known) else {
        // A text that begins with user info is not quoted.
        let is_word = !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let what = if is_word { scheme } else { "of the proxy" };
        return Err(place.error(format_args!(
            "the scheme {what} is not supported: write http://, https://, socks5:// or socks5h://"
        )));
    };
    let parse = |scheme: &str| {
        let parsed = TargetUrl::parse(&format!("{scheme}://{rest}"));
        parsed.map_err(|error| place.error(error))
    };
    let (url, user_info) = parse(if protocol == ProxyProtocol::Https {
        "https"
    } else {
        "http"
    })?;
    let mut address = url.address();
    // The URL parser only knows the default ports of http and https.
    if protocol.is_socks() && address.port != parse("https")?.0.address().port {
        address.port = DEFAULT_SOCKS_PORT;
    }
    if protocol.is_socks()
        && let Some((name, password)) = &user_info
        && [name.len(), password.as_ref().map_or(0, String::len)]
            .iter()
            .any(|length| !(1..=MAX_SOCKS_CREDENTIAL_BYTES).contains(length))
    {
        return Err(place.error(format_args!(
            "SOCKS5 needs a user name and a password of 1 to {MAX_SOCKS_CREDENTIAL_BYTES} bytes each: write user:password@"
        )));
    }
    Ok(ProxyServer {
        protocol,
        address,
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
mod tests;
