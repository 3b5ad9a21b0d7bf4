//! The dns check. It sends one query to one name server, once, and compares the response with the settings. The response time
//! ends when the response has arrived.

mod families;
mod judge;
mod records;
mod response;
mod section;
mod summary;

use std::net::SocketAddr;
use std::sync::Arc;

use hickory_proto::op::{Message, Query};
use hickory_proto::rr;

pub use self::families::{FAMILIES, PROBE_FAMILIES};
use self::response::Response;
use self::section::Section;
use self::summary::Summary;
use super::CheckContext;
use super::workers::{Evaluator, MAX_WAIT};
use crate::config::budget::Budget;
use crate::config::dns::{DnsSettings, Transport, Validators};
use crate::model::{Problem, Report};
use crate::net::connect::ZoneIndex;
use crate::net::dial;
use crate::net::dns_exchange;
use crate::net::endpoint::HostEndpoint;
use crate::net::network::Network;
use crate::net::read_budget::ReadBudget;
use crate::net::run_recorder::{Findings, Phase, RecordedRun, RunRecorder, Step};

/// How many bytes a run reads from a connection: one message with its length.
const MAX_BYTES: u64 = 2 + dns_exchange::MAX_MESSAGE as u64;

/// A dns check.
#[derive(Debug)]
pub struct DnsCheck {
    settings: Arc<DnsSettings>,
    network: Network,
    endpoint: HostEndpoint,
    read_budget: ReadBudget,
    evaluator: Evaluator,
}

/// The findings of a run.
#[derive(Default)]
struct DnsFindings {
    summary: Option<Summary>,
}

impl Findings for DnsFindings {
    fn record(&mut self, recorder: &mut RunRecorder<'_>) {
        families::push_probe_samples(recorder.report, self.summary.as_ref());
    }
}

impl DnsCheck {
    /// Creates a check with these settings.
    pub fn new(settings: &DnsSettings, context: &CheckContext) -> Self {
        let DnsSettings { server, query } = settings;
        let tls = match &query.transport {
            Transport::Tls(tls) => Some(&**tls),
            Transport::Udp | Transport::Tcp => None,
        };
        Self {
            endpoint: HostEndpoint::new(&context.network, server, query.preference)
                .with_source(query.source)
                .with_tls(tls, &[]),
            settings: Arc::new(settings.clone()),
            evaluator: Evaluator::new(&context.workers),
            network: context.network.clone(),
            read_budget: ReadBudget::new(MAX_BYTES),
        }
    }

    /// Runs once.
    ///
    /// # Errors
    /// The problem that made the run fail.
    pub async fn run(&mut self, report: &mut Report) -> Result<(), Problem> {
        let mut run = RecordedRun::new(report, DnsFindings::default());
        let result = self.attempt(&mut run).await;
        run.recorder.end();
        result
    }

    async fn attempt(&mut self, run: &mut RecordedRun<'_, DnsFindings>) -> Result<(), Problem> {
        let message = self.query();
        let packed = dns_exchange::encode(&message)?;
        let (peer, received) = match self.settings.query.transport {
            Transport::Udp => self.over_udp(&message, &packed, &mut run.recorder).await?,
            Transport::Tcp | Transport::Tls(_) => {
                self.over_connection(&message, &packed, &mut run.recorder).await?
            }
        };
        let response = Response::parse(&received).map_err(|error| dns_exchange::malformed(peer, &error))?;
        run.recorder.record_response_time();
        let query = &self.settings.query;
        let summary = Summary::new(&response, query);
        run.findings.summary = Some(summary);
        families::push_samples(&summary, &mut run.recorder.report.samples);
        let mut sections = query.validators.iter();
        if sections.all(|validators| *validators == Validators::default()) {
            return judge::judge(&response, query, &Budget::ample()).unwrap_or(Ok(()));
        }
        self.evaluator.begin_run();
        let length = response.text_bytes();
        let settings = Arc::clone(&self.settings);
        let wait = run.recorder.within(MAX_WAIT);
        let judged = self.evaluator.evaluate(length, wait, move |budget| {
            judge::judge(&response, &settings.query, budget)
        });
        judged.await?
    }

    /// Builds the query, with an id that can't be guessed.
    fn query(&self) -> Message {
        let settings = &self.settings.query;
        let mut query = Query::query(
            settings.name.clone(),
            rr::RecordType::from(settings.record_type.0),
        );
        query.set_query_class(settings.class);
        let mut message = Message::query();
        message.metadata.recursion_desired = settings.recursion_desired;
        message.add_query(query);
        message
    }

    async fn over_udp(
        &self,
        query_message: &Message,
        packed: &[u8],
        recorder: &mut RunRecorder<'_>,
    ) -> Result<(SocketAddr, Vec<u8>), Problem> {
        let DnsSettings { server, query } = &*self.settings;
        let resolver = &self.network.resolver;
        let (host, port) = (&server.host, server.port);
        let addresses = dial::resolve(resolver, host, Some(port), query.preference, recorder).await?;
        let peer = ZoneIndex::of(host)?.socket_addr(addresses.all[0], port);
        let socket = dns_exchange::connect_udp(peer, query.source).await?;
        recorder.enter(Phase::Processing);
        let step = format!("waiting for the response of {peer}");
        recorder.at(Step::Doing(step.clone().into()));
        dns_exchange::send(&socket, peer, packed).await?;
        let received = dns_exchange::receive(&socket, peer, query_message, |others| {
            let others = format!("{others} received datagrams do not match the query");
            recorder.at(Step::Doing(format!("{step}; {others}").into()));
        });
        Ok((peer, received.await?))
    }

    async fn over_connection(
        &mut self,
        query_message: &Message,
        packed: &[u8],
        recorder: &mut RunRecorder<'_>,
    ) -> Result<(SocketAddr, Vec<u8>), Problem> {
        self.read_budget.renew();
        let (mut stream, peer) = self.endpoint.connect(&self.read_budget, recorder).await?;
        recorder.enter(Phase::Processing);
        recorder.at(Step::Doing(format!("waiting for the response of {peer}").into()));
        let received = dns_exchange::exchange_over_stream(&mut stream, peer, query_message, packed);
        Ok((peer, received.await?))
    }
}

/// Evaluates a message like the response of a server, and returns the texts of its records. For tests with arbitrary input.
///
/// # Errors
/// If it is malformed, or does not meet the settings.
#[doc(hidden)]
pub fn fuzz_parse(settings: &DnsSettings, message: &[u8]) -> Result<Vec<String>, String> {
    let response = Response::parse(message).map_err(|error| error.to_string())?;
    families::push_samples(&Summary::new(&response, &settings.query), &mut Vec::new());
    let judged = judge::judge(&response, &settings.query, &Budget::ample()).unwrap_or(Ok(()));
    judged.map_err(|problem| problem.to_string())?;
    let texts = Section::ALL
        .into_iter()
        .flat_map(|section| response.texts(section));
    Ok(texts
        .map(|text| String::from_utf8_lossy(text).into_owned())
        .collect())
}

#[cfg(test)]
mod tests;
