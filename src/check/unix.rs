//! The unix check: the dialogue of a tcp check over a Unix socket. The response time lasts until all of it is done.

use super::Shared;
use super::dialogue::{self, Speaker};
use crate::config::unix::UnixSettings;
use crate::model::{Family, Problem, Report};
use crate::net::certificates::CERTIFICATE_NOT_AFTER;
use crate::net::endpoint::connect_unix;
use crate::net::run_recorder::RunRecorder;

/// What a certificate is asked for where no name is configured and none is verified; TLS needs one.
const NO_HOST: &str = "localhost";

/// The families of unix checks.
pub const FAMILIES: &[&Family] = &[&CERTIFICATE_NOT_AFTER];
/// The families that a probe has.
pub const PROBE_FAMILIES: &[&Family] = dialogue::PROBE_FAMILIES;

/// A unix check.
#[derive(Debug)]
pub struct UnixCheck {
    settings: UnixSettings,
    speaker: Speaker,
}

impl UnixCheck {
    /// A check with these settings.
    pub fn new(settings: &UnixSettings, shared: &Shared) -> Self {
        Self {
            settings: settings.clone(),
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
        let stream = connect_unix(&self.settings.path, &read_budget, trace).await?;
        let peer = self.settings.target();
        self.speaker.speak(stream, &peer, NO_HOST, trace).await?;
        trace.answered();
        Ok(())
    }
}
