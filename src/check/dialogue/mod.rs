//! The dialogue of tcp and unix checks: the steps of `query_response` over a connection. TLS starts at the beginning, at a
//! step, or not at all.

mod error;
mod families;
mod quote;
mod stepper;

use std::cell::RefCell;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

use self::error::{DialogueError, problem};
use self::families::ExpectInfo;
pub use self::families::{EXPECT_INFO, FAILED_DUE_TO_BYTES, FAILED_DUE_TO_REGEX, PROBE_FAMILIES};
use self::stepper::{Action, Stepper};
use super::CheckContext;
use super::workers::{Evaluator, MAX_WAIT};
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

/// How many bytes a run reads, including TLS.
const MAX_BYTES: u64 = 1 << 20;
/// How many bytes are read at once.
const CHUNK_BYTES: usize = 4 << 10;
/// How many bytes [`fuzz_parse`] passes at once. Small, so that lines are split anywhere.
const PIECE_BYTES: usize = 61;

/// The transport of a dialogue: a plain connection, or TLS over any other transport.
trait Transport: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Transport for T {}

/// The client side of dialogues, reused by all runs of a check.
#[derive(Debug)]
pub struct DialogueClient {
    conversation: Conversation,
    tls: Option<TlsClient>,
    labels: Vec<Option<ExpectInfo>>,
    read_budget: ReadBudget,
    evaluator: Evaluator,
}

impl DialogueClient {
    /// Creates the client for these settings.
    pub fn new(conversation: &Conversation, context: &CheckContext) -> Self {
        let tls = conversation.tls.as_ref();
        let labels = conversation
            .steps
            .iter()
            .map(|step| ExpectInfo::new(&step.labels));
        Self {
            conversation: conversation.clone(),
            tls: tls.map(|settings| TlsClient::new(settings, &[], &context.network.trust)),
            labels: labels.collect(),
            read_budget: ReadBudget::new(MAX_BYTES),
            evaluator: Evaluator::new(&context.workers),
        }
    }

    /// Begins a run: adds the samples of a probe. Returns the read budget for the connection.
    pub fn begin(&self, report: &mut Report) -> ReadBudget {
        self.read_budget.renew();
        report.push_probe_sample(&FAILED_DUE_TO_REGEX, Vec::new(), 0.0);
        report.push_probe_sample(&FAILED_DUE_TO_BYTES, Vec::new(), 0.0);
        self.read_budget.clone()
    }

    /// Runs the dialogue with `peer`. Its certificate must be for `host`.
    ///
    /// # Errors
    /// Why the dialogue failed.
    pub async fn run(
        &mut self,
        stream: Stream,
        peer: &str,
        host: &str,
        recorder: &mut RunRecorder<'_>,
    ) -> Result<(), Problem> {
        let mut transport: Box<dyn Transport> = Box::new(stream);
        if self.conversation.is_tls_first {
            transport = start_tls(self.tls.as_mut(), transport, peer, host, recorder).await?;
        }
        self.evaluator.begin_run();
        let mut logged = None;
        recorder.enter(Phase::Processing);
        let mut stepper = Stepper::new(&self.conversation.steps);
        loop {
            let action = self.advance(&mut stepper, recorder).await?;
            for line in stepper.take_log() {
                recorder.report.log_step(|| line);
            }
            let number = stepper.number();
            let action = match action {
                Ok(action) => action,
                Err(error) => return Err(problem(&error, peer, number, recorder.report)),
            };
            match action {
                Action::Read => {
                    let waiting = format!("query_response[{number}]: {}", stepper.expectation());
                    if logged != Some(number) {
                        recorder.at(Step::Doing(waiting.clone().into()));
                        logged = Some(number);
                    }
                    recorder.update_step(Step::Doing(format!("{waiting}; {}", stepper.received()).into()));
                    let mut chunk = [0; CHUNK_BYTES];
                    match transport.read(&mut chunk).await {
                        Ok(0) => stepper.close(),
                        Ok(count) => stepper.receive(&chunk[..count]),
                        // The end of a TLS connection without close_notify.
                        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => stepper.close(),
                        Err(error) => return Err(io_problem(&error, peer, &waiting)),
                    }
                }
                Action::Send(line) => {
                    let doing = format!("query_response[{number}]: sending a line");
                    recorder.at(Step::Doing(doing.clone().into()));
                    let sent = async {
                        transport.write_all(&line).await?;
                        transport.flush().await
                    };
                    sent.await.map_err(|error| io_problem(&error, peer, &doing))?;
                }
                Action::StartTls => {
                    let discarded = stepper.discard_input();
                    if discarded > 0 {
                        let note = || format!("discarding {discarded} bytes received before TLS");
                        recorder.report.log_step(note);
                    }
                    transport = start_tls(self.tls.as_mut(), transport, peer, host, recorder).await?;
                    recorder.enter(Phase::Processing);
                }
                Action::Found(step, values) => {
                    if let Some(Some(info)) = self.labels.get(step) {
                        info.record(values, recorder.report);
                    }
                }
                Action::End => return Ok(()),
            }
        }
    }

    /// Returns the next action. Long or expensive lines are evaluated on a worker thread.
    async fn advance(
        &self,
        stepper: &mut Stepper,
        recorder: &mut RunRecorder<'_>,
    ) -> Result<Result<Action, DialogueError>, Problem> {
        let started = Instant::now();
        let empty = || Stepper::new(&Steps::default());
        let length = stepper.pending_bytes();
        let shared = Arc::new(Mutex::new(std::mem::replace(stepper, empty())));
        let own = Arc::clone(&shared);
        let locked = |shared: &Mutex<Stepper>, budget: &Budget| {
            let mut stepper = shared.lock().unwrap_or_else(PoisonError::into_inner);
            stepper.advance(budget)
        };
        let work = move |budget: &Arc<Budget>| match locked(&own, budget) {
            Err(DialogueError::BudgetExhausted(exhausted)) => Err(exhausted),
            action => Ok(action),
        };
        let wait = recorder.within(MAX_WAIT);
        let action = self.evaluator.evaluate(length, wait, work).await?;
        // The response time does not include the evaluation.
        recorder.started += started.elapsed();
        *stepper = std::mem::replace(
            &mut *shared.lock().unwrap_or_else(PoisonError::into_inner),
            empty(),
        );
        Ok(action)
    }
}

/// Starts TLS over the transport.
async fn start_tls(
    tls: Option<&mut TlsClient>,
    transport: Box<dyn Transport>,
    peer: &str,
    host: &str,
    recorder: &mut RunRecorder<'_>,
) -> Result<Box<dyn Transport>, Problem> {
    let Some(tls) = tls else {
        // Settings with a step that starts TLS always have these.
        return Err(Problem::new(Reason::Internal, "the settings of TLS are missing"));
    };
    let doing = format!("in the TLS handshake with {peer} (is it a port with TLS?)");
    recorder.at(Step::Doing(doing.into()));
    Ok(Box::new(
        tls.handshake_over(transport, &peer, host, recorder).await?,
    ))
}

/// The problem of an I/O error on the connection.
fn io_problem(error: &io::Error, peer: &str, doing: &str) -> Problem {
    io_error::problem(error, format_args!("{peer}, {doing}: {error}"))
}

/// Runs the dialogue of a tcp check, given as YAML in `text`, with a server that sends `bytes`. Does everything that a run does
/// except connecting. For tests with arbitrary input.
///
/// # Errors
/// If the text is invalid or the dialogue fails.
pub fn fuzz_parse(text: &str, bytes: &[u8]) -> Result<Vec<u8>, String> {
    let (node, problems) = yaml::parse(text);
    let Some(node) = node.filter(|_| problems.is_empty()) else {
        return Err("the text is not valid YAML".to_owned());
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
        let action = stepper.advance(&Budget::ample()).map_err(|error| {
            // As in a run, a problem is one bounded line.
            Problem::new(Reason::Assertion, error).message().to_owned()
        });
        match action? {
            Action::Read => match pieces.next() {
                Some(piece) => stepper.receive(piece),
                None => stepper.close(),
            },
            Action::Send(line) => sent.extend(line),
            Action::StartTls => drop(stepper.discard_input()),
            Action::Found(..) => {}
            Action::End => return Ok(sent),
        }
        // As in a run with a debug log.
        drop((stepper.take_log(), stepper.expectation(), stepper.received()));
    }
}
