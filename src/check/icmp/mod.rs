//! The icmp check: one echo request and its reply. The response time lasts from the start of the run until the reply is there.

mod families;
mod packet;
mod socket;

use std::sync::atomic::{AtomicU16, Ordering};

use self::families::Reply;
pub use self::families::{FAMILIES, PROBE_FAMILIES};
use self::packet::Echo;
#[doc(hidden)]
pub use self::packet::fuzz_parse;
use self::socket::EchoSocket;
use super::Shared;
use crate::config::icmp::IcmpSettings;
use crate::model::{Problem, Report};
use crate::net::connect::ZoneIndex;
use crate::net::dial;
use crate::net::network::Network;
use crate::net::run_recorder::{Findings, Phase, RecordedRun, RunRecorder, Step};

/// The sequence number of the next request. Checks share it, so that two of them with one id differ in it.
static SEQUENCE: AtomicU16 = AtomicU16::new(0);

/// An icmp check.
#[derive(Debug)]
pub struct IcmpCheck {
    settings: IcmpSettings,
    network: Network,
}

/// What a run has found out.
#[derive(Default)]
struct Found {
    reply: Option<Reply>,
}

impl Findings for Found {
    fn record(&mut self, recorder: &mut RunRecorder<'_>) {
        families::push_probe_samples(recorder.report, self.reply.as_ref());
    }
}

impl IcmpCheck {
    /// A check with these settings.
    pub fn new(settings: &IcmpSettings, shared: &Shared) -> Self {
        Self {
            settings: settings.clone(),
            network: shared.network.clone(),
        }
    }

    /// Runs once.
    ///
    /// # Errors
    /// The problem that made it fail.
    pub async fn run(&mut self, report: &mut Report) -> Result<(), Problem> {
        let mut run = RecordedRun::new(report, Found::default());
        let result = self.ping(&mut run).await;
        run.recorder.end();
        result
    }

    async fn ping(&mut self, run: &mut RecordedRun<'_, Found>) -> Result<(), Problem> {
        let settings = &self.settings;
        let trace = &mut run.recorder;
        let resolver = &self.network.resolver;
        let addresses = dial::resolve(resolver, &settings.host, None, settings.preference, trace).await?;
        let address = addresses.all[0];
        let peer = ZoneIndex::of(&settings.host)?.socket_addr(address, 0);
        trace.at(Step::Doing("opening a socket for ICMP".into()));
        let socket = EchoSocket::open(peer, settings)?;
        let echo = Echo::new(SEQUENCE.fetch_add(1, Ordering::Relaxed), settings.payload_size);
        trace.enter(Phase::Processing);
        trace.at(Step::Doing(
            format!("waiting for the echo reply of {address}").into(),
        ));
        let hop_limit = socket.exchange(&echo).await?;
        trace.answered();
        let reply = Reply { hop_limit };
        families::samples(&reply, &mut trace.report.samples);
        run.findings.reply = Some(reply);
        Ok(())
    }
}
