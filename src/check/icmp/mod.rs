//! The icmp check: one echo request and its reply. The response time ends when the reply has arrived.

mod families;
mod packet;
mod socket;

use std::sync::atomic::{AtomicU16, Ordering};

use self::families::EchoReply;
pub use self::families::{FAMILIES, PROBE_FAMILIES};
use self::packet::Echo;
#[doc(hidden)]
pub use self::packet::fuzz_parse;
use self::socket::EchoSocket;
use super::CheckContext;
use crate::config::icmp::IcmpSettings;
use crate::model::{Problem, Report};
use crate::net::connect::ZoneIndex;
use crate::net::dial;
use crate::net::network::Network;
use crate::net::run_recorder::{Findings, Phase, RecordedRun, RunRecorder, Step};

/// The sequence number of the next request. All checks share it, so that requests with the same id differ.
static SEQUENCE: AtomicU16 = AtomicU16::new(0);

/// An icmp check.
#[derive(Debug)]
pub struct IcmpCheck {
    settings: IcmpSettings,
    network: Network,
}

/// The findings of a run.
#[derive(Default)]
struct IcmpFindings {
    reply: Option<EchoReply>,
}

impl Findings for IcmpFindings {
    fn record(&mut self, recorder: &mut RunRecorder<'_>) {
        families::push_probe_samples(recorder.report, self.reply.as_ref());
    }
}

impl IcmpCheck {
    /// Creates a check with these settings.
    pub fn new(settings: &IcmpSettings, context: &CheckContext) -> Self {
        Self {
            settings: settings.clone(),
            network: context.network.clone(),
        }
    }

    /// Runs once.
    ///
    /// # Errors
    /// The problem that made the run fail.
    pub async fn run(&mut self, report: &mut Report) -> Result<(), Problem> {
        let mut run = RecordedRun::new(report, IcmpFindings::default());
        let result = self.ping(&mut run).await;
        run.recorder.end();
        result
    }

    async fn ping(&mut self, run: &mut RecordedRun<'_, IcmpFindings>) -> Result<(), Problem> {
        let settings = &self.settings;
        let recorder = &mut run.recorder;
        let resolver = &self.network.resolver;
        let addresses = dial::resolve(resolver, &settings.host, None, settings.preference, recorder).await?;
        let address = addresses.all[0];
        let peer = ZoneIndex::of(&settings.host)?.socket_addr(address, 0);
        recorder.at(Step::Doing("opening a socket for ICMP".into()));
        let socket = EchoSocket::open(peer, settings)?;
        let echo = Echo::new(SEQUENCE.fetch_add(1, Ordering::Relaxed), settings.payload_size);
        recorder.enter(Phase::Processing);
        recorder.at(Step::Doing(
            format!("waiting for the echo reply of {address}").into(),
        ));
        let hop_limit = socket.exchange(&echo).await?;
        recorder.record_response_time();
        let reply = EchoReply { hop_limit };
        families::push_samples(&reply, &mut recorder.report.samples);
        run.findings.reply = Some(reply);
        Ok(())
    }
}
