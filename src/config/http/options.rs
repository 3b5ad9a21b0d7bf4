//! The options of an http check.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    AuthorizationOptions, BasicAuthOptions, ExtractOptions, HeaderAssertionOptions, OAuth2Options, StatusList,
};
use crate::config::address::IpProtocol;
use crate::config::size::SizeText;
use crate::config::tls::TlsOptions;

/// The options of an http check.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HttpOptions {
    /// URL to request. User info in it is used for basic authentication.
    pub url: Option<String>,
    /// Request method. Default: GET.
    pub method: Option<String>,
    /// Request headers.
    pub headers: BTreeMap<String, String>,
    /// Request headers, each with values or secret values.
    pub http_headers: BTreeMap<String, HeaderValuesOptions>,
    /// Request body.
    pub body: Option<String>,
    /// File with the request body, read at every run.
    pub body_file: Option<PathBuf>,
    /// Accepted status codes and ranges of them: 200, 200-299, 2xx. Default: every 2xx.
    pub valid_status_codes: StatusList,
    /// Accepted HTTP versions: HTTP/1.0, HTTP/1.1, HTTP/2.0. Default: any.
    #[schemars(inner(regex(pattern = r"^HTTP/(1\.0|1\.1|2|2\.0|3|3\.0)$")))]
    pub valid_http_versions: Vec<String>,
    /// Fail if the connection uses TLS.
    pub fail_if_ssl: bool,
    /// Fail if the connection does not use TLS.
    pub fail_if_not_ssl: bool,
    /// Whether to follow redirects. Default: true.
    pub follow_redirects: Option<bool>,
    /// Deprecated: the opposite of follow_redirects.
    pub no_follow_redirects: Option<bool>,
    /// Maximum number of redirects. With more, the run fails. Default: 10.
    #[schemars(range(max = 100))]
    pub max_redirects: Option<u32>,
    /// Fail if any of these regular expressions matches the body.
    pub fail_if_body_matches_regexp: Vec<String>,
    /// Fail if any of these regular expressions does not match the body.
    pub fail_if_body_not_matches_regexp: Vec<String>,
    /// Fail if any of these headers matches. A repeated header matches if any of its values does.
    pub fail_if_header_matches: Vec<HeaderAssertionOptions>,
    /// Fail if any of these headers does not match. A repeated header matches if any of its values does.
    pub fail_if_header_not_matches: Vec<HeaderAssertionOptions>,
    /// Fail if this CEL expression about the JSON document `body` is true.
    pub fail_if_body_json_matches_cel: Option<String>,
    /// Fail if this CEL expression about the JSON document `body` is not true.
    pub fail_if_body_json_not_matches_cel: Option<String>,
    /// Numbers to extract from a JSON body as upkeep_http_extracted, at most 32. A missing number is a warning of the run.
    pub extract: Vec<ExtractOptions>,
    /// JSON path of the service's version in a JSON body, for upkeep_service_version_info.
    pub extract_version: Option<String>,
    /// Compression to request: gzip, br, deflate or identity. The run fails if the response has another one.
    #[schemars(regex(
        pattern = "^([gG][zZ][iI][pP]|[bB][rR]|[dD][eE][fF][lL][aA][tT][eE]|[iI][dD][eE][nN][tT][iI][tT][yY])?$"
    ))]
    pub compression: Option<String>,
    /// TLS options.
    pub tls_config: Option<TlsOptions>,
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
    /// Token of an authorization server, which is requested with the client's credentials.
    pub oauth2: Option<OAuth2Options>,
    /// IP protocol to try first: ip4 or ip6. Default: ip6.
    pub preferred_ip_protocol: Option<IpProtocol>,
    /// Whether to try the other IP protocol as well. Default: true.
    pub ip_protocol_fallback: Option<bool>,
    /// Maximum size of the uncompressed body; 0 for no limit. With a larger body, the run fails. Default: 10MB.
    pub body_size_limit: Option<SizeText>,
    /// Whether to offer HTTP/2 over TLS. Default: true.
    pub enable_http2: Option<bool>,
    /// Not supported: with true, every run fails. Default: false.
    pub enable_http3: bool,
    /// Proxy: http://host:port, or with the scheme https, socks5 or socks5h.
    pub proxy_url: Option<String>,
    /// Use the proxies of the environment variables HTTP_PROXY, HTTPS_PROXY and NO_PROXY.
    pub proxy_from_environment: bool,
    /// Targets that do not use proxy_url: names, addresses and networks, separated by commas.
    pub no_proxy: Option<String>,
    /// Headers of CONNECT requests to the proxy. SOCKS proxies have none.
    pub proxy_connect_header: BTreeMap<String, Vec<String>>,
    /// Ignored. With a proxy, only the proxy resolves the name of the target.
    pub skip_resolve_phase_with_proxy: Option<bool>,
}

/// The values of a header.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HeaderValuesOptions {
    /// Values.
    pub values: Vec<String>,
    /// Secret values.
    pub secrets: Vec<String>,
    /// Files with secret values, read at every run.
    pub files: Vec<PathBuf>,
}

/// Shows no content, which may be secret.
impl std::fmt::Debug for HttpOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpOptions").finish_non_exhaustive()
    }
}
