//! The tcp check: a connection, a TLS handshake where asked, and a dialogue where one is configured. The response time lasts
//! until all of it is done.

use super::Shared;
use super::dialogue::{self, Speaker};
use crate::config::tcp::TcpSettings;
use crate::model::{Family, Problem, Report};
use crate::net::certificates::CERTIFICATE_NOT_AFTER;
use crate::net::endpoint::HostEndpoint;
use crate::net::run_recorder::RunRecorder;

/// The families of tcp checks.
pub const FAMILIES: &[&Family] = &[&CERTIFICATE_NOT_AFTER];
/// The families that a probe has beside those of every address.
pub const PROBE_FAMILIES: &[&Family] = dialogue::PROBE_FAMILIES;

/// A tcp check.
#[derive(Debug)]
pub struct TcpCheck {
    endpoint: HostEndpoint,
    speaker: Speaker,
}

impl TcpCheck {
    /// A check with these settings.
    pub fn new(settings: &TcpSettings, shared: &Shared) -> Self {
        let endpoint = HostEndpoint::new(&shared.network, &settings.address, settings.preference);
        Self {
            endpoint: endpoint.with_source(settings.source),
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
        let read_budget = self.speaker.begin(trace.report);
        // The dialogue decides when TLS begins.
        let (stream, peer) = self.endpoint.connect(&read_budget, trace).await?;
        let host = &self.endpoint.address().host;
        self.speaker.speak(stream, &peer.to_string(), host, trace).await?;
        trace.answered();
        Ok(())
    }
}
