//! The TLS client of a check. Its configuration is rebuilt when the configured files change. Sessions are not resumed, so
//! every connection has a full handshake.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::stream::TlsStream;
use super::{probe_samples, problem};
use crate::config::file_version::FileVersion;
use crate::config::secret::SecretSource;
use crate::config::tls::{PemError, PemSource, TlsSettings, TlsVersions, private_key};
use crate::config::zone;
use crate::model::{Problem, Reason};
use crate::net::certificates::{Authorities, CertificateRecorder, SystemTrust, Trust};
use crate::net::run_recorder::{Phase, RunRecorder, Step};
use crate::net::{io_error, shortage};

/// The TLS client of one check.
#[derive(Debug)]
pub struct TlsClient {
    settings: TlsSettings,
    protocols: Vec<Vec<u8>>,
    trust: Arc<SystemTrust>,
    built: Option<Built>,
}

/// A client configuration, with the versions of the files it was built from.
#[derive(Debug)]
struct Built {
    config: Arc<ClientConfig>,
    recorder: Arc<CertificateRecorder>,
    versions: Vec<FileVersion>,
}

impl TlsClient {
    /// A client that offers these application protocols (ALPN, RFC 7301).
    pub fn new(settings: &TlsSettings, protocols: &[&[u8]], trust: &Arc<SystemTrust>) -> Self {
        Self {
            settings: settings.clone(),
            protocols: protocols.iter().map(|name| name.to_vec()).collect(),
            trust: trust.clone(),
            built: None,
        }
    }

    /// Does the handshake over TCP. Records the step, the phase and the certificates. `host` is sent (SNI) and verified,
    /// unless the configuration sets another name.
    ///
    /// # Errors
    /// Why the handshake failed. The reason is `tls` if certificates or parameters are the cause.
    pub async fn handshake(
        &mut self,
        stream: TcpStream,
        peer: SocketAddr,
        host: &str,
        run: &mut RunRecorder<'_>,
    ) -> Result<TlsStream, Problem> {
        run.at(Step::Handshake(peer));
        // The end of the handshake and the request are two small writes. Nagle's algorithm would delay the second one
        // until the peer acknowledges the first.
        stream
            .set_nodelay(true)
            .map_err(|error| io_error::problem(&error, &error))?;
        self.handshake_over(stream, &peer, host, run).await
    }

    /// Does the handshake over any stream. Records the phase and the certificates, but no step.
    ///
    /// # Errors
    /// Why the handshake failed. The reason is `tls` if certificates or parameters are the cause.
    pub async fn handshake_over<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        stream: S,
        peer: &(dyn Display + Sync),
        host: &str,
        run: &mut RunRecorder<'_>,
    ) -> Result<TlsStream<S>, Problem> {
        run.enter(Phase::Tls);
        let name = self.server_name(host)?;
        let (config, recorder) = self.config()?;
        recorder.reset();
        run.certificates = Some(recorder.clone());
        // Boxed, because it contains the whole state of the connection.
        match Box::pin(TlsConnector::from(config).connect(name.clone(), stream)).await {
            Ok(stream) => {
                let stream = TlsStream::new(stream);
                probe_samples::record_handshake(run.report, stream.connection(), &recorder);
                Ok(stream)
            }
            Err(error) => Err(problem::from_handshake_error(&error, &recorder, peer, &name)),
        }
    }

    /// Does the handshake with a proxy. Records the step, but neither the phase nor the certificates, which are not those of the
    /// target.
    ///
    /// # Errors
    /// Why the handshake failed. The reason is `tls` if certificates or parameters are the cause.
    pub async fn handshake_with_proxy(
        &mut self,
        stream: TcpStream,
        peer: SocketAddr,
        host: &str,
        run: &mut RunRecorder<'_>,
    ) -> Result<TlsStream, Problem> {
        run.at(Step::Handshake(peer));
        stream
            .set_nodelay(true)
            .map_err(|error| io_error::problem(&error, &error))?;
        let name = self.server_name(host)?;
        let (config, recorder) = self.config()?;
        recorder.reset();
        match Box::pin(TlsConnector::from(config).connect(name.clone(), stream)).await {
            Ok(stream) => Ok(TlsStream::new(stream)),
            Err(error) => {
                let problem = problem::from_handshake_error(&error, &recorder, &peer, &name);
                Err(problem.with_message(format_args!("connecting to the proxy: {}", problem.message())))
            }
        }
    }

    /// The name that the certificate must be valid for.
    ///
    /// # Errors
    /// If the host is not a valid name for a certificate.
    pub fn server_name(&self, host: &str) -> Result<ServerName<'static>, Problem> {
        if let Some(name) = &self.settings.server_name {
            return Ok(name.clone());
        }
        let host = zone::without_zone(host);
        let name = match host.parse::<IpAddr>() {
            Ok(address) => Ok(ServerName::from(address)),
            Err(_) => ServerName::try_from(host.trim_end_matches('.').to_owned()),
        };
        name.map_err(|_| {
            let message =
                format!("\"{host}\" is not a valid name for a certificate: set tls_config.server_name");
            Problem::new(Reason::Tls, message)
        })
    }

    /// The current configuration, with the recorder of its last handshake. For clients that do the handshake themselves.
    ///
    /// # Errors
    /// If a file can't be read or used.
    pub fn config(&mut self) -> Result<(Arc<ClientConfig>, Arc<CertificateRecorder>), Problem> {
        let versions: Vec<FileVersion> = self.files().map(|path| FileVersion::of(path)).collect();
        if let Some(built) = &self.built
            && built.versions == versions
        {
            return Ok((built.config.clone(), built.recorder.clone()));
        }
        let (config, recorder) = self.build()?;
        self.built = Some(Built {
            config: config.clone(),
            recorder: recorder.clone(),
            versions,
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
        let unreadable =
            |error: &PemError| shortage::problem(Reason::Tls, error, format_args!("tls_config: {error}"));
        let mut pinned = Vec::new();
        let trust = match &self.settings.ca {
            _ if self.settings.insecure_skip_verify => Trust::Unverified,
            Some(source) => {
                let certificates = source.certificates().map_err(|error| unreadable(&error))?;
                pinned.clone_from(&certificates);
                let authorities = Authorities::new(certificates, self.trust.provider());
                Trust::Authorities(Arc::new(authorities.map_err(|error| failed(&error))?))
            }
            None => self.trust.load()?,
        };
        let recorder = Arc::new(CertificateRecorder::new(
            trust,
            pinned,
            self.settings.chain_only,
            self.trust.provider().clone(),
        ));
        let versions: &[_] = match self.settings.versions {
            TlsVersions::Both => &[&rustls::version::TLS13, &rustls::version::TLS12],
            TlsVersions::Only12 => &[&rustls::version::TLS12],
            TlsVersions::Only13 => &[&rustls::version::TLS13],
        };
        let builder = ClientConfig::builder_with_provider(self.trust.provider().clone())
            .with_protocol_versions(versions)
            .map_err(|error| failed(&error))?
            .dangerous()
            .with_custom_certificate_verifier(recorder.clone());
        let mut config = match &self.settings.client {
            None => builder.with_no_client_auth(),
            Some(client) => {
                let chain = client.chain.certificates().map_err(|error| unreadable(&error))?;
                let key = private_key(&client.key).map_err(|error| unreadable(&error))?;
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
