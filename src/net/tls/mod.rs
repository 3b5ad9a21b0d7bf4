//! TLS for checks: one client configuration a check, made anew when its files change, and a handshake that records the
//! certificates presented. Sessions are not resumed, so every run sees a whole handshake.

mod authorities;
mod certificate_recorder;
pub mod probe_samples;
mod secured;
mod verdict;
mod weakness;

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use self::authorities::Authorities;
pub use self::certificate_recorder::{CERTIFICATE_NOT_AFTER, CertificateRecorder};
pub use self::secured::Secured;
pub use self::verdict::fault_text;
use super::run_recorder::{Phase, RunRecorder, Step};
use super::{dial, shortage};
use crate::config::secret::SecretSource;
use crate::config::stamp::Stamp;
use crate::config::tls::{PemError, PemSource, TlsSettings, TlsVersions, private_key};
use crate::config::zone;
use crate::model::{Problem, Reason};

/// How certificates are verified.
#[derive(Debug, Clone)]
pub enum Trust {
    /// Against these authorities.
    Authorities(Arc<Authorities>),
    /// There are none to verify against: why.
    Nobody(String),
    /// Not at all.
    Everybody,
}

/// The authorities that the system trusts, read when they are first needed, and the cryptography in use.
#[derive(Debug)]
pub struct SystemTrust {
    provider: Arc<CryptoProvider>,
    authorities: Mutex<Option<Arc<Authorities>>>,
}

impl Default for SystemTrust {
    fn default() -> Self {
        Self {
            provider: Arc::new(rustls::crypto::aws_lc_rs::default_provider()),
            authorities: Mutex::default(),
        }
    }
}

impl SystemTrust {
    fn read(&self) -> Result<Trust, Problem> {
        let mut authorities = self.authorities.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(authorities) = &*authorities {
            return Ok(Trust::Authorities(authorities.clone()));
        }
        let loaded = rustls_native_certs::load_native_certs();
        // Some of them would be worse than none: they would be kept.
        let failed = loaded.errors.iter().find(|error| shortage::of(*error).is_some());
        if let Some(error) = failed {
            let message = format_args!("reading the system's authorities: {error}");
            return Err(shortage::problem(Reason::Tls, error, message));
        }
        match Authorities::new(loaded.certs, &self.provider) {
            Ok(read) => {
                let read = Arc::new(read);
                *authorities = Some(read.clone());
                Ok(Trust::Authorities(read))
            }
            Err(_) => Ok(Trust::Nobody(
                "this system has no trusted authorities: install ca-certificates, or set tls_config.ca_file"
                    .to_owned(),
            )),
        }
    }
}

/// The TLS side of one check.
#[derive(Debug)]
pub struct TlsClient {
    settings: TlsSettings,
    protocols: Vec<Vec<u8>>,
    trust: Arc<SystemTrust>,
    built: Option<Built>,
}

/// A client configuration, and the files it was made from as they were then.
#[derive(Debug)]
struct Built {
    config: Arc<ClientConfig>,
    recorder: Arc<CertificateRecorder>,
    stamps: Vec<Stamp>,
}

impl TlsClient {
    /// The client of a check that offers these protocols (ALPN, RFC 7301).
    pub fn new(settings: &TlsSettings, protocols: &[&[u8]], trust: &Arc<SystemTrust>) -> Self {
        Self {
            settings: settings.clone(),
            protocols: protocols.iter().map(|name| name.to_vec()).collect(),
            trust: trust.clone(),
            built: None,
        }
    }

    /// Does the handshake, and notes its phase and the certificates presented. `host` is verified, and asked for (SNI),
    /// unless the configuration names another.
    ///
    /// # Errors
    /// Why the handshake failed: `tls` where certificates or parameters are at fault.
    pub async fn handshake(
        &mut self,
        stream: TcpStream,
        peer: SocketAddr,
        host: &str,
        trace: &mut RunRecorder<'_>,
    ) -> Result<Secured, Problem> {
        trace.at(Step::Handshake(peer));
        // The last flight of the handshake and the request are two small writes; Nagle's algorithm would hold the
        // second one back until the peer acknowledges the first.
        stream
            .set_nodelay(true)
            .map_err(|error| dial::problem(&error, &error))?;
        self.secure(stream, &peer, host, trace).await
    }

    /// The same over anything that carries bytes, as the step that the trace is at.
    ///
    /// # Errors
    /// Why the handshake failed.
    pub async fn secure<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        stream: S,
        peer: &(dyn Display + Sync),
        host: &str,
        trace: &mut RunRecorder<'_>,
    ) -> Result<Secured<S>, Problem> {
        trace.enter(Phase::Tls);
        let name = self.server_name(host)?;
        let (config, recorder) = self.config()?;
        recorder.reset();
        trace.certificates = Some(recorder.clone());
        match TlsConnector::from(config).connect(name.clone(), stream).await {
            Ok(stream) => {
                let stream = Secured::new(stream);
                probe_samples::secured(trace.report, stream.connection(), &recorder);
                Ok(stream)
            }
            Err(error) => Err(verdict::problem(&error, &recorder, peer, &name)),
        }
    }

    fn server_name(&self, host: &str) -> Result<ServerName<'static>, Problem> {
        if let Some(name) = &self.settings.server_name {
            return Ok(name.clone());
        }
        let host = zone::without(host);
        let name = match host.parse::<IpAddr>() {
            Ok(address) => Ok(ServerName::from(address)),
            Err(_) => ServerName::try_from(host.trim_end_matches('.').to_owned()),
        };
        name.map_err(|_| {
            let message = format!("\"{host}\" can't be a name in a certificate: set tls_config.server_name");
            Problem::new(Reason::Tls, message)
        })
    }

    fn config(&mut self) -> Result<(Arc<ClientConfig>, Arc<CertificateRecorder>), Problem> {
        let stamps: Vec<Stamp> = self.files().map(|path| Stamp::of(path)).collect();
        if let Some(built) = &self.built
            && built.stamps == stamps
        {
            return Ok((built.config.clone(), built.recorder.clone()));
        }
        let (config, recorder) = self.build()?;
        self.built = Some(Built {
            config: config.clone(),
            recorder: recorder.clone(),
            stamps,
        });
        Ok((config, recorder))
    }

    fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let client = self.settings.client.as_ref();
        let key = client.and_then(|client| match &client.key {
            SecretSource::File(path) => Some(path),
            SecretSource::Inline(_) | SecretSource::Env(_) => None,
        });
        let ca = self.settings.ca.as_ref().and_then(PemSource::path);
        ca.into_iter()
            .chain(client.and_then(|client| client.chain.path()))
            .chain(key)
    }

    fn build(&self) -> Result<(Arc<ClientConfig>, Arc<CertificateRecorder>), Problem> {
        let failed = |error: &dyn Display| Problem::new(Reason::Tls, format_args!("tls_config: {error}"));
        let unread =
            |error: &PemError| shortage::problem(Reason::Tls, error, format_args!("tls_config: {error}"));
        let mut named = Vec::new();
        let trust = match &self.settings.ca {
            _ if self.settings.insecure_skip_verify => Trust::Everybody,
            Some(source) => {
                let certificates = source.certificates().map_err(|error| unread(&error))?;
                named.clone_from(&certificates);
                let authorities = Authorities::new(certificates, &self.trust.provider);
                Trust::Authorities(Arc::new(authorities.map_err(|error| failed(&error))?))
            }
            None => self.trust.read()?,
        };
        let recorder = Arc::new(CertificateRecorder::new(
            trust,
            named,
            self.settings.chain_only,
            self.trust.provider.clone(),
        ));
        let versions: &[_] = match self.settings.versions {
            TlsVersions::Both => &[&rustls::version::TLS13, &rustls::version::TLS12],
            TlsVersions::Only12 => &[&rustls::version::TLS12],
            TlsVersions::Only13 => &[&rustls::version::TLS13],
        };
        let builder = ClientConfig::builder_with_provider(self.trust.provider.clone())
            .with_protocol_versions(versions)
            .map_err(|error| failed(&error))?
            .dangerous()
            .with_custom_certificate_verifier(recorder.clone());
        let mut config = match &self.settings.client {
            None => builder.with_no_client_auth(),
            Some(client) => {
                let chain = client.chain.certificates().map_err(|error| unread(&error))?;
                let key = private_key(&client.key).map_err(|error| unread(&error))?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| failed(&error))?
            }
        };
        config.alpn_protocols.clone_from(&self.protocols);
        config.resumption = Resumption::disabled();
        Ok((Arc::new(config), recorder))
    }
}
