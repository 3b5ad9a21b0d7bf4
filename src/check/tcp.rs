//! The tcp check: a connection, and a TLS handshake and a dialogue if configured. The response time includes all of them.

use super::CheckContext;
use super::dialogue::{self, DialogueClient};
use crate::config::tcp::TcpSettings;
use crate::model::{Family, Problem, Report};
use crate::net::certificates::{CERTIFICATE_NOT_AFTER, CERTIFICATE_NOT_BEFORE};
use crate::net::endpoint::HostEndpoint;
use crate::net::run_recorder::RunRecorder;

/// The families of tcp checks.
pub const FAMILIES: &[&Family] = &[&CERTIFICATE_NOT_AFTER, &CERTIFICATE_NOT_BEFORE];
/// The families of a probe, in addition to those of every address.
pub const PROBE_FAMILIES: &[&Family] = dialogue::PROBE_FAMILIES;

/// A tcp check.
#[derive(Debug)]
pub struct TcpCheck {
    endpoint: HostEndpoint,
    dialogue: DialogueClient,
}

impl TcpCheck {
    /// Creates a check with these settings.
    pub fn new(settings: &TcpSettings, context: &CheckContext) -> Self {
        let endpoint = HostEndpoint::new(&context.network, &settings.address, settings.preference);
        Self {
            endpoint: endpoint.with_source(settings.source),
            dialogue: DialogueClient::new(&settings.conversation, context),
        }
    }

    /// Runs once.
    ///
    /// # Errors
    /// The problem that made the run fail.
    pub async fn run(&mut self, report: &mut Report) -> Result<(), Problem> {
        let mut recorder = RunRecorder::new(report);
        let result = self.attempt(&mut recorder).await;
        recorder.end();
        result
    }

    async fn attempt(&mut self, recorder: &mut RunRecorder<'_>) -> Result<(), Problem> {
        let read_budget = self.dialogue.begin(recorder.report);
        // The dialogue decides when TLS starts.
        let (stream, peer) = self.endpoint.connect(&read_budget, recorder).await?;
        let host = &self.endpoint.address().host;
        let peer = peer.to_string();
        // Boxed, so that runs that wait for a connection are small.
        Box::pin(self.dialogue.run(stream, &peer, host, recorder)).await?;
        recorder.record_response_time();
        Ok(())
    }
}
