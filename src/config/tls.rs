//! The TLS options of network checks, with blackbox_exporter's names.

use std::path::PathBuf;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use schemars::JsonSchema;
use serde::Deserialize;

use super::place::{Invalid, Place};
use super::regular_file::{self, FileError, ReadError};
use super::secret::{Secret, SecretSource};

/// The longest PEM file, in bytes. A bundle of all public authorities has about 230 kB.
const MAX_PEM_BYTES: u64 = 4 * 1024 * 1024;

/// TLS options.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TlsOptions {
    /// Trusted certificate authorities (PEM). Default: those of the system.
    pub ca: Option<String>,
    /// File with the trusted certificate authorities. Reloaded when it changes.
    pub ca_file: Option<PathBuf>,
    /// Client certificate with its chain (PEM).
    pub cert: Option<String>,
    /// File with the client certificate. Reloaded when it changes.
    pub cert_file: Option<PathBuf>,
    /// Private key of the client certificate (PEM).
    pub key: Option<String>,
    /// File with the private key. Reloaded when it changes.
    pub key_file: Option<PathBuf>,
    /// Server name to send (SNI) and to verify. Default: the host of the target.
    pub server_name: Option<String>,
    /// Accept any certificate.
    pub insecure_skip_verify: bool,
    /// Lowest TLS version: TLS12 or TLS13. TLS10 and TLS11 are treated as TLS12.
    #[schemars(regex(pattern = "^(TLS1[0-3])?$"))]
    pub min_version: Option<String>,
    /// Highest TLS version: TLS12 or TLS13.
    #[schemars(regex(pattern = "^(TLS1[23])?$"))]
    pub max_version: Option<String>,
}

/// Shows no content, which may be secret.
impl std::fmt::Debug for TlsOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsOptions").finish_non_exhaustive()
    }
}

/// The source of a PEM text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PemSource {
    /// Written in the configuration.
    Inline(String),
    /// The content of a file.
    File(PathBuf),
}

/// A client certificate with its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate and its chain.
    pub chain: PemSource,
    /// The private key.
    pub key: SecretSource,
}

/// Resolved TLS options.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// The trusted authorities; `None` for those of the system.
    pub ca: Option<PemSource>,
    /// The client certificate.
    pub client: Option<ClientCertificate>,
    /// The server name to send and to verify; `None` for the host of the target.
    pub server_name: Option<ServerName<'static>>,
    /// Whether any certificate is accepted.
    pub insecure_skip_verify: bool,
    /// Whether the certificate chain is verified, but not the server name.
    pub chain_only: bool,
    /// The TLS versions.
    pub versions: TlsVersions,
}

/// The TLS versions to use. Only 1.2 and 1.3 are supported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVersions {
    /// 1.2 and 1.3.
    #[default]
    Both,
    /// 1.2 only.
    Only12,
    /// 1.3 only.
    Only13,
}

/// A certificate or a key can't be used.
#[derive(Debug, thiserror::Error)]
pub enum PemError {
    /// The file could not be read.
    #[error("reading {}: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The reason.
        #[source]
        cause: FileError,
    },
    /// The text has no valid PEM section.
    #[error("{0} contains no certificate: a PEM section \"BEGIN CERTIFICATE\" is needed")]
    NoCertificate(String),
    /// The text has no private key.
    #[error("the private key is not in PEM format: write PKCS#8, PKCS#1 or SEC1 without a passphrase")]
    NoKey,
    /// The key can't be read.
    #[error("{0}")]
    Secret(#[from] super::secret::SecretError),
}

impl ReadError for PemError {
    fn is_unreadable(&self) -> bool {
        match self {
            Self::File { cause, .. } => cause.is_unreadable(),
            Self::Secret(error) => error.is_unreadable(),
            Self::NoCertificate(_) | Self::NoKey => false,
        }
    }
}

impl PemSource {
    /// The path, if the source is a file.
    pub fn path(&self) -> Option<&PathBuf> {
        match self {
            Self::File(path) => Some(path),
            Self::Inline(_) => None,
        }
    }

    fn text(&self) -> Result<Vec<u8>, PemError> {
        match self {
            Self::Inline(text) => Ok(text.clone().into_bytes()),
            Self::File(path) => regular_file::read(path, MAX_PEM_BYTES).map_err(|cause| PemError::File {
                path: path.clone(),
                cause,
            }),
        }
    }

    /// Reads the current certificates, at least one.
    ///
    /// # Errors
    /// When the file can't be read or contains no certificate.
    pub fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, PemError> {
        let text = self.text()?;
        match CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>() {
            Ok(certificates) if !certificates.is_empty() => Ok(certificates),
            _ => Err(PemError::NoCertificate(match self {
                Self::Inline(_) => "the text".to_owned(),
                Self::File(path) => path.display().to_string(),
            })),
        }
    }
}

/// Reads the current private key.
///
/// # Errors
/// When the file can't be read or contains no key.
pub fn private_key(source: &SecretSource) -> Result<PrivateKeyDer<'static>, PemError> {
    PrivateKeyDer::from_pem_slice(source.read_unsent()?.unhidden().as_bytes()).map_err(|_| PemError::NoKey)
}

impl TlsOptions {
    /// Resolves the options. It reads the files to validate them. A file that can't be read now is a warning.
    ///
    /// # Errors
    /// Reported at their keys.
    pub fn resolve(self, place: &Place<'_>) -> Result<TlsSettings, Invalid> {
        let ca = match one_of(place, "ca", self.ca, self.ca_file) {
            Ok(Some((key, source))) => place
                .field(&key)
                .validate_reading(source.certificates())
                .map(|()| Some(source)),
            Ok(None) => Ok(None),
            Err(invalid) => Err(invalid),
        };
        let client = client(place, (self.cert, self.cert_file), (self.key, self.key_file));
        let server_name = match self.server_name.filter(|name| !name.is_empty()) {
            None => Ok(None),
            Some(name) => ServerName::try_from(name.clone()).map(Some).map_err(|_| {
                let place = place.field("server_name");
                place.error(format_args!("\"{name}\" is neither a DNS name nor an IP address"))
            }),
        };
        let versions = versions(place, self.min_version.as_deref(), self.max_version.as_deref());
        Ok(TlsSettings {
            ca: ca?,
            client: client?,
            server_name: server_name?,
            insecure_skip_verify: self.insecure_skip_verify,
            chain_only: false,
            versions: versions?,
        })
    }
}

type Keyed = Option<(String, PemSource)>;

/// Resolves two keys of which at most one may be given. Empty values count as not given, as in blackbox_exporter.
fn one_of(
    place: &Place<'_>,
    name: &str,
    inline: Option<String>,
    file: Option<PathBuf>,
) -> Result<Keyed, Invalid> {
    match (set(inline), set_path(file)) {
        (None, None) => Ok(None),
        (Some(text), None) => Ok(Some((name.to_owned(), PemSource::Inline(text)))),
        (None, Some(path)) => Ok(Some((format!("{name}_file"), PemSource::File(path)))),
        (Some(_), Some(_)) => Err(place.error(format_args!("give one of {name} and {name}_file, not both"))),
    }
}

fn set(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

fn set_path(path: Option<PathBuf>) -> Option<PathBuf> {
    path.filter(|path| !path.as_os_str().is_empty())
}

fn client(
    place: &Place<'_>,
    (cert, cert_file): (Option<String>, Option<PathBuf>),
    (key, key_file): (Option<String>, Option<PathBuf>),
) -> Result<Option<ClientCertificate>, Invalid> {
    let chain = one_of(place, "cert", cert, cert_file)?;
    let key = match (set(key), set_path(key_file)) {
        (None, None) => None,
        (Some(text), None) => Some(("key", SecretSource::Inline(Secret::new(text)))),
        (None, Some(path)) => Some(("key_file", SecretSource::File(path))),
        (Some(_), Some(_)) => return Err(place.error("give one of key and key_file, not both")),
    };
    let ((chain_key, chain), (key_key, key)) = match (chain, key) {
        (None, None) => return Ok(None),
        (Some(chain), Some(key)) => (chain, key),
        (Some(_), None) => return Err(place.error("a client certificate needs its key: add key_file")),
        (None, Some(_)) => return Err(place.error("a client key needs its certificate: add cert_file")),
    };
    let chain_read = place.field(&chain_key).validate_reading(chain.certificates());
    let key_read = place.field(key_key).validate_reading(private_key(&key));
    chain_read?;
    key_read?;
    Ok(Some(ClientCertificate { chain, key }))
}

fn versions(place: &Place<'_>, min: Option<&str>, max: Option<&str>) -> Result<TlsVersions, Invalid> {
    let number = |key: &str, text: Option<&str>, default: u8| match text.unwrap_or_default() {
        "" => Ok(default),
        "TLS12" => Ok(2),
        "TLS13" => Ok(3),
        // It only permits old versions, so targets with newer ones work.
        old @ ("TLS10" | "TLS11") if key == "min_version" => {
            place.field(key).warn(format_args!(
                "treated as TLS12: {old} is not supported, so targets without TLS 1.2 or 1.3 fail"
            ));
            Ok(2)
        }
        other => Err(place
            .field(key)
            .error(format_args!("\"{other}\" is not supported: write TLS12 or TLS13"))),
    };
    let (min, max) = (number("min_version", min, 2), number("max_version", max, 3));
    match (min?, max?) {
        (2, 2) => Ok(TlsVersions::Only12),
        (3, 3) => Ok(TlsVersions::Only13),
        (3, 2) => Err(place
            .field("min_version")
            .error("min_version is higher than max_version: lower it")),
        _ => Ok(TlsVersions::Both),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests_support::resolve_json;

    fn resolve(json: serde_json::Value) -> Result<TlsSettings, Vec<String>> {
        resolve_json(json, |options: TlsOptions, root| {
            options.resolve(&root.field("tls_config"))
        })
    }

    #[test]
    fn no_options_resolve_to_the_defaults() {
        assert_eq!(resolve(serde_json::json!({})), Ok(TlsSettings::default()));
    }

    #[test]
    fn every_error_is_reported_at_its_key() {
        for (json, message) in [
            (
                serde_json::json!({"ca": "x"}),
                "tls_config.ca: the text contains no certificate: a PEM section \"BEGIN CERTIFICATE\" is needed",
            ),
            (
                serde_json::json!({"ca_file": "/dev/zero"}),
                "tls_config.ca_file: reading /dev/zero: not a regular file",
            ),
            (
                serde_json::json!({"ca": "x", "ca_file": "y"}),
                "tls_config: give one of ca and ca_file, not both",
            ),
            (
                serde_json::json!({"cert": "x"}),
                "tls_config: a client certificate needs its key: add key_file",
            ),
            (
                serde_json::json!({"key": "x"}),
                "tls_config: a client key needs its certificate: add cert_file",
            ),
            (
                serde_json::json!({"server_name": "a b"}),
                "tls_config.server_name: \"a b\" is neither a DNS name nor an IP address",
            ),
            (
                serde_json::json!({"max_version": "TLS11"}),
                "tls_config.max_version: \"TLS11\" is not supported: write TLS12 or TLS13",
            ),
            (
                serde_json::json!({"min_version": "TLS13", "max_version": "TLS12"}),
                "tls_config.min_version: min_version is higher than max_version: lower it",
            ),
        ] {
            assert_eq!(resolve(json), Err(vec![message.to_owned()]));
        }
        let all = serde_json::json!({"ca": "x", "cert": "x", "min_version": "TLS13", "max_version": "TLS12"});
        assert_eq!(resolve(all).unwrap_err().len(), 3);
        let both = resolve(serde_json::json!({"cert": "x", "key": "y", "server_name": "a b"})).unwrap_err();
        assert_eq!(both.len(), 3, "{both:?}");
    }
}
