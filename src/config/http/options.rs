//! The options of an http check, as written.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{AuthorizationOptions, BasicAuthOptions, ExtractOptions, HeaderAssertionOptions};
use crate::config::address::IpProtocol;
use crate::config::size::SizeText;
use crate::config::tls::TlsOptions;

/// The options of an http check, as written.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HttpOptions {
    /// What to request. User info in it becomes basic authentication.
    pub url: Option<String>,
    /// The method (default GET).
    pub method: Option<String>,
    /// Headers of the request.
    pub headers: BTreeMap<String, String>,
    /// Headers of the request, each with values, with secret values, or with files that hold one each.
    pub http_headers: BTreeMap<String, HeaderValuesOptions>,
    /// The body of the request.
    pub body: Option<String>,
    /// A file with the body of the request, read at every run.
    pub body_file: Option<PathBuf>,
    /// The expected status codes (default: every 2xx).
    pub valid_status_codes: Vec<u16>,
    /// The expected versions: HTTP/1.0, HTTP/1.1, HTTP/2.0 (default: any).
    pub valid_http_versions: Vec<String>,
    /// Fail where the answer came over TLS.
    pub fail_if_ssl: bool,
    /// Fail where the answer did not come over TLS.
    pub fail_if_not_ssl: bool,
    /// Whether redirects are followed (default true).
    pub follow_redirects: Option<bool>,
    /// The older, opposite name of follow_redirects.
    pub no_follow_redirects: Option<bool>,
    /// How many redirects are followed before the run fails (default 10).
    pub max_redirects: Option<u32>,
    /// Regular expressions; fail where one matches the body.
    pub fail_if_body_matches_regexp: Vec<String>,
    /// Regular expressions; fail where one does not match the body.
    pub fail_if_body_not_matches_regexp: Vec<String>,
    /// Fail where a header matches; of several of one name, any.
    pub fail_if_header_matches: Vec<HeaderAssertionOptions>,
    /// Fail where a header does not match; of several of one name, none.
    pub fail_if_header_not_matches: Vec<HeaderAssertionOptions>,
    /// A CEL expression about the JSON document `body`; fail where it is true.
    pub fail_if_body_json_matches_cel: Option<String>,
    /// A CEL expression about the JSON document `body`; fail where it is not true.
    pub fail_if_body_json_not_matches_cel: Option<String>,
    /// Numbers to take out of a JSON body, at most 32: upkeep_http_extracted. What is not there is a warning.
    pub extract: Vec<ExtractOptions>,
    /// Where a JSON body tells the version of what answers, a JSON path: upkeep_service_version_info.
    pub extract_version: Option<String>,
    /// How the body is compressed: gzip, deflate or identity. The server is asked for it, and it must be so.
    pub compression: Option<String>,
    /// How TLS is done.
    pub tls_config: Option<TlsOptions>,
    /// A user name with a password.
    pub basic_auth: Option<BasicAuthOptions>,
    /// Another Authorization header.
    pub authorization: Option<AuthorizationOptions>,
    /// A token: short for an authorization of type Bearer.
    pub bearer_token: Option<String>,
    /// A file with the token, read at every run.
    pub bearer_token_file: Option<PathBuf>,
    /// An environment variable with the token.
    pub bearer_token_env: Option<String>,
    /// Not supported yet.
    pub oauth2: Option<serde_json::Value>,
    /// The protocol whose addresses come first: ip4 or ip6 (default).
    pub preferred_ip_protocol: Option<IpProtocol>,
    /// Whether the other protocol's addresses come after them (default true).
    pub ip_protocol_fallback: Option<bool>,
    /// The most bytes of the uncompressed body (default 10MB); 0 is no limit. More is a failure.
    pub body_size_limit: Option<SizeText>,
    /// Whether HTTP/2 is offered over TLS (default true).
    pub enable_http2: Option<bool>,
    /// A proxy to go through: http://host:port.
    pub proxy_url: Option<String>,
    /// Take the proxy from HTTP_PROXY, HTTPS_PROXY and NO_PROXY.
    pub proxy_from_environment: bool,
    /// Targets to reach without proxy_url: names, addresses, networks, separated by commas.
    pub no_proxy: Option<String>,
    /// Headers of CONNECT requests to the proxy.
    pub proxy_connect_header: BTreeMap<String, Vec<String>>,
    /// What blackbox_exporter has to be told so that only the proxy resolves the target's name, as is always so here.
    pub skip_resolve_phase_with_proxy: Option<bool>,
}

/// The values of a header, as written.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HeaderValuesOptions {
    /// Values.
    pub values: Vec<String>,
    /// Values that are secret.
    pub secrets: Vec<String>,
    /// Files with a value each. Not supported yet.
    pub files: Vec<PathBuf>,
}

/// Shows nothing of its content, which may be secret.
impl std::fmt::Debug for HttpOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpOptions").finish_non_exhaustive()
    }
}
