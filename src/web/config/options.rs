//! The web configuration as written. Every key is optional, and has the name from the exporter toolkit.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::config::duration::DurationText;

/// The file.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WebOptions {
    pub tls_server_config: Option<TlsServerOptions>,
    pub http_server_config: Option<HttpServerOptions>,
    /// Password hashes by user.
    pub basic_auth_users: Option<BTreeMap<String, String>>,
    pub rate_limit: Option<RateLimitOptions>,
}

/// `tls_server_config`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TlsServerOptions {
    pub cert: Option<String>,
    pub cert_file: Option<String>,
    pub key: Option<String>,
    pub key_file: Option<String>,
    pub client_auth_type: Option<String>,
    pub client_ca: Option<String>,
    pub client_ca_file: Option<String>,
    pub client_allowed_sans: Option<Vec<String>>,
    pub min_version: Option<String>,
    pub max_version: Option<String>,
    pub cipher_suites: Option<Vec<String>>,
    pub prefer_server_cipher_suites: Option<bool>,
    pub curve_preferences: Option<Vec<String>>,
}

/// `http_server_config`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HttpServerOptions {
    pub http2: Option<bool>,
    pub headers: Option<HeaderOptions>,
}

/// Header fields for every response.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HeaderOptions {
    #[serde(rename = "Content-Security-Policy")]
    pub content_security_policy: Option<String>,
    #[serde(rename = "X-Frame-Options")]
    pub x_frame_options: Option<String>,
    #[serde(rename = "X-Content-Type-Options")]
    pub x_content_type_options: Option<String>,
    #[serde(rename = "X-XSS-Protection")]
    pub x_xss_protection: Option<String>,
    #[serde(rename = "Strict-Transport-Security")]
    pub strict_transport_security: Option<String>,
}

/// `rate_limit`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RateLimitOptions {
    pub interval: Option<DurationText>,
    pub burst: Option<u32>,
}
