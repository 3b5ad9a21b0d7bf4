//! The dialogue of tcp, unix and websocket checks: the steps of `query_response` over a connection. Over a stream, TLS starts at
//! the beginning, at a step, or not at all.

mod engine;
mod error;
mod families;
mod link;
mod quote;
mod stepper;

use std::cell::RefCell;

use self::engine::Engine;
pub use self::families::{EXPECT_INFO, FAILED_DUE_TO_BYTES, FAILED_DUE_TO_REGEX, PROBE_FAMILIES};
use self::link::StreamLink;
pub use self::link::{Link, Received};
pub use self::stepper::MAX_MESSAGE_BYTES;
use self::stepper::{Action, Framing, Stepper};
use super::CheckContext;
use crate::config::budget::Budget;
use crate::config::dialogue::{Conversation, Steps};
use crate::config::place::Place;
use crate::config::tcp::TcpOptions;
use crate::config::yaml;
use crate::model::{Problem, Reason, Report};
use crate::net::read_budget::ReadBudget;
use crate::net::run_recorder::RunRecorder;
use crate::net::stream::Stream;
use crate::net::tls::TlsClient;

/// How many bytes a run reads, including TLS.
const MAX_BYTES: u64 = 1 << 20;
/// How many bytes [`fuzz_parse`] passes at once. Small, so that lines are split anywhere.
const PIECE_BYTES: usize = 61;

/// The client side of dialogues over streams, reused by all runs of a check.
#[derive(Debug)]
pub struct DialogueClient {
    engine: Engine,
    is_tls_first: bool,
    tls: Option<TlsClient>,
    read_budget: ReadBudget,
}

impl DialogueClient {
    /// Creates the client for these settings.
    pub fn new(conversation: &Conversation, context: &CheckContext) -> Self {
        let tls = conversation.tls.as_ref();
        Self {
            engine: Engine::new(&conversation.steps, Framing::Lines, context),
            is_tls_first: conversation.is_tls_first,
            tls: tls.map(|settings| TlsClient::new(settings, &[], &context.network.trust)),
            read_budget: ReadBudget::new(MAX_BYTES),
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
        let mut link = StreamLink::new(stream, self.tls.as_mut(), peer, host);
        if self.is_tls_first {
            link.start_tls(recorder).await?;
        }
        self.engine.run(&mut link, recorder).await
    }
}

/// The client side of dialogues over messages, reused by all runs of a check. A step with `expect` evaluates exactly one message.
#[derive(Debug)]
pub struct MessageDialogue(Engine);

impl MessageDialogue {
    /// Creates the client for these steps.
    pub fn new(steps: &Steps, context: &CheckContext) -> Self {
        Self(Engine::new(steps, Framing::Messages, context))
    }

    /// Runs the dialogue.
    ///
    /// # Errors
    /// Why the dialogue failed.
    pub async fn run(&mut self, link: &mut impl Link, recorder: &mut RunRecorder<'_>) -> Result<(), Problem> {
        self.0.run(link, recorder).await
    }
}

/// Runs the dialogue of a tcp check, given as YAML in `text`, with a server that sends `bytes`. Does everything that a run does
/// except connecting. With `is_messages`, the bytes are messages of a WebSocket. For tests with arbitrary input.
///
/// # Errors
/// If the text is invalid or the dialogue fails.
pub fn fuzz_parse(text: &str, bytes: &[u8], is_messages: bool) -> Result<Vec<u8>, String> {
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
    let framing = if is_messages {
        Framing::Messages
    } else {
        Framing::Lines
    };
    let mut stepper = Stepper::new(&settings.conversation.steps, framing);
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
