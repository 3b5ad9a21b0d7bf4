//! The configuration of websocket checks. The options have the names and meanings of blackbox_exporter's.

mod header;
mod http_config;
mod url;

use std::collections::BTreeMap;

use http::header::{AUTHORIZATION, HOST};
use http::{HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::Deserialize;

pub use header::HeaderOptions;
pub use http_config::HttpConfigOptions;
pub use url::WebsocketUrl;

use super::address::{AddressPreference, IpProtocol};
use super::dialogue::{StepOptions, Steps};
use super::http::{Credentials, HeaderValuesOptions, apply_hostname, header_files, header_values};
use super::place::{Invalid, Place};
use super::secret::{Secret, SecretSource};
use super::tls::TlsSettings;

/// Headers of the upgrade request that the check sets itself (RFC 6455, section 4.1).
const OWN_HEADERS: [&str; 3] = [
    "sec-websocket-extensions",
    "sec-websocket-key",
    "sec-websocket-version",
];

/// The options of a websocket check.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WebsocketOptions {
    /// URL to connect to: ws:// or wss://.
    pub url: Option<String>,
    /// Headers of the upgrade request, each with a text, or with values, secret values or files. Sec-WebSocket-Protocol offers subprotocols.
    pub headers: BTreeMap<String, HeaderOptions>,
    /// Credentials and TLS options of the upgrade request.
    pub http_config: Option<HttpConfigOptions>,
    /// Steps of a dialogue over messages. A step with expect waits for one message.
    pub query_response: Option<Vec<StepOptions>>,
    /// IP protocol to try first: ip4 or ip6. Default: ip6.
    pub preferred_ip_protocol: Option<IpProtocol>,
    /// Whether to try the other IP protocol as well. Default: true.
    pub ip_protocol_fallback: Option<bool>,
}

/// Shows no content, which may be secret.
impl std::fmt::Debug for WebsocketOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebsocketOptions").finish_non_exhaustive()
    }
}

/// The settings of a websocket check.
#[derive(Clone, Debug, PartialEq)]
pub struct WebsocketSettings {
    /// The URL to connect to.
    pub url: WebsocketUrl,
    /// The headers of the upgrade request. Their values may be secrets.
    pub headers: Vec<(HeaderName, Secret)>,
    /// Headers of the upgrade request whose values are read from files at every run.
    pub header_files: Vec<(HeaderName, SecretSource)>,
    /// The credentials.
    pub credentials: Option<Credentials>,
    /// The TLS settings.
    pub tls: TlsSettings,
    /// The steps of the dialogue; empty if the check only connects.
    pub steps: Steps,
    /// The addresses of the host to try.
    pub preference: AddressPreference,
}

impl WebsocketOptions {
    /// Resolves the options.
    ///
    /// # Errors
    /// Reported at their keys.
    pub fn resolve(self, place: &Place<'_>) -> Result<WebsocketSettings, Invalid> {
        let url = match &self.url {
            Some(text) => WebsocketUrl::parse(text).map_err(|error| place.field("url").error(error)),
            None => Err(place.error(
                "url is missing: write the URL to connect to, such as url: ws://127.0.0.1:8000/events",
            )),
        };
        let at = place.field("headers");
        let own = self.headers.keys().filter(|name| is_own(name));
        let own: Vec<Invalid> = own
            .map(|name| {
                let message = format_args!("the check itself sets {name}: remove this header");
                at.field(name).error(message)
            })
            .collect();
        let written = self.headers.into_iter();
        let written: BTreeMap<String, HeaderValuesOptions> =
            written.map(|(name, options)| (name, options.0)).collect();
        let headers = header_values(&at, &written);
        let files = header_files(&at, &written);
        let http_config = self.http_config.unwrap_or_default();
        let http_config = http_config.resolve(&place.field("http_config"));
        let steps = messages(&place.field("query_response"), self.query_response);
        if let Some(invalid) = own.into_iter().next() {
            return Err(invalid);
        }
        let (headers, header_files) = (headers?, files?);
        let (mut credentials, tls) = http_config?;
        let names = headers.iter().map(|(name, _)| name);
        let mut names = names.chain(header_files.iter().map(|(name, _)| name));
        if credentials.is_some() && names.any(|name| *name == AUTHORIZATION) {
            let message =
                "the credentials are ignored because of the header Authorization: remove one of them";
            place.field("http_config").warn(message);
            credentials = None;
        }
        Ok(WebsocketSettings {
            url: url?,
            headers,
            header_files,
            credentials,
            tls,
            steps: steps?,
            preference: AddressPreference::new(self.preferred_ip_protocol, self.ip_protocol_fallback),
        })
    }
}

/// Whether the check sets this header itself.
fn is_own(name: &str) -> bool {
    OWN_HEADERS.iter().any(|own| name.eq_ignore_ascii_case(own))
}

/// Resolves steps over messages. The keys of steps over other connections have no effect, as in blackbox_exporter.
fn messages(place: &Place<'_>, written: Option<Vec<StepOptions>>) -> Result<Steps, Invalid> {
    let mut written = written.unwrap_or_default();
    for (index, step) in written.iter_mut().enumerate() {
        let at = place.index(index);
        let ignored = [
            ("expect_bytes", step.expect_bytes.take().is_some()),
            ("labels", step.labels.take().is_some()),
            ("starttls", std::mem::take(&mut step.starttls)),
        ];
        for (key, _) in ignored.iter().filter(|(_, is_given)| *is_given) {
            at.field(key)
                .warn("ignored: steps over a WebSocket have only expect and send");
        }
    }
    super::dialogue::resolve_steps(place, written, false)
}

impl WebsocketSettings {
    /// The URL without its query.
    pub fn target(&self) -> String {
        self.url.shown()
    }

    /// The same check of another URL.
    ///
    /// # Errors
    /// What is wrong with the target and what to write instead.
    pub fn with_target(&self, target: &str) -> Result<Self, String> {
        Ok(Self {
            url: WebsocketUrl::parse(target)?,
            ..self.clone()
        })
    }

    /// Sets the name for the `Host` header and for TLS.
    ///
    /// # Errors
    /// What is wrong with the name and what to write instead.
    pub fn set_hostname(&mut self, hostname: &str) -> Result<(), String> {
        apply_hostname(hostname, &mut self.headers, &mut self.tls)
    }

    /// The `Host` header of the configuration.
    pub fn host(&self) -> Option<HeaderValue> {
        let (_, value) = self.headers.iter().find(|(name, _)| *name == HOST)?;
        HeaderValue::from_str(value.unhidden()).ok()
    }

    /// Whether the upgrade request contains credentials.
    pub fn sends_credentials(&self) -> bool {
        let names = self.headers.iter().map(|(name, _)| name);
        let mut names = names.chain(self.header_files.iter().map(|(name, _)| name));
        self.credentials.is_some() || names.any(|name| *name == AUTHORIZATION)
    }
}

impl super::KindFacts for WebsocketSettings {
    const SEES_CERTIFICATES: bool = true;

    fn is_target_shortened(&self) -> bool {
        self.url.has_query() || self.credentials.is_some()
    }
}

#[cfg(test)]
mod tests;
