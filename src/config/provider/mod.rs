//! The configuration of provider checks: the provider, its URL, the API key, and the models to expect.

mod api;
mod base_url;
mod key;
mod models;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

pub use self::api::ProviderApi;
pub use self::base_url::BaseUrl;
use self::key::KeyOptions;
pub use self::models::MAX_EXPECTED;
use super::address::{AddressPreference, HostPort, IpProtocol};
use super::http::{ProxyOptions, ProxyProtocol, ProxyServer, ProxySettings};
use super::place::{Invalid, Place};
use super::secret::SecretSource;
use super::tls::{TlsOptions, TlsSettings};
use super::{KindFacts, OwnTimings};

/// The maximum number of models with a date that have a series. Providers announce the end of some dozens at a time.
pub const MAX_DATED: usize = 100;

/// The longest name of an organization or a project, in bytes.
const MAX_HEADER_BYTES: usize = 256;

/// The options of a provider check.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProviderOptions {
    /// Provider: openai, anthropic, gemini, mistral, cohere, huggingface, openrouter, ollama, vllm, or compatible for another
    /// server with OpenAI's API.
    pub provider: Option<ProviderApi>,
    /// URL of the API, as the provider's SDK takes it. Default: that of the provider.
    #[schemars(regex(pattern = r"^\s*[A-Za-z][A-Za-z0-9+.-]*:"))]
    pub base_url: Option<String>,
    /// API key.
    pub api_key: Option<String>,
    /// File with the API key, read at every run.
    pub api_key_file: Option<PathBuf>,
    /// Environment variable with the API key, read at every run.
    pub api_key_env: Option<String>,
    /// Name of the systemd credential (LoadCredential=) with the API key, read at every run.
    pub api_key_credential: Option<String>,
    /// Organization of the requests, for keys of several organizations (openai only).
    #[schemars(length(min = 1))]
    pub organization: Option<String>,
    /// Project of the requests (openai only).
    #[schemars(length(min = 1))]
    pub project: Option<String>,
    /// Ids of models that the provider must offer. If one is missing, the check warns.
    pub expected_models: Vec<String>,
    /// Days on which models end, by id: year-month-day. They override the dates of the provider.
    pub model_dates: BTreeMap<String, String>,
    /// Result of a run during an outage of the provider: warning or failure. Default: failure for ollama, vllm and
    /// compatible, otherwise warning.
    pub on_outage: Option<OnOutage>,
    /// TLS options.
    pub tls_config: Option<TlsOptions>,
    /// Proxy: http://host:port.
    pub proxy_url: Option<String>,
    /// Use the proxies of the environment variables HTTP_PROXY, HTTPS_PROXY and NO_PROXY.
    pub proxy_from_environment: bool,
    /// Targets that do not use proxy_url: names, addresses and networks, separated by commas.
    pub no_proxy: Option<String>,
    /// IP protocol to try first: ip4 or ip6. Default: ip6.
    pub preferred_ip_protocol: Option<IpProtocol>,
    /// Whether to try the other IP protocol as well. Default: true.
    pub ip_protocol_fallback: Option<bool>,
}

/// Shows no content, which may be secret.
impl std::fmt::Debug for ProviderOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProviderOptions").finish_non_exhaustive()
    }
}

/// The result of a run while the provider is unavailable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnOutage {
    /// The run has a warning.
    Warning,
    /// The run fails.
    Failure,
}

/// The settings of a provider check.
#[derive(Clone, Debug, PartialEq)]
pub struct ProviderSettings {
    /// The settings that decide what the provider responds.
    pub connection: ProviderConnection,
    /// The API key; `None` for a server that needs none.
    pub key: Option<SecretSource>,
    /// The ids of models that must be offered.
    pub expected_models: Vec<String>,
    /// When models end, as Unix times by id.
    pub model_dates: BTreeMap<String, i64>,
    /// The result of a run while the provider is unavailable.
    pub on_outage: OnOutage,
}

/// How requests are sent. Results of earlier runs are reused only for an equal connection.
#[derive(Clone, Debug, PartialEq)]
pub struct ProviderConnection {
    /// The provider.
    pub api: ProviderApi,
    /// Where requests go.
    pub base_url: BaseUrl,
    /// The `OpenAI-Organization` header.
    pub organization: Option<String>,
    /// The `OpenAI-Project` header.
    pub project: Option<String>,
    /// The TLS settings; `None` without TLS.
    pub tls: Option<TlsSettings>,
    /// The proxy; `None` for a direct connection.
    pub proxy: Option<ProxyServer>,
    /// The addresses of the host to try.
    pub preference: AddressPreference,
    /// The models that are requested one by one (Hugging Face only).
    pub requested_models: Vec<String>,
}

impl ProviderConnection {
    /// Whether requests go to a provider on the internet, at its own URL.
    pub fn is_hosted(&self) -> bool {
        self.base_url.is_default && !self.api.is_self_hosted()
    }
}

impl ProviderOptions {
    /// Resolves the options.
    ///
    /// # Errors
    /// Reported at their keys.
    pub fn resolve(self, place: &Place<'_>) -> Result<ProviderSettings, Invalid> {
        let Some(api) = self.provider else {
            let names = ProviderApi::ALL.map(ProviderApi::as_str).join(", ");
            return Err(place.error(format_args!("provider is missing: write one of {names}")));
        };
        let base_url = BaseUrl::resolve(self.base_url.as_deref(), api, place);
        let key = KeyOptions {
            inline: self.api_key,
            file: self.api_key_file,
            env: self.api_key_env,
            credential: self.api_key_credential,
        }
        .resolve(api, place);
        let organization = openai_header(self.organization, "organization", api, place);
        let project = openai_header(self.project, "project", api, place);
        let expected = models::expected(self.expected_models, api, &place.field("expected_models"));
        let dates = models::dates(self.model_dates, &place.field("model_dates"));
        let tls = tls(self.tls_config, base_url.as_ref().ok(), place);
        let proxies = ProxyOptions {
            url: self.proxy_url.as_deref(),
            from_environment: self.proxy_from_environment,
            no_proxy: self.no_proxy.as_deref(),
        }
        .resolve(place)
        .and_then(|proxies| without_tls(proxies, place));
        let (base_url, key, expected_models) = (base_url?, key?, expected?);
        if key.is_some() && !base_url.is_https() && !base_url.is_loopback() {
            let message = "the API key is sent without encryption: write https://";
            place.field("base_url").warn(message);
        }
        let address = HostPort {
            host: base_url.host().trim_matches(['[', ']']).to_owned(),
            port: base_url.port(),
        };
        let proxy = proxies?.and_then(|proxies| proxies.for_address(&address, base_url.is_https()).cloned());
        let default_on_outage = match api.is_self_hosted() {
            true => OnOutage::Failure,
            false => OnOutage::Warning,
        };
        Ok(ProviderSettings {
            connection: ProviderConnection {
                api,
                organization: organization?,
                project: project?,
                tls: tls?.filter(|_| base_url.is_https()),
                base_url,
                proxy,
                preference: AddressPreference::new(self.preferred_ip_protocol, self.ip_protocol_fallback),
                requested_models: match api {
                    ProviderApi::HuggingFace => expected_models.clone(),
                    _ => Vec::new(),
                },
            },
            key,
            expected_models,
            model_dates: dates?,
            on_outage: self.on_outage.unwrap_or(default_on_outage),
        })
    }
}

/// Rejects proxies that use TLS.
fn without_tls(proxies: Option<ProxySettings>, place: &Place<'_>) -> Result<Option<ProxySettings>, Invalid> {
    let is_tls = |server: &ProxyServer| server.protocol == ProxyProtocol::Https;
    match &proxies {
        Some(all) if all.servers().any(is_tls) => Err(place.field("proxy_url").error(
            "provider checks do not support proxies at https URLs: write http://, socks5:// or socks5h://",
        )),
        _ => Ok(proxies),
    }
}

/// Resolves the value of a header that only OpenAI has.
fn openai_header(
    value: Option<String>,
    key: &str,
    api: ProviderApi,
    place: &Place<'_>,
) -> Result<Option<String>, Invalid> {
    let place = place.field(key);
    match value {
        Some(_) if api != ProviderApi::OpenAi => Err(place.error(format_args!(
            "{key} is supported for provider: openai only: remove it"
        ))),
        Some(value)
            if value.is_empty()
                || value.len() > MAX_HEADER_BYTES
                || !value.bytes().all(|byte| byte.is_ascii_graphic()) =>
        {
            Err(place.error(format_args!(
                "not a valid id: write an id such as {}",
                example(key)
            )))
        }
        value => Ok(value),
    }
}

fn example(key: &str) -> &'static str {
    match key {
        "project" => "proj_abc123",
        _ => "org-abc123",
    }
}

fn tls(
    options: Option<TlsOptions>,
    base_url: Option<&BaseUrl>,
    place: &Place<'_>,
) -> Result<Option<TlsSettings>, Invalid> {
    let place = place.field("tls_config");
    if options.is_some() && base_url.is_some_and(|url| !url.is_https()) {
        return Err(place.error("tls_config needs TLS: write https:// in base_url"));
    }
    let settings = options.unwrap_or_default().resolve(&place)?;
    if settings.server_name.is_some() {
        return Err(place.field("server_name").error(
            "server_name is not supported by provider checks: write the name of the certificate in base_url",
        ));
    }
    Ok(Some(settings))
}

impl ProviderSettings {
    /// The URL of the API.
    pub fn target(&self) -> String {
        self.connection.base_url.to_string()
    }
}

impl KindFacts for ProviderSettings {
    const SEES_CERTIFICATES: bool = true;

    /// Providers count every request, and keys rarely become invalid. The recheck interval leaves a provider's outage time to end before
    /// three runs in a row have seen it.
    const OWN_TIMINGS: Option<OwnTimings> = Some(OwnTimings {
        interval: Duration::from_secs(3600),
        timeout: Duration::from_secs(30),
        recheck_interval: Duration::from_secs(300),
        failures_before_down: 3,
        inherits_thresholds: true,
    });

    fn values_at_once(&self, label: &str) -> Option<u64> {
        match label {
            "model" => Some(match self.expected_models.len() {
                0 => MAX_DATED as u64,
                expected => expected as u64,
            }),
            // The states of a key.
            "state" => Some(9),
            // added, removed
            "change" => Some(2),
            _ => None,
        }
    }

    fn is_target_shortened(&self) -> bool {
        self.key.is_some()
    }

    fn secret_hint(&self) -> Option<String> {
        let key = self.key.as_ref()?;
        Some(format!("API key {}", key::shown(key)))
    }
}
