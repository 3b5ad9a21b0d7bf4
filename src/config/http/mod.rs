//! The configuration of http checks. The options bear blackbox_exporter's names and mean what they mean there.

mod assertion;
mod body;
mod credentials;
mod extract;
mod options;
mod proxy;
mod resolve;
mod target;
#[cfg(test)]
mod tests;

use http::header::{AUTHORIZATION, HOST};
use http::{HeaderName, HeaderValue, Method, Version};
use rustls::pki_types::ServerName;

pub use assertion::{Assertions, HeaderAssertion, HeaderAssertionOptions};
pub use body::{BodyError, BodySource};
pub use credentials::{AuthorizationOptions, BasicAuthOptions, Credentials};
pub use extract::{ExtractOptions, ExtractedValue, Extraction};
pub use options::{HeaderValuesOptions, HttpOptions};
pub use proxy::{NoProxy, ProxyServer, ProxySettings};
pub use target::TargetUrl;

use super::address::AddressPreference;
use super::secret::Secret;
use super::tls::TlsSettings;

/// The most bytes of a response's body that are read where the configuration says nothing.
pub const DEFAULT_BODY_SIZE_LIMIT: u64 = 10 << 20;
/// How many redirects are followed where the configuration says nothing; what Go's client does.
pub const DEFAULT_MAX_REDIRECTS: u32 = 10;

/// What an http check needs, resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpSettings {
    /// What to request.
    pub url: TargetUrl,
    /// The method.
    pub method: Method,
    /// Headers of the request beside those that the check sets itself. Their values may be secrets.
    pub headers: Vec<(HeaderName, Secret)>,
    /// The request's body, if it has one.
    pub body: Option<BodySource>,
    /// How the exporter identifies itself to the target.
    pub credentials: Option<Credentials>,
    /// How many redirects to follow; none where redirects are not followed but answers.
    pub max_redirects: Option<u32>,
    /// How the body is compressed; it is not where absent.
    pub compression: Option<Compression>,
    /// What the response must be like.
    pub assertions: Assertions,
    /// What to take out of the body.
    pub extraction: Extraction,
    /// The most bytes of the (uncompressed) body; no limit where absent.
    pub body_size_limit: Option<u64>,
    /// Whether HTTP/2 is offered over TLS.
    pub enable_http2: bool,
    /// How TLS is done.
    pub tls: TlsSettings,
    /// Which of the host's addresses.
    pub preference: AddressPreference,
    /// The proxies to use.
    pub proxy: Option<ProxySettings>,
}

impl HttpSettings {
    /// The URL without user info, query and fragment.
    pub fn target(&self) -> String {
        self.url.shown()
    }

    /// The same for another URL; `hostname` is the name to ask for in it.
    ///
    /// # Errors
    /// What is wrong with the target and what would be right.
    pub fn aimed_at(&self, target: &str, hostname: Option<&str>) -> Result<Self, String> {
        let (url, user_info) = TargetUrl::parse(target)?;
        let mut aimed = self.clone();
        aimed.url = url;
        // A header of the module comes first, as in blackbox_exporter.
        let is_own = self.headers.iter().any(|(name, _)| *name == AUTHORIZATION);
        let user_info = user_info.filter(|_| !is_own).map(Credentials::from_user_info);
        aimed.credentials = aimed.credentials.or(user_info);
        if let Some(hostname) = hostname {
            let other = self.headers.iter().find(|(name, _)| *name == HOST);
            if other.is_some_and(|(_, value)| value.unhidden() != hostname) {
                return Err(
                    "the parameter hostname and the module's header Host differ: give one of them".to_owned(),
                );
            }
            let is_host = HeaderValue::from_str(hostname).is_ok();
            let name = ServerName::try_from(without_port(hostname).to_owned());
            let name = name.ok().filter(|_| is_host);
            let name = name.ok_or("the parameter hostname is no DNS name and no IP address")?;
            aimed.headers.retain(|(name, _)| *name != HOST);
            aimed.headers.push((HOST, Secret::new(hostname)));
            aimed.tls.server_name.get_or_insert(name);
        }
        Ok(aimed)
    }
}

/// The name that a `Host` header says, without its port (RFC 9110, section 7.2).
fn without_port(host: &str) -> &str {
    let Some((name, _)) = host
        .rsplit_once(':')
        .filter(|(_, port)| port.parse::<u16>().is_ok())
    else {
        return host;
    };
    match name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address,
        None if name.contains(':') => host,
        None => name,
    }
}

/// A compression of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// RFC 1952.
    Gzip,
    /// RFC 9110, section 8.4.1.2: the zlib format; and its data alone, which many servers send.
    Deflate,
    /// None, and the server is told so.
    Identity,
}

impl Compression {
    /// The content coding's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Identity => "identity",
        }
    }
}

/// The name of a version of HTTP, as blackbox_exporter (and Go) writes it.
pub fn version_name(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "HTTP/0.9",
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_11 => "HTTP/1.1",
        Version::HTTP_2 => "HTTP/2.0",
        _ => "HTTP/3.0",
    }
}

impl crate::config::KindFacts for HttpSettings {
    fn values_at_once(&self, label: &str) -> Option<u64> {
        match label {
            // resolve, connect, tls, processing, transfer
            "phase" => Some(5),
            "name" => Some(self.extraction.values.len() as u64),
            // Each extracted value has one unit.
            "unit" => Some(1),
            "version" => Some(u64::from(self.extraction.version.is_some())),
            _ => None,
        }
    }

    fn is_target_shortened(&self) -> bool {
        self.url.expose().query().is_some() || self.credentials.is_some()
    }
}
