//! The dialogue of tcp and unix checks over a connection: steps of `query_response`, with TLS from the start, from a step on, or
//! not at all.

mod families;
mod fault;
mod quote;
mod stepper;

use std::cell::RefCell;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

use self::families::ExpectInfo;
pub use self::families::{EXPECT_INFO, FAILED_DUE_TO_BYTES, FAILED_DUE_TO_REGEX, PROBE_FAMILIES};
use self::fault::{Fault, problem};
use self::stepper::{Action, Stepper};
use super::Shared;
use super::workers::Judging;
use crate::config::budget::Budget;
use crate::config::dialogue::{Conversation, Steps};
use crate::config::place::Place;
use crate::config::tcp::TcpOptions;
use crate::config::yaml;
use crate::model::{Problem, Reason, Report};
use crate::net::io_error;
use crate::net::read_budget::ReadBudget;
use crate::net::run_recorder::{Phase, RunRecorder, Step};
use crate::net::stream::Stream;
use crate::net::tls::TlsClient;

/// The most bytes that a run reads, TLS included.
const MAX_BYTES: u64 = 1 << 20;
/// Longer than any run; the judging of lines is waited for as long as there is time.
const LONG: Duration = Duration::from_secs(3600);
/// How much is read at once.
const CHUNK_BYTES: usize = 4 << 10;
/// How much of it a fuzz_api hands over at once: small, so that lines are cut anywhere.
const PIECE_BYTES: usize = 61;

/// What carries a dialogue: bytes in the clear, TLS over them, TLS over whatever else.
trait Carrier: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Carrier for T {}

/// The side of a check that holds a dialogue, run after run.
#[derive(Debug)]
pub struct Speaker {
    conversation: Conversation,
    tls: Option<TlsClient>,
    labels: Vec<Option<ExpectInfo>>,
    read_budget: ReadBudget,
    judging: Judging,
}

impl Speaker {
    /// Speaks as the conversation says.
    pub fn new(conversation: &Conversation, shared: &Shared) -> Self {
        let tls = conversation.tls.as_ref();
        let labels = conversation
            .steps
            .iter()
            .map(|step| ExpectInfo::new(&step.labels));
        Self {
            conversation: conversation.clone(),
            tls: tls.map(|settings| TlsClient::new(settings, &[], &shared.network.trust)),
            labels: labels.collect(),
            read_budget: ReadBudget::new(MAX_BYTES),
            judging: Judging::new(&shared.workers),
        }
    }

    /// What the bytes of a connection count against. Begins a run, for a probe's answer too.
    pub fn begin(&self, report: &mut Report) -> ReadBudget {
        self.read_budget.renew();
        report.push_probe_sample(&FAILED_DUE_TO_REGEX, Vec::new(), 0.0);
        report.push_probe_sample(&FAILED_DUE_TO_BYTES, Vec::new(), 0.0);
        self.read_budget.clone()
    }

    /// Holds the dialogue with `peer`, whose certificate has to be for `host`.
    ///
    /// # Errors
    /// What was not as it should be.
    pub async fn speak(
        &mut self,
        stream: Stream,
        peer: &str,
        host: &str,
        trace: &mut RunRecorder<'_>,
    ) -> Result<(), Problem> {
        let mut carrier: Box<dyn Carrier> = Box::new(stream);
        if self.conversation.is_tls_first {
            carrier = secured(self.tls.as_mut(), carrier, peer, host, trace).await?;
        }
        self.judging.begin();
        let mut noted = None;
        trace.enter(Phase::Processing);
        let mut stepper = Stepper::new(&self.conversation.steps);
        loop {
            let action = self.advance(&mut stepper, trace).await?;
            for heard in stepper.heard() {
                trace.report.log_step(|| heard);
            }
            let number = stepper.number();
            let action = match action {
                Ok(action) => action,
                Err(fault) => return Err(problem(&fault, peer, number, trace.report)),
            };
            match action {
                Action::Read => {
                    let waiting = format!("query_response[{number}]: {}", stepper.waiting());
                    if noted != Some(number) {
                        trace.at(Step::Doing(waiting.clone().into()));
                        noted = Some(number);
                    }
                    trace.update_step(Step::Doing(format!("{waiting}; {}", stepper.instead()).into()));
                    let mut chunk = [0; CHUNK_BYTES];
                    match carrier.read(&mut chunk).await {
                        Ok(0) => stepper.close(),
                        Ok(count) => stepper.take(&chunk[..count]),
                        // A peer that ends TLS without its farewell closes too.
                        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => stepper.close(),
                        Err(error) => return Err(broken(&error, peer, &waiting)),
                    }
                }
                Action::Send(line) => {
                    let doing = format!("query_response[{number}]: sending its line");
                    trace.at(Step::Doing(doing.clone().into()));
                    let sent = async {
                        carrier.write_all(&line).await?;
                        carrier.flush().await
                    };
                    sent.await.map_err(|error| broken(&error, peer, &doing))?;
                }
                Action::StartTls => {
                    let left = stepper.forget();
                    if left > 0 {
                        let note = || format!("{left} bytes that came before TLS are left aside");
                        trace.report.log_step(note);
                    }
                    carrier = secured(self.tls.as_mut(), carrier, peer, host, trace).await?;
                    trace.enter(Phase::Processing);
                }
                Action::Found(step, values) => {
                    if let Some(Some(info)) = self.labels.get(step) {
                        info.tell(values, trace.report);
                    }
                }
                Action::End => return Ok(()),
            }
        }
    }
}

impl Speaker {
    /// What comes next, where lines that are long or dear are looked at on a thread for that.
    async fn advance(
        &self,
        stepper: &mut Stepper,
        trace: &mut RunRecorder<'_>,
    ) -> Result<Result<Action, Fault>, Problem> {
        let begun = Instant::now();
        let none = || Stepper::new(&Steps::default());
        let weight = stepper.weight();
        let shared = Arc::new(Mutex::new(std::mem::replace(stepper, none())));
        let own = Arc::clone(&shared);
        let locked = |shared: &Mutex<Stepper>, budget: &Budget| {
            let mut stepper = shared.lock().unwrap_or_else(PoisonError::into_inner);
            stepper.advance(budget)
        };
        let work = move |budget: &Arc<Budget>| match locked(&own, budget) {
            Err(Fault::TooDear(exhausted)) => Err(exhausted),
            action => Ok(action),
        };
        let action = self.judging.judge(weight, trace.within(LONG), work).await?;
        // What judging takes is not the target's time.
        trace.started += begun.elapsed();
        *stepper = std::mem::replace(
            &mut *shared.lock().unwrap_or_else(PoisonError::into_inner),
            none(),
        );
        Ok(action)
    }
}

/// Wraps what carries the dialogue in TLS.
async fn secured(
    tls: Option<&mut TlsClient>,
    carrier: Box<dyn Carrier>,
    peer: &str,
    host: &str,
    trace: &mut RunRecorder<'_>,
) -> Result<Box<dyn Carrier>, Problem> {
    let Some(tls) = tls else {
        // The settings have it wherever a step begins TLS.
        return Err(Problem::new(Reason::Internal, "TLS without settings for it"));
    };
    let doing = format!("in the TLS handshake with {peer} (is it a port with TLS?)");
    trace.at(Step::Doing(doing.into()));
    Ok(Box::new(tls.handshake_over(carrier, &peer, host, trace).await?))
}

/// The problem of a connection that broke.
fn broken(error: &io::Error, peer: &str, doing: &str) -> Problem {
    io_error::problem(error, format_args!("{peer}, {doing}: {error}"))
}

/// Holds the dialogue of a tcp check that is written in `text`, as YAML, with a server that sends `bytes` whatever it hears:
/// everything that a run does but the connection itself. For tests with arbitrary input.
///
/// # Errors
/// What is wrong with the text, or with what the server sent.
pub fn fuzz_parse(text: &str, bytes: &[u8]) -> Result<Vec<u8>, String> {
    let (node, problems) = yaml::parse(text);
    let Some(node) = node.filter(|_| problems.is_empty()) else {
        return Err("the text is no YAML".to_owned());
    };
    let findings = RefCell::default();
    let place = Place::root(&findings);
    let reading = yaml::read::<TcpOptions>(&node, &place);
    let settings = reading.value.and_then(|options| options.resolve(&place).ok());
    let Some(settings) = settings else {
        let findings = findings.into_inner();
        let first = findings.first().map(|finding| finding.message.clone());
        return Err(first.unwrap_or_default());
    };
    let mut stepper = Stepper::new(&settings.conversation.steps);
    let (mut pieces, mut sent) = (bytes.chunks(PIECE_BYTES), Vec::new());
    loop {
        let action = stepper.advance(&Budget::ample()).map_err(|fault| {
            // As in a run: a problem is one bounded line.
            Problem::new(Reason::Assertion, fault).message().to_owned()
        });
        match action? {
            Action::Read => match pieces.next() {
                Some(piece) => stepper.take(piece),
                None => stepper.close(),
            },
            Action::Send(line) => sent.extend(line),
            Action::StartTls => drop(stepper.forget()),
            Action::Found(..) => {}
            Action::End => return Ok(sent),
        }
        // As a run that is shown does.
        drop((stepper.heard(), stepper.waiting(), stepper.instead()));
    }
}
