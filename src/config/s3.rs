//! The configuration of s3 checks: an object store such as MinIO, the keys to sign requests with, and the buckets that must
//! exist.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use super::address::{AddressPreference, HostPort, IpProtocol};
use super::place::{Invalid, Place};
use super::secret::SecretSource;
use super::server_url::ServerUrl;
use super::tls::{TlsOptions, TlsSettings};

#[cfg(test)]
mod tests;

/// The maximum number of buckets of one check. Each one needs a request per run and has its own series.
pub const MAX_BUCKETS: usize = 100;
/// The default region, the same as MinIO's.
const DEFAULT_REGION: &str = "us-east-1";
/// The longest region, in bytes.
const MAX_REGION: usize = 64;
const SCHEMES: &[(&str, u16)] = &[("http", 80), ("https", 443)];
const EXAMPLE: &str = "http://minio.example.org:9000";

/// The options of an s3 check.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct S3Options {
    /// URL of the store: http or https without a path, such as `http://127.0.0.1:9000`.
    #[schemars(regex(pattern = r"^\s*[A-Za-z][A-Za-z0-9+.-]*:"))]
    pub endpoint: Option<String>,
    /// Region to sign requests for. Default: us-east-1.
    pub region: Option<String>,
    /// Access key.
    pub access_key: Option<String>,
    /// File with the access key.
    pub access_key_file: Option<PathBuf>,
    /// Environment variable with the access key.
    pub access_key_env: Option<String>,
    /// Secret key.
    pub secret_key: Option<String>,
    /// File with the secret key.
    pub secret_key_file: Option<PathBuf>,
    /// Environment variable with the secret key.
    pub secret_key_env: Option<String>,
    /// Session token of temporary keys.
    pub session_token: Option<String>,
    /// File with the session token.
    pub session_token_file: Option<PathBuf>,
    /// Environment variable with the session token.
    pub session_token_env: Option<String>,
    /// Buckets that must exist, at most 100. Without any, the check lists all buckets.
    pub buckets: Vec<String>,
    /// Whether requests have the bucket in the path (true) or in the host (false). Default: true.
    pub path_style: bool,
    /// Whether to request `MinIO`'s health endpoints.
    pub health: Health,
    /// Reuse the connection between runs. Default: true.
    pub reuse_connection: bool,
    /// TLS options.
    pub tls_config: Option<TlsOptions>,
    /// IP protocol to try first: ip4 or ip6. Default: ip6.
    pub preferred_ip_protocol: Option<IpProtocol>,
    /// Whether to try the other IP protocol as well. Default: true.
    pub ip_protocol_fallback: Option<bool>,
}

impl Default for S3Options {
    fn default() -> Self {
        Self {
            endpoint: None,
            region: None,
            access_key: None,
            access_key_file: None,
            access_key_env: None,
            secret_key: None,
            secret_key_file: None,
            secret_key_env: None,
            session_token: None,
            session_token_file: None,
            session_token_env: None,
            buckets: Vec::new(),
            path_style: true,
            health: Health::Auto,
            reuse_connection: true,
            tls_config: None,
            preferred_ip_protocol: None,
            ip_protocol_fallback: None,
        }
    }
}

/// Shows no content, which may be secret.
impl std::fmt::Debug for S3Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("S3Options").finish_non_exhaustive()
    }
}

/// Whether to request `MinIO`'s health endpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// If the `Server` header is `MinIO`'s.
    #[default]
    Auto,
    /// Always. Use this if a proxy hides the `Server` header.
    Minio,
    /// Never.
    None,
}

/// The settings of an s3 check.
#[derive(Clone, Debug, PartialEq)]
pub struct S3Settings {
    /// The URL of the store, without user info, path or query.
    pub endpoint: Url,
    /// The address to connect to.
    pub address: HostPort,
    /// The addresses of the host to try.
    pub preference: AddressPreference,
    /// The TLS settings; `None` without TLS.
    pub tls: Option<TlsSettings>,
    /// The region to sign requests for.
    pub region: String,
    /// The access key.
    pub access_key: SecretSource,
    /// The secret key.
    pub secret_key: SecretSource,
    /// The session token.
    pub session_token: Option<SecretSource>,
    /// The buckets that must exist.
    pub buckets: Vec<String>,
    /// Whether requests have the bucket in the path instead of in the host.
    pub path_style: bool,
    /// Whether to request `MinIO`'s health endpoints.
    pub health: Health,
    /// Whether the connection is reused between runs.
    pub reuse_connection: bool,
}

impl S3Options {
    /// Resolves the options.
    ///
    /// # Errors
    /// Reported at their keys.
    pub fn resolve(self, place: &Place<'_>) -> Result<S3Settings, Invalid> {
        let endpoint = endpoint(self.endpoint.as_deref(), place);
        let region = region(self.region, place);
        let access_key = SecretSource::from_keys(
            place,
            "access_key",
            self.access_key,
            self.access_key_file,
            self.access_key_env,
        );
        let secret_key = SecretSource::from_keys(
            place,
            "secret_key",
            self.secret_key,
            self.secret_key_file,
            self.secret_key_env,
        );
        let session_token = SecretSource::from_keys(
            place,
            "session_token",
            self.session_token,
            self.session_token_file,
            self.session_token_env,
        );
        let access_key = access_key.and_then(|source| require(source, "access_key", place));
        let secret_key = secret_key.and_then(|source| require(source, "secret_key", place));
        let buckets = buckets(self.buckets, place);
        let is_https = |url: &Url| url.scheme() == "https";
        let tls = match (self.tls_config, &endpoint) {
            (Some(_), Ok((url, _))) if !is_https(url) => Err(place
                .field("tls_config")
                .error("tls_config needs TLS: write https:// in endpoint")),
            (options, _) => options.unwrap_or_default().resolve(&place.field("tls_config")),
        };
        if let (false, Ok((url, _))) = (self.path_style, &endpoint)
            && !matches!(url.host(), Some(url::Host::Domain(_)))
        {
            return Err(place
                .field("path_style")
                .error("false needs a domain name in endpoint: remove path_style"));
        }
        let (endpoint, address) = endpoint?;
        Ok(S3Settings {
            tls: Some(tls?).filter(|_| is_https(&endpoint)),
            endpoint,
            address,
            preference: AddressPreference::new(self.preferred_ip_protocol, self.ip_protocol_fallback),
            region: region?,
            access_key: access_key?,
            secret_key: secret_key?,
            session_token: session_token?,
            buckets: buckets?,
            path_style: self.path_style,
            health: self.health,
            reuse_connection: self.reuse_connection,
        })
    }
}

fn require(source: Option<SecretSource>, name: &str, place: &Place<'_>) -> Result<SecretSource, Invalid> {
    source.ok_or_else(|| {
        place.error(format_args!(
            "{name} is missing: add {name}_file, {name}_env or {name}"
        ))
    })
}

fn endpoint(text: Option<&str>, place: &Place<'_>) -> Result<(Url, HostPort), Invalid> {
    let Some(text) = text else {
        return Err(place.error(format_args!(
            "endpoint is missing: write the URL of the store, such as endpoint: {EXAMPLE}"
        )));
    };
    let place = place.field("endpoint");
    let parsed = ServerUrl::parse(text, SCHEMES, EXAMPLE, &place)?;
    if parsed.user.is_some() || parsed.password.is_some() {
        return Err(place.error("the URL contains credentials: use access_key_file and secret_key_file"));
    }
    if parsed.path.is_some_and(|path| !path.is_empty()) || !parsed.query.is_empty() {
        return Err(place.error(format_args!(
            "the URL has a path or a query: write a URL such as {EXAMPLE}, and buckets in buckets"
        )));
    }
    let address = parsed.address;
    // Built from these parts only, so that nothing else of the written URL is signed or shown.
    match Url::parse(&format!("{}://{}", parsed.scheme, address.authority())) {
        Ok(url) => Ok((url, address)),
        Err(error) => Err(place.error(format_args!("not a URL ({error}): write a URL such as {EXAMPLE}"))),
    }
}

fn region(region: Option<String>, place: &Place<'_>) -> Result<String, Invalid> {
    let region = region.unwrap_or_else(|| DEFAULT_REGION.to_owned());
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if region.is_empty() || region.len() > MAX_REGION || !region.bytes().all(is_allowed) {
        return Err(place.field("region").error(format_args!(
            "not a region: write at most {MAX_REGION} letters, digits, - and _, such as {DEFAULT_REGION}"
        )));
    }
    Ok(region)
}

/// Validates names by the rules of S3's general purpose buckets.
fn buckets(buckets: Vec<String>, place: &Place<'_>) -> Result<Vec<String>, Invalid> {
    let place = place.field("buckets");
    if buckets.len() > MAX_BUCKETS {
        return Err(place.error(format_args!(
            "{} buckets, but a check can have at most {MAX_BUCKETS}: add another check for the rest",
            buckets.len()
        )));
    }
    let mut result = Ok(());
    for (index, name) in buckets.iter().enumerate() {
        let place = place.index(index);
        let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let has_ends =
            name.bytes().next().is_some_and(is_allowed) && name.bytes().last().is_some_and(is_allowed);
        let is_valid = (3..=63).contains(&name.len())
            && has_ends
            && name
                .bytes()
                .all(|byte| is_allowed(byte) || matches!(byte, b'-' | b'.'))
            && !name.contains("..");
        if !is_valid {
            result = Err(place.error(
                "not the name of a bucket: write 3 to 63 characters of a-z, 0-9, - and ., with a letter or digit at both ends",
            ));
        } else if buckets[..index].contains(name) {
            result = Err(place.error(format_args!("duplicate bucket {name}: remove it")));
        }
    }
    result.map(|()| buckets)
}

impl S3Settings {
    /// `scheme://host:port`.
    pub fn target(&self) -> String {
        format!("{}://{}", self.endpoint.scheme(), self.address)
    }
}

impl super::KindFacts for S3Settings {
    const SEES_CERTIFICATES: bool = true;

    const IS_STORE: bool = true;

    fn values_at_once(&self, label: &str) -> Option<u64> {
        match label {
            "bucket" => Some(self.buckets.len() as u64),
            _ => None,
        }
    }
}
