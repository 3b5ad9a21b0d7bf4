//! TLS options of network checks, with blackbox_exporter's names.

use std::path::PathBuf;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use schemars::JsonSchema;
use serde::Deserialize;

use super::place::{Invalid, Place};
use super::regular_file::{self, FileError};
use super::secret::{Secret, SecretSource};

/// The longest PEM file read, in bytes: a bundle of all public authorities has about 230 kB.
const MAX_PEM_BYTES: u64 = 4 * 1024 * 1024;

/// How TLS is done, as written.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TlsOptions {
    /// Certificates (PEM) of the authorities to trust instead of the system's.
    pub ca: Option<String>,
    /// A file with such certificates; read again when it changes.
    pub ca_file: Option<PathBuf>,
    /// The client's certificate with its chain (PEM).
    pub cert: Option<String>,
    /// A file with the client's certificate; read again when it changes.
    pub cert_file: Option<PathBuf>,
    /// The client certificate's private key (PEM).
    pub key: Option<String>,
    /// A file with the private key; read again when it changes.
    pub key_file: Option<PathBuf>,
    /// The name to ask for (SNI) and to verify, where it is not the target's.
    pub server_name: Option<String>,
    /// Accept any certificate.
    pub insecure_skip_verify: bool,
    /// The oldest version of TLS to accept: TLS12 or TLS13.
    pub min_version: Option<String>,
    /// The newest version of TLS to offer: TLS12 or TLS13.
    pub max_version: Option<String>,
}

/// Shows nothing of its content, which may be secret.
impl std::fmt::Debug for TlsOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsOptions").finish_non_exhaustive()
    }
}

/// Where PEM text comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PemSource {
    /// Written in the configuration.
    Inline(String),
    /// The content of a file.
    File(PathBuf),
}

/// A certificate that the check shows to the server, with its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate and its chain.
    pub chain: PemSource,
    /// The private key.
    pub key: SecretSource,
}

/// How TLS is done, resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// The authorities to trust; the system's where absent.
    pub ca: Option<PemSource>,
    /// The certificate to show, if asked for one.
    pub client: Option<ClientCertificate>,
    /// The name to ask for and to verify instead of the target's.
    pub server_name: Option<ServerName<'static>>,
    /// Accept any certificate.
    pub insecure_skip_verify: bool,
    /// Verify who issued a certificate, but not for which name.
    pub chain_only: bool,
    /// The versions to offer.
    pub versions: TlsVersions,
}

/// Versions of TLS; 1.2 and 1.3 are supported.
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

/// Why a certificate or a key can't be used.
#[derive(Debug, thiserror::Error)]
pub enum PemError {
    /// The file could not be read.
    #[error("reading {}: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: FileError,
    },
    /// The text has no usable PEM section.
    #[error("{0} holds no certificate: a PEM section \"BEGIN CERTIFICATE\" is needed")]
    NoCertificate(String),
    /// The text has no private key.
    #[error("the private key is not in PEM format (PKCS#8, PKCS#1 or SEC1, without a passphrase)")]
    NoKey,
    /// The key could not be read.
    #[error("{0}")]
    Secret(#[from] super::secret::SecretError),
}

impl PemSource {
    /// The file, where it is one.
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

    /// Reads the certificates as they are now; at least one.
    ///
    /// # Errors
    /// When the file can't be read or holds no certificate.
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

/// Reads a private key as it is now.
///
/// # Errors
/// When the file can't be read or holds no key.
pub fn private_key(source: &SecretSource) -> Result<PrivateKeyDer<'static>, PemError> {
    PrivateKeyDer::from_pem_slice(source.read_unsent()?.unhidden().as_bytes()).map_err(|_| PemError::NoKey)
}

impl TlsOptions {
    /// Resolves the options; files are read to see that they can be.
    ///
    /// # Errors
    /// Reported at their keys.
    pub fn resolve(self, place: &Place<'_>) -> Result<TlsSettings, Invalid> {
        let ca = match one_of(place, "ca", self.ca, self.ca_file) {
            Ok(Some((key, source))) => match source.certificates() {
                Ok(_) => Ok(Some(source)),
                Err(error) => Err(place.field(&key).error(error)),
            },
            Ok(None) => Ok(None),
            Err(invalid) => Err(invalid),
        };
        let client = client(place, (self.cert, self.cert_file), (self.key, self.key_file));
        let server_name = match self.server_name.filter(|name| !name.is_empty()) {
            None => Ok(None),
            Some(name) => ServerName::try_from(name.clone()).map(Some).map_err(|_| {
                let place = place.field("server_name");
                place.error(format_args!("\"{name}\" is no DNS name and no IP address"))
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

/// Empty ones are not set, as in blackbox_exporter.
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
    let chain_read = chain
        .certificates()
        .map_err(|error| place.field(&chain_key).error(error));
    let key_read = private_key(&key).map_err(|error| place.field(key_key).error(error));
    chain_read?;
    key_read?;
    Ok(Some(ClientCertificate { chain, key }))
}

fn versions(place: &Place<'_>, min: Option<&str>, max: Option<&str>) -> Result<TlsVersions, Invalid> {
    let number = |key: &str, text: Option<&str>, default: u8| {
        match text.unwrap_or_default() {
        "" => Ok(default),
        "TLS12" => Ok(2),
        "TLS13" => Ok(3),
        old @ ("TLS10" | "TLS11") if key == "min_version" => Err(place.field(key).error(format_args!(
            "{old} is not supported: leave it out, or write TLS12, the oldest version there is; a target that speaks older \
             ones only fails"
        ))),
        other => Err(place
            .field(key)
            .error(format_args!("\"{other}\" is not supported: write TLS12 or TLS13"))),
    }
    };
    let (min, max) = (number("min_version", min, 2), number("max_version", max, 3));
    match (min?, max?) {
        (2, 2) => Ok(TlsVersions::Only12),
        (3, 3) => Ok(TlsVersions::Only13),
        (3, 2) => Err(place
            .field("min_version")
            .error("min_version is above max_version")),
        _ => Ok(TlsVersions::Both),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn resolve(json: serde_json::Value) -> Result<TlsSettings, Vec<String>> {
        let findings = RefCell::default();
        let options: TlsOptions = serde_json::from_value(json).unwrap();
        options
            .resolve(&Place::root(&findings).field("tls_config"))
            .map_err(|Invalid| {
                let findings = findings.take();
                findings
                    .iter()
                    .map(|f| format!("{}: {}", f.path, f.message))
                    .collect()
            })
    }

    #[test]
    fn nothing_written_is_the_default() {
        assert_eq!(resolve(serde_json::json!({})), Ok(TlsSettings::default()));
    }

    #[test]
    fn every_fault_is_told_at_its_key() {
        for (json, message) in [
            (
                serde_json::json!({"ca": "x"}),
                "tls_config.ca: the text holds no certificate: a PEM section \"BEGIN CERTIFICATE\" is needed",
            ),
            (
                serde_json::json!({"ca_file": "/nonexistent/ca.pem"}),
                "tls_config.ca_file: reading /nonexistent/ca.pem: No such file or directory (os error 2)",
            ),
            (
                serde_json::json!({"ca_file": "/dev/zero"}),
                "tls_config.ca_file: reading /dev/zero: it is not a regular file",
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
                "tls_config.server_name: \"a b\" is no DNS name and no IP address",
            ),
            (
                serde_json::json!({"max_version": "TLS11"}),
                "tls_config.max_version: \"TLS11\" is not supported: write TLS12 or TLS13",
            ),
            (
                serde_json::json!({"min_version": "TLS13", "max_version": "TLS12"}),
                "tls_config.min_version: min_version is above max_version",
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
