//! The dns check: one question to one name server, sent once, and what its answer must be like. The response time lasts
//! until the answer is there.

mod families;
mod judge;
mod text;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::{Message, Query};

use self::families::Numbers;
pub use self::families::{FAMILIES, PROBE_FAMILIES};
use super::Shared;
use super::workers::Judging;
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

/// The most bytes that a run reads from a connection: one message, and its length.
const MAX_BYTES: u64 = 2 + dns_exchange::MAX_MESSAGE as u64;

/// Longer than any run; the judging is waited for as long as there is time.
const LONG: Duration = Duration::from_secs(3600);

/// A dns check.
#[derive(Debug)]
pub struct DnsCheck {
    settings: Arc<DnsSettings>,
    network: Network,
    endpoint: HostEndpoint,
    read_budget: ReadBudget,
    judging: Judging,
}

/// What a run has found out.
#[derive(Default)]
struct Found {
    numbers: Option<Numbers>,
}

impl Findings for Found {
    fn record(&mut self, recorder: &mut RunRecorder<'_>) {
        families::push_probe_samples(recorder.report, self.numbers.as_ref());
    }
}

impl DnsCheck {
    /// A check with these settings.
    pub fn new(settings: &DnsSettings, shared: &Shared) -> Self {
        let DnsSettings { server, query } = settings;
        let tls = match &query.transport {
            Transport::Tls(tls) => Some(&**tls),
            Transport::Udp | Transport::Tcp => None,
        };
        Self {
            endpoint: HostEndpoint::new(&shared.network, server, query.preference)
                .with_source(query.source)
                .with_tls(tls, &[]),
            settings: Arc::new(settings.clone()),
            judging: Judging::new(&shared.workers),
            network: shared.network.clone(),
            read_budget: ReadBudget::new(MAX_BYTES),
        }
    }

    /// Runs once.
    ///
    /// # Errors
    /// The problem that made it fail.
    pub async fn run(&mut self, report: &mut Report) -> Result<(), Problem> {
        let mut run = RecordedRun::new(report, Found::default());
        let result = self.ask(&mut run).await;
        run.recorder.end();
        result
    }

    async fn ask(&mut self, run: &mut RecordedRun<'_, Found>) -> Result<(), Problem> {
        let question = self.question();
        let packed = dns_exchange::encode(&question)?;
        let answer = match self.settings.query.transport {
            Transport::Udp => self.in_a_datagram(&question, &packed, &mut run.recorder).await?,
            Transport::Tcp | Transport::Tls(_) => {
                self.over_a_connection(&question, &packed, &mut run.recorder)
                    .await?
            }
        };
        run.recorder.answered();
        let query = &self.settings.query;
        let numbers = judge::numbers(&answer, query);
        run.findings.numbers = Some(numbers);
        families::samples(&numbers, &mut run.recorder.report.samples);
        let demands = query
            .validators
            .iter()
            .any(|demands| *demands != Validators::default());
        if !demands {
            return judge::judge(&answer, query, &Budget::ample()).unwrap_or(Ok(()));
        }
        self.judging.begin();
        // Its length is not known any more; texts are longer than what they are made of.
        let length = answer.to_vec().map_or(usize::MAX, |message| message.len());
        let settings = Arc::clone(&self.settings);
        let wait = run.recorder.within(LONG);
        let judged = self.judging.judge(length, wait, move |budget| {
            judge::judge(&answer, &settings.query, budget)
        });
        judged.await?
    }

    /// The question, with an id that nobody can guess.
    fn question(&self) -> Message {
        let query = &self.settings.query;
        let mut asked = Query::query(query.name.clone(), query.record_type);
        asked.set_query_class(query.class);
        let mut message = Message::query();
        message.metadata.recursion_desired = query.recursion_desired;
        message.add_query(asked);
        message
    }

    async fn in_a_datagram(
        &self,
        question: &Message,
        packed: &[u8],
        trace: &mut RunRecorder<'_>,
    ) -> Result<Message, Problem> {
        let DnsSettings { server, query } = &*self.settings;
        let resolver = &self.network.resolver;
        let (host, port) = (&server.host, server.port);
        let addresses = dial::resolve(resolver, host, Some(port), query.preference, trace).await?;
        let peer = ZoneIndex::of(host)?.socket_addr(addresses.all[0], port);
        let socket = dns_exchange::connect_udp(peer, query.source).await?;
        trace.enter(Phase::Processing);
        let step = format!("waiting for the answer of {peer}");
        trace.at(Step::Doing(step.clone().into()));
        dns_exchange::send(&socket, peer, packed).await?;
        dns_exchange::receive(&socket, peer, question, |others| {
            let others = format!("{others} datagrams that came do not answer this question");
            trace.at(Step::Doing(format!("{step}; {others}").into()));
        })
        .await
    }

    async fn over_a_connection(
        &mut self,
        question: &Message,
        packed: &[u8],
        trace: &mut RunRecorder<'_>,
    ) -> Result<Message, Problem> {
        self.read_budget.renew();
        let (mut stream, peer) = self.endpoint.connect(&self.read_budget, trace).await?;
        trace.enter(Phase::Processing);
        trace.at(Step::Doing(format!("waiting for the answer of {peer}").into()));
        dns_exchange::exchange_over_stream(&mut stream, peer, question, packed).await
    }
}

/// Judges a message as the answer of a server, as a run does: what it is told of, in numbers, and the text of each of its
/// records. For tests with arbitrary input.
///
/// # Errors
/// Why it is no message, or not as demanded.
#[doc(hidden)]
pub fn fuzz_parse(settings: &DnsSettings, message: &[u8]) -> Result<Vec<String>, String> {
    let peer = SocketAddr::from(([127, 0, 0, 1], 53));
    let answer = dns_exchange::parse(peer, message).map_err(|problem| problem.to_string())?;
    families::samples(&judge::numbers(&answer, &settings.query), &mut Vec::new());
    let judged = judge::judge(&answer, &settings.query, &Budget::ample()).unwrap_or(Ok(()));
    judged.map_err(|problem| problem.to_string())?;
    let sections = [&answer.answers, &answer.authorities, &answer.additionals];
    Ok(sections.into_iter().flatten().map(text::record).collect())
}

#[cfg(test)]
mod tests;
