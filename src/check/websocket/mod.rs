//! The websocket check: one connection with an upgrade request (RFC 6455, section 4), and a dialogue over messages if configured.
//! The response time includes all of them.

mod findings;
mod handshake;
mod link;

use std::sync::Arc;

pub use self::findings::{FAMILIES, PROBE_FAMILIES};
use self::findings::{Run, WebsocketFindings};
use self::handshake::Handshake;
use self::link::MessageLink;
use super::CheckContext;
use super::dialogue::MessageDialogue;
use crate::config::websocket::WebsocketSettings;
use crate::model::{Problem, Reason, Report};
use crate::net::dial::dial;
use crate::net::http::upgrade;
use crate::net::network::Network;
use crate::net::read_budget::ReadBudget;
use crate::net::run_recorder::{Phase, Step};
use crate::net::stream::Stream;
use crate::net::tls::TlsClient;

/// How many bytes a run reads, without TLS: at least one message of the maximum length.
const MAX_BYTES: u64 = 2 << 20;

/// A websocket check.
#[derive(Debug)]
pub struct WebsocketCheck {
    settings: Arc<WebsocketSettings>,
    network: Network,
    tls: TlsClient,
    dialogue: MessageDialogue,
    read_budget: ReadBudget,
}

impl WebsocketCheck {
    /// Creates a check with these settings.
    pub fn new(settings: &WebsocketSettings, context: &CheckContext) -> Self {
        Self {
            settings: Arc::new(settings.clone()),
            network: context.network.clone(),
            // The upgrade needs HTTP/1.1.
            tls: TlsClient::new(&settings.tls, &[b"http/1.1"], &context.network.trust),
            dialogue: MessageDialogue::new(&settings.steps, context),
            read_budget: ReadBudget::new(MAX_BYTES),
        }
    }

    /// Runs once.
    ///
    /// # Errors
    /// The problem that made the run fail.
    pub async fn run(&mut self, report: &mut Report) -> Result<(), Problem> {
        let mut run = Run::new(report, WebsocketFindings::default());
        let result = self.attempt(&mut run).await;
        run.recorder.end();
        result
    }

    async fn attempt(&mut self, run: &mut Run<'_>) -> Result<(), Problem> {
        self.read_budget.renew();
        let recorder = &mut run.recorder;
        let url = &self.settings.url;
        recorder
            .report
            .log_step(|| format!("connecting to {}", url.shown()));
        let address = url.address();
        let resolver = &self.network.resolver;
        let (stream, peer) = dial(resolver, &address, self.settings.preference, None, recorder).await?;
        run.findings.is_connected = true;
        let stream = match url.is_secure() {
            true => {
                let stream = self.tls.handshake(stream, peer, &address.host, recorder).await?;
                Stream::tls(stream, &self.read_budget)
            }
            false => Stream::tcp(stream, &self.read_budget)?,
        };
        recorder.enter(Phase::Processing);
        recorder.at(Step::Waiting);
        let handshake = Handshake::new()?;
        let request = handshake.request(&self.settings)?;
        let (head, stream) = upgrade(stream, request, peer).await?;
        run.findings.status = Some(head.status);
        let judged = handshake.judge(&head, self.settings.sends_credentials());
        judged.map_err(|problem| problem.with_message(format_args!("{peer}: {}", problem.message())))?;
        let Some(stream) = stream else {
            // A response with another status was judged above.
            let message = format_args!("{peer}: the connection was not upgraded");
            return Err(Problem::new(Reason::Protocol, message));
        };
        run.findings.is_upgraded = true;
        let mut link = MessageLink::new(stream, peer.to_string()).await;
        if !self.settings.steps.is_empty() {
            // Also while a message is awaited, as in blackbox_exporter.
            run.findings.has_failed_step = true;
            self.dialogue.run(&mut link, recorder).await?;
            run.findings.has_failed_step = false;
            run.findings.has_ended_dialogue = true;
        }
        recorder.record_response_time();
        link.close().await;
        Ok(())
    }
}
