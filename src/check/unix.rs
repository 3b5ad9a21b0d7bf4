//! The unix check: the dialogue of a tcp check over a Unix socket. The response time includes all of it.

use super::CheckContext;
use super::dialogue::{self, DialogueClient};
use crate::config::unix::UnixSettings;
use crate::model::{Family, Problem, Report};
use crate::net::certificates::{CERTIFICATE_NOT_AFTER, CERTIFICATE_NOT_BEFORE};
use crate::net::endpoint::connect_unix;
use crate::net::run_recorder::RunRecorder;

/// The host name for TLS, which needs one. Used only if no name is configured, so certificates are not verified.
const NO_HOST: &str = "localhost";

/// The families of unix checks.
pub const FAMILIES: &[&Family] = &[&CERTIFICATE_NOT_AFTER, &CERTIFICATE_NOT_BEFORE];
/// The families of a probe.
pub const PROBE_FAMILIES: &[&Family] = dialogue::PROBE_FAMILIES;

/// A unix check.
#[derive(Debug)]
pub struct UnixCheck {
    settings: UnixSettings,
    dialogue: DialogueClient,
}

impl UnixCheck {
    /// Creates a check with these settings.
    pub fn new(settings: &UnixSettings, context: &CheckContext) -> Self {
        Self {
            settings: settings.clone(),
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
        let stream = connect_unix(&self.settings.path, &read_budget, recorder).await?;
        let peer = self.settings.target();
        self.dialogue.run(stream, &peer, NO_HOST, recorder).await?;
        recorder.record_response_time();
        Ok(())
    }
}
