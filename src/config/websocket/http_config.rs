//! The key `http_config` of a websocket check. Of blackbox_exporter's HTTP client options, its websocket prober uses the
//! credentials and TLS.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::config::http::{AuthorizationOptions, BasicAuthOptions, Credentials};
use crate::config::place::{Invalid, Place};
use crate::config::secret::SecretSource;
use crate::config::tls::{TlsOptions, TlsSettings};

/// The HTTP options of the upgrade request.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HttpConfigOptions {
    /// User name and password for basic authentication.
    pub basic_auth: Option<BasicAuthOptions>,
    /// Authorization header with another scheme.
    pub authorization: Option<AuthorizationOptions>,
    /// Token: short for an authorization of type Bearer.
    pub bearer_token: Option<String>,
    /// File with the token, read at every run.
    pub bearer_token_file: Option<PathBuf>,
    /// Environment variable with the token.
    pub bearer_token_env: Option<String>,
    /// TLS options.
    pub tls_config: Option<TlsOptions>,
    /// Ignored, as in blackbox_exporter: the upgrade request is not redirected.
    pub follow_redirects: Option<bool>,
    /// Ignored, as in blackbox_exporter: the upgrade request uses HTTP/1.1.
    pub enable_http2: Option<bool>,
    /// Ignored, as in blackbox_exporter.
    pub http_headers: Option<Value>,
    /// Ignored, as in blackbox_exporter.
    pub no_proxy: Option<Value>,
    /// Ignored, as in blackbox_exporter.
    pub oauth2: Option<Value>,
    /// Ignored, as in blackbox_exporter.
    pub proxy_connect_header: Option<Value>,
    /// Ignored, as in blackbox_exporter.
    pub proxy_from_environment: Option<bool>,
    /// Ignored, as in blackbox_exporter.
    pub proxy_url: Option<Value>,
}

/// Shows no content, which may be secret.
impl std::fmt::Debug for HttpConfigOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpConfigOptions").finish_non_exhaustive()
    }
}

impl HttpConfigOptions {
    /// Resolves the options.
    pub(super) fn resolve(self, place: &Place<'_>) -> Result<(Option<Credentials>, TlsSettings), Invalid> {
        let ignored = [
            ("follow_redirects", self.follow_redirects.is_some()),
            ("enable_http2", self.enable_http2.is_some()),
            ("http_headers", self.http_headers.is_some()),
            ("no_proxy", self.no_proxy.is_some()),
            ("oauth2", self.oauth2.is_some()),
            ("proxy_connect_header", self.proxy_connect_header.is_some()),
            ("proxy_from_environment", self.proxy_from_environment.is_some()),
            ("proxy_url", self.proxy_url.is_some()),
        ];
        for (key, _) in ignored.iter().filter(|(_, is_given)| *is_given) {
            place
                .field(key)
                .warn("ignored by websocket checks: remove this key");
        }
        let tls = self.tls_config.unwrap_or_default();
        let tls = tls.resolve(&place.field("tls_config"));
        let token = SecretSource::from_keys(
            place,
            "bearer_token",
            self.bearer_token.filter(|token| !token.is_empty()),
            self.bearer_token_file,
            self.bearer_token_env,
        );
        let basic = self.basic_auth;
        let basic = basic.map(|options| options.resolve(&place.field("basic_auth")));
        let other = self.authorization;
        let other = other.map(|options| options.resolve(&place.field("authorization")));
        let (token, basic, other) = (token?, basic.transpose()?, other.transpose()?);
        let token = token.map(|credentials| Credentials::Scheme {
            scheme: "Bearer".to_owned(),
            credentials,
        });
        let mut given = [basic, other, token].into_iter().flatten();
        let credentials = given.next();
        if given.next().is_some() {
            return Err(place.error(
                "more than one way of authentication: keep one of basic_auth, authorization and bearer_token",
            ));
        }
        Ok((credentials, tls?))
    }
}
