//! The key `oauth2`: a token that an authorization server grants for the client's credentials (RFC 6749, section 4.4). The options
//! have the names and meanings of blackbox_exporter's.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::proxy::{self, ProxyOptions, ProxySettings};
use super::target::TargetUrl;
use crate::config::place::{Invalid, Place};
use crate::config::secret::{Secret, SecretSource};
use crate::config::tls::{TlsOptions, TlsSettings};

/// The parameters of a token request that have keys of their own.
const OWN_PARAMETERS: [(&str, &str); 3] = [
    ("client_id", "client_id"),
    ("client_secret", "client_secret"),
    ("scope", "scopes"),
];

/// Where and how a token is requested.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OAuth2Options {
    /// Name of the client.
    #[schemars(length(min = 1))]
    pub client_id: Option<String>,
    /// Secret of the client.
    pub client_secret: Option<String>,
    /// File with the secret, read at every run.
    pub client_secret_file: Option<PathBuf>,
    /// Environment variable with the secret.
    pub client_secret_env: Option<String>,
    /// Scopes to request.
    pub scopes: Vec<String>,
    /// URL of the token endpoint.
    #[schemars(length(min = 1))]
    pub token_url: Option<String>,
    /// More parameters of the token request. Their values may be secrets.
    pub endpoint_params: BTreeMap<String, String>,
    /// Only client_credentials is supported. Default: client_credentials.
    #[schemars(regex(pattern = "^(client_credentials)?$"))]
    pub grant_type: Option<String>,
    /// TLS options for the token endpoint.
    pub tls_config: Option<TlsOptions>,
    /// Proxy for the token endpoint.
    pub proxy_url: Option<String>,
    /// Use the proxies of the environment variables HTTP_PROXY, HTTPS_PROXY and NO_PROXY.
    pub proxy_from_environment: bool,
    /// Token endpoints that do not use proxy_url: names, addresses and networks, separated by commas.
    pub no_proxy: Option<String>,
    /// Headers of CONNECT requests to the proxy.
    pub proxy_connect_header: BTreeMap<String, Vec<String>>,
}

/// Shows no content, which may be secret.
impl std::fmt::Debug for OAuth2Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OAuth2Options").finish_non_exhaustive()
    }
}

/// Where and how a token is requested. Checks with equal settings share a token.
#[derive(Clone, Debug, PartialEq)]
pub struct OAuth2Settings {
    /// The name of the client.
    pub client_id: String,
    /// The secret of the client; `None` for an empty one.
    pub client_secret: Option<SecretSource>,
    /// The token endpoint.
    pub token_url: TargetUrl,
    /// The parameters of the request besides the client's credentials.
    pub parameters: BTreeMap<String, Secret>,
    /// The TLS settings for the token endpoint.
    pub tls: TlsSettings,
    /// The proxies for the token endpoint.
    pub proxy: Option<ProxySettings>,
}

impl OAuth2Options {
    pub(super) fn resolve(self, place: &Place<'_>) -> Result<OAuth2Settings, Invalid> {
        let client_id = self.client_id.filter(|id| !id.is_empty()).ok_or_else(|| {
            place.error("client_id is missing: write the name of the client, and its client_secret_file")
        });
        let secret = SecretSource::from_keys(
            place,
            "client_secret",
            self.client_secret,
            self.client_secret_file,
            self.client_secret_env,
        );
        let token_url = token_url(self.token_url.as_deref(), place);
        let parameters = parameters(
            self.endpoint_params,
            &self.scopes,
            self.grant_type.as_deref(),
            place,
        );
        let tls = self.tls_config.unwrap_or_default();
        let tls = tls.resolve(&place.field("tls_config"));
        let proxies = ProxyOptions {
            url: self.proxy_url.as_deref(),
            from_environment: self.proxy_from_environment,
            no_proxy: self.no_proxy.as_deref(),
        };
        let proxy = proxy::with_connect_headers(proxies, &self.proxy_connect_header, place);
        Ok(OAuth2Settings {
            client_id: client_id?,
            client_secret: secret?,
            token_url: token_url?,
            parameters: parameters?,
            tls: tls?,
            proxy: proxy?,
        })
    }
}

fn token_url(text: Option<&str>, place: &Place<'_>) -> Result<TargetUrl, Invalid> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Err(place.error(
            "token_url is missing: write the URL of the token endpoint, such as token_url: https://login.example.org/token",
        ));
    };
    let place = place.field("token_url");
    match TargetUrl::parse(text) {
        Ok((url, None)) => Ok(url),
        Ok((_, Some(_))) => Err(place.error("contains user info: write client_id and client_secret instead")),
        Err(error) => Err(place.error(error)),
    }
}

fn parameters(
    written: BTreeMap<String, String>,
    scopes: &[String],
    grant_type: Option<&str>,
    place: &Place<'_>,
) -> Result<BTreeMap<String, Secret>, Invalid> {
    let params = place.field("endpoint_params");
    for (name, key) in OWN_PARAMETERS {
        if written.contains_key(name) && (name != "scope" || !scopes.is_empty()) {
            return Err(params
                .field(name)
                .error(format_args!("set by the key {key}: remove it here")));
        }
    }
    if let Some(other) = grant_type.filter(|name| !matches!(*name, "" | "client_credentials")) {
        return Err(place.field("grant_type").error(format_args!(
            "\"{other}\" is not supported: write client_credentials, or remove this key"
        )));
    }
    let scope = Some(scopes.join(" ")).filter(|scope| !scope.is_empty());
    let defaults = [
        ("grant_type", Some("client_credentials".to_owned())),
        ("scope", scope),
    ];
    let defaults = defaults
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    // Some servers need another grant_type, so a parameter replaces it.
    let all = defaults.chain(written);
    Ok(all.map(|(name, value)| (name, Secret::new(value))).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::config::tests_support::resolve_json;

    fn resolve(json: Value) -> Result<OAuth2Settings, Vec<String>> {
        resolve_json(json, |options: OAuth2Options, root| {
            options.resolve(&root.field("oauth2"))
        })
    }

    #[test]
    fn the_parameters_are_those_of_the_client_credentials_grant() {
        let settings = resolve(json!({
            "client_id": "me", "client_secret": "hunter2", "token_url": "http://login.test/token", "scopes": ["a", "b"],
            "endpoint_params": {"audience": "x"}
        }));
        let settings = settings.unwrap();
        let shown = |settings: &OAuth2Settings| -> Vec<String> {
            let all = settings.parameters.iter();
            all.map(|(name, value)| format!("{name}={}", value.unhidden()))
                .collect()
        };
        assert_eq!(
            shown(&settings),
            ["audience=x", "grant_type=client_credentials", "scope=a b"]
        );
        assert!(!format!("{settings:?}").contains("hunter2"));
        let other = resolve(json!({
            "client_id": "me", "token_url": "http://login.test/token", "grant_type": "client_credentials",
            "endpoint_params": {"grant_type": "own", "scope": "s"}
        }));
        let other = other.unwrap();
        assert_eq!(shown(&other), ["grant_type=own", "scope=s"]);
        assert_eq!(other.client_secret, None);
    }

    #[test]
    fn every_error_is_reported_at_its_key() {
        let with = |key: &str, value: Value| {
            let mut json = json!({"client_id": "me", "token_url": "http://login.test/token"});
            json[key] = value;
            resolve(json).map(|_| ())
        };
        for (key, value, message) in [
            (
                "client_id",
                json!(""),
                "oauth2: client_id is missing: write the name of the client, and its client_secret_file",
            ),
            (
                "token_url",
                json!(null),
                "oauth2: token_url is missing: write the URL of the token endpoint, such as token_url: https://login.example.org/token",
            ),
            (
                "token_url",
                json!("ftp://x"),
                "oauth2.token_url: the scheme \"ftp\" is not supported: write http:// or https://",
            ),
            (
                "token_url",
                json!("http://me:x@h"),
                "oauth2.token_url: contains user info: write client_id and client_secret instead",
            ),
            (
                "grant_type",
                json!("urn:ietf:params:oauth:grant-type:jwt-bearer"),
                "oauth2.grant_type: \"urn:ietf:params:oauth:grant-type:jwt-bearer\" is not supported: write client_credentials, or remove this key",
            ),
            (
                "endpoint_params",
                json!({"client_secret": "x"}),
                "oauth2.endpoint_params.client_secret: set by the key client_secret: remove it here",
            ),
            (
                "no_proxy",
                json!("x"),
                "oauth2.no_proxy: no_proxy needs a proxy: add proxy_url",
            ),
        ] {
            assert_eq!(with(key, value), Err(vec![message.to_owned()]), "{key}");
        }
    }
}
