//! Where a server listens, and how checks connect to it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use super::dial::dial;
use super::network::Network;
use super::read_budget::ReadBudget;
use super::run_recorder::{Phase, RunRecorder, Step};
use super::stream::Stream;
use super::tls::TlsClient;
use crate::config::address::{AddressPreference, HostPort};
use crate::config::tls::TlsSettings;
use crate::model::Problem;

/// A server at a host or at a Unix socket.
#[derive(Debug)]
pub enum Endpoint {
    /// At a host.
    Host(Box<HostEndpoint>),
    /// At the path of a Unix socket.
    Unix(PathBuf),
}

impl Endpoint {
    /// Connects. Records the phases and steps.
    ///
    /// # Errors
    /// Why the connection failed.
    pub async fn connect(
        &mut self,
        read_budget: &ReadBudget,
        recorder: &mut RunRecorder<'_>,
    ) -> Result<Stream, Problem> {
        match self {
            Self::Host(host) => host
                .connect(read_budget, recorder)
                .await
                .map(|(stream, _)| stream),
            Self::Unix(path) => connect_unix(path, read_budget, recorder).await,
        }
    }
}

impl From<HostEndpoint> for Endpoint {
    fn from(host: HostEndpoint) -> Self {
        Self::Host(Box::new(host))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host) => host.address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// A server at a host: TCP, or TLS if [`Self::with_tls`] adds it.
#[derive(Debug)]
pub struct HostEndpoint {
    network: Network,
    address: HostPort,
    preference: AddressPreference,
    source: Option<IpAddr>,
    tls: Option<TlsClient>,
}

impl HostEndpoint {
    /// A server without TLS at this host.
    pub fn new(network: &Network, address: &HostPort, preference: AddressPreference) -> Self {
        Self {
            network: network.clone(),
            address: address.clone(),
            preference,
            source: None,
            tls: None,
        }
    }

    /// Uses TLS if there are settings for it, and offers these application protocols (ALPN, RFC 7301).
    #[must_use]
    pub fn with_tls(mut self, settings: Option<&TlsSettings>, protocols: &[&[u8]]) -> Self {
        self.tls = settings.map(|settings| TlsClient::new(settings, protocols, &self.network.trust));
        self
    }

    /// Connects from this address of the machine, if there is one.
    #[must_use]
    pub fn with_source(mut self, source: Option<IpAddr>) -> Self {
        self.source = source;
        self
    }

    /// The host and port.
    pub fn address(&self) -> &HostPort {
        &self.address
    }

    /// Whether connections use TLS.
    pub fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Connects, and does the TLS handshake if there is one. Records the phases and steps.
    ///
    /// # Errors
    /// Why the connection failed.
    pub async fn connect(
        &mut self,
        read_budget: &ReadBudget,
        recorder: &mut RunRecorder<'_>,
    ) -> Result<(Stream, SocketAddr), Problem> {
        let (resolver, preference) = (&self.network.resolver, self.preference);
        let (stream, peer) = dial(resolver, &self.address, preference, self.source, recorder).await?;
        let stream = match &mut self.tls {
            None => Stream::tcp(stream, read_budget)?,
            Some(tls) => {
                let stream = tls.handshake(stream, peer, &self.address.host, recorder).await?;
                Stream::tls(stream, read_budget)
            }
        };
        Ok((stream, peer))
    }
}

/// Connects to a Unix socket. Records the phase connect.
///
/// # Errors
/// Why the connection failed.
pub async fn connect_unix(
    path: &Path,
    read_budget: &ReadBudget,
    recorder: &mut RunRecorder<'_>,
) -> Result<Stream, Problem> {
    recorder.enter(Phase::Connect);
    recorder.at(Step::Doing(format!("connecting to {}", path.display()).into()));
    Stream::unix(path, read_budget).await
}
