//! The base URL of a provider: `https://host/path`, to which requests append their own path.

use url::Url;

use super::api::ProviderApi;
use crate::config::place::{Invalid, Place};

/// Where requests go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    /// Scheme, host, port and path without a slash at its end. Never contains credentials.
    url: Url,
    /// Whether it is the provider's own URL. Another server may list its models to everybody.
    pub is_default: bool,
}

impl BaseUrl {
    /// Resolves the written URL, or the default of the provider.
    pub(super) fn resolve(
        written: Option<&str>,
        api: ProviderApi,
        place: &Place<'_>,
    ) -> Result<Self, Invalid> {
        let example = api.default_url().unwrap_or("http://127.0.0.1:8000/v1");
        let field = place.field("base_url");
        let text = match (written, api.default_url()) {
            (Some(text), _) => text,
            (None, Some(default)) => default,
            (None, None) => {
                return Err(place.error(format_args!(
                    "base_url is missing: write the URL of the server's API, such as base_url: {example}"
                )));
            }
        };
        // The URL is not quoted, because it may contain a password.
        let wrong = |what: &str| Err(field.error(format_args!("{what}: write a URL such as {example}")));
        let mut url = match Url::parse(text) {
            Ok(url) => url,
            Err(error) => return wrong(&format!("not a URL ({error})")),
        };
        if !matches!(url.scheme(), "http" | "https") {
            return wrong("the scheme of the URL is not http:// or https://");
        }
        if !url.username().is_empty() || url.password().is_some() || url.path().contains('@') {
            return wrong("the URL contains credentials (use api_key_file)");
        }
        if url.query().is_some() || url.fragment().is_some() {
            return wrong("the URL has a query or a fragment, which is not supported");
        }
        if url.port() == Some(0) {
            return wrong("port 0 is not valid");
        }
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        let is_default = api
            .default_url()
            .and_then(|default| Url::parse(default).ok())
            .is_some_and(|default| default.origin() == url.origin());
        Ok(Self { url, is_default })
    }

    /// The URL of an endpoint. `path` starts with a slash; its segments are already encoded.
    pub fn endpoint(&self, path: &str) -> Url {
        let mut url = self.url.clone();
        let base = self.url.path().trim_end_matches('/');
        url.set_path(&format!("{base}{path}"));
        url
    }

    /// The host without brackets, for messages.
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.url.port_or_known_default().unwrap_or_default()
    }

    /// Whether requests use TLS.
    pub fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// Whether the connection stays on this machine.
    pub fn is_loopback(&self) -> bool {
        match self.url.host() {
            Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }
}

impl std::fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.url.as_str().trim_end_matches('/'))
    }
}
