//! The configuration of http checks. The options have the names and meanings of blackbox_exporter's.

mod assertion;
mod body;
mod compression;
mod credentials;
mod extract;
mod header_fields;
mod headers;
mod oauth2;
mod options;
mod proxy;
mod request_target;
mod resolve;
mod status_codes;
mod target;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use http::header::{AUTHORIZATION, HOST};
use http::{HeaderName, HeaderValue, Method};
use rustls::pki_types::ServerName;

pub use assertion::{Assertions, HeaderAssertion, HeaderAssertionOptions, version_name};
pub use body::{BodyError, BodySource};
pub use compression::Compression;
pub use credentials::{AuthorizationOptions, BasicAuthOptions, Credentials};
pub use extract::{ExtractOptions, ExtractedValue, Extraction};
pub use headers::{header_files, header_values};
pub use oauth2::{OAuth2Options, OAuth2Settings};
pub use options::{HeaderValuesOptions, HttpOptions};
pub use proxy::{NoProxy, ProxyOptions, ProxyProtocol, ProxyServer, ProxySettings};
pub use status_codes::{StatusCodes, StatusList, StatusRange};
pub use target::TargetUrl;

use super::address::AddressPreference;
use super::secret::{Secret, SecretSource};
use super::tls::TlsSettings;

/// The default limit of a response's body in bytes.
pub const DEFAULT_BODY_SIZE_LIMIT: u64 = 10 << 20;
/// The default limit of redirects, as in Go's client.
pub const DEFAULT_MAX_REDIRECTS: u32 = 10;

/// The settings of an http check.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpSettings {
    /// The URL to request.
    pub url: TargetUrl,
    /// The method.
    pub method: Method,
    /// The headers of the request, without those that the check sets itself. Their values may be secrets.
    pub headers: Vec<(HeaderName, Secret)>,
    /// Headers of the request whose values are read from files at every run.
    pub header_files: Vec<(HeaderName, SecretSource)>,
    /// The body of the request.
    pub body: Option<BodySource>,
    /// The credentials.
    pub credentials: Option<Credentials>,
    /// Where to request a token, which replaces the credentials.
    pub oauth2: Option<Arc<OAuth2Settings>>,
    /// The maximum number of redirects; `None` to treat redirects as responses.
    pub max_redirects: Option<u32>,
    /// The compression that the body must have; `None` for none.
    pub compression: Option<Compression>,
    /// The conditions for the response.
    pub assertions: Assertions,
    /// The values to extract from the body.
    pub extraction: Extraction,
    /// The maximum size of the uncompressed body in bytes; `None` for no limit.
    pub body_size_limit: Option<u64>,
    /// Whether HTTP/2 is offered over TLS.
    pub enable_http2: bool,
    /// Whether HTTP/3 is required, which is not supported: every run fails.
    pub enable_http3: bool,
    /// The TLS settings.
    pub tls: TlsSettings,
    /// The addresses of the host to try.
    pub preference: AddressPreference,
    /// The proxies.
    pub proxy: Option<ProxySettings>,
}

impl HttpSettings {
    /// The URL without user info, query and fragment.
    pub fn target(&self) -> String {
        self.url.shown()
    }

    /// The same check of another URL.
    ///
    /// # Errors
    /// What is wrong with the target and what to write instead.
    pub fn with_target(&self, target: &str) -> Result<Self, String> {
        let (url, user_info) = TargetUrl::parse(target)?;
        let mut targeted = self.clone();
        targeted.url = url;
        // A header or a token of the module has precedence, as in blackbox_exporter.
        let in_files = self.header_files.iter().map(|(name, _)| name);
        let mut names = self.headers.iter().map(|(name, _)| name).chain(in_files);
        let is_own = self.oauth2.is_some() || names.any(|name| *name == AUTHORIZATION);
        let user_info = user_info.filter(|_| !is_own).map(Credentials::from_user_info);
        targeted.credentials = targeted.credentials.or(user_info);
        Ok(targeted)
    }

    /// Sets the name for the `Host` header and for TLS.
    ///
    /// # Errors
    /// What is wrong with the name and what to write instead.
    pub fn set_hostname(&mut self, hostname: &str) -> Result<(), String> {
        apply_hostname(hostname, &mut self.headers, &mut self.tls)
    }
}

/// Puts the parameter `hostname` into the `Host` header and, unless the configuration has a name, into the TLS settings.
///
/// # Errors
/// What is wrong with the name and what to write instead.
pub fn apply_hostname(
    hostname: &str,
    headers: &mut Vec<(HeaderName, Secret)>,
    tls: &mut TlsSettings,
) -> Result<(), String> {
    let other = headers.iter().find(|(name, _)| *name == HOST);
    if other.is_some_and(|(_, value)| value.unhidden() != hostname) {
        return Err(
            "the parameter hostname and the module's header Host differ: give one of them".to_owned(),
        );
    }
    let name = server_name_of(hostname)?;
    headers.retain(|(name, _)| *name != HOST);
    headers.push((HOST, Secret::new(hostname)));
    tls.server_name.get_or_insert(name);
    Ok(())
}

/// The name for TLS of the parameter `hostname`, which may have a port.
///
/// # Errors
/// If it is not a name that a `Host` header and TLS can have.
pub fn server_name_of(hostname: &str) -> Result<ServerName<'static>, String> {
    let is_host = HeaderValue::from_str(hostname).is_ok();
    let name = ServerName::try_from(without_port(hostname).to_owned());
    let name = name.ok().filter(|_| is_host);
    name.ok_or_else(|| "the parameter hostname is neither a DNS name nor an IP address".to_owned())
}

/// The name of a `Host` header, without its port (RFC 9110, section 7.2).
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

impl crate::config::KindFacts for HttpSettings {
    const SEES_CERTIFICATES: bool = true;

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

    fn requests_tokens(&self) -> bool {
        self.oauth2.is_some()
    }

    fn is_target_shortened(&self) -> bool {
        self.url.query().is_some() || self.credentials.is_some() || self.oauth2.is_some()
    }
}
