//! The tcp check: a connection, a TLS handshake where asked, and a dialogue where one is configured. The response time lasts
//! until all of it is done.

use super::Shared;
use super::dialogue::{self, Speaker};
use crate::config::tcp::TcpSettings;
use crate::model::{Family, Problem, Report};
use crate::net::dial::dial_from;
use crate::net::network::Network;
use crate::net::run_recorder::RunRecorder;
use crate::net::stream::Stream;
use crate::net::tls::CERTIFICATE_NOT_AFTER;

/// The families of tcp checks.
pub const FAMILIES: &[&Family] = &[&CERTIFICATE_NOT_AFTER];
/// The families that a probe has beside those of every address.
pub const PROBE_FAMILIES: &[&Family] = dialogue::PROBE_FAMILIES;

/// A tcp check.
#[derive(Debug)]
pub struct TcpCheck {
    settings: TcpSettings,
    network: Network,
    speaker: Speaker,
}

impl TcpCheck {
    /// A check with these settings.
    pub fn new(settings: &TcpSettings, shared: &Shared) -> Self {
        Self {
            settings: settings.clone(),
            network: shared.network.clone(),
            speaker: Speaker::new(&settings.conversation, shared),
        }
    }

    /// Runs once.
    ///
    /// # Errors
    /// The problem that made it fail.
    pub async fn run(&mut self, report: &mut Report) -> Result<(), Problem> {
        let mut trace = RunRecorder::new(report);
        let result = self.speak(&mut trace).await;
        trace.end();
        result
    }

    async fn speak(&mut self, trace: &mut RunRecorder<'_>) -> Result<(), Problem> {
        let TcpSettings {
            address,
            preference,
            source,
            ..
        } = &self.settings;
        let allowance = self.speaker.begin(trace.report);
        let resolver = &self.network.resolver;
        let (stream, peer) = dial_from(resolver, address, *preference, *source, trace).await?;
        let stream = Stream::tcp(stream, &allowance)?;
        self.speaker
            .speak(stream, &peer.to_string(), &address.host, trace)
            .await?;
        trace.answered();
        Ok(())
    }
}
