//! The tcp check: a connection, and a TLS handshake where asked. The response time lasts until it stands.

use super::Shared;
use super::dial::dial;
use super::network::Network;
use super::tls::{CERTIFICATE_NOT_AFTER, TlsClient};
use super::trace::Trace;
use crate::config::tcp::TcpSettings;
use crate::model::{Family, Problem, Report};

/// The families of tcp checks.
pub const FAMILIES: &[&Family] = &[&CERTIFICATE_NOT_AFTER];

/// A tcp check.
#[derive(Debug)]
pub struct TcpCheck {
    settings: TcpSettings,
    network: Network,
    tls: Option<TlsClient>,
}

impl TcpCheck {
    /// A check with these settings.
    pub fn new(settings: &TcpSettings, shared: &Shared) -> Self {
        let tls = settings.tls.as_ref();
        Self {
            settings: settings.clone(),
            network: shared.network.clone(),
            tls: tls.map(|settings| TlsClient::new(settings, &[], &shared.network.trust)),
        }
    }

    /// Runs once.
    ///
    /// # Errors
    /// The problem that made it fail.
    pub async fn run(&mut self, report: &mut Report) -> Result<(), Problem> {
        let mut trace = Trace::new(report);
        let result = self.connect(&mut trace).await;
        trace.end();
        result
    }

    async fn connect(&mut self, trace: &mut Trace<'_>) -> Result<(), Problem> {
        let TcpSettings {
            address, preference, ..
        } = &self.settings;
        let (stream, peer) = dial(&self.network.resolver, address, *preference, trace).await?;
        if let Some(tls) = &mut self.tls {
            tls.handshake(stream, peer, &address.host, trace).await?;
        }
        trace.answered();
        Ok(())
    }
}
