//! Runs the steps of a dialogue over any connection. Reused by all runs of a check.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use super::error::{DialogueError, problem};
use super::families::ExpectInfo;
use super::link::{Link, Received};
use super::stepper::{Action, Framing, Stepper};
use crate::check::CheckContext;
use crate::check::workers::{Evaluator, MAX_WAIT};
use crate::config::budget::Budget;
use crate::config::dialogue::Steps;
use crate::model::Problem;
use crate::net::run_recorder::{RunRecorder, Step};

/// The steps of a dialogue, and what evaluates them.
#[derive(Debug)]
pub struct Engine {
    steps: Steps,
    framing: Framing,
    labels: Vec<Option<ExpectInfo>>,
    evaluator: Evaluator,
}

impl Engine {
    /// Creates the engine for these steps.
    pub fn new(steps: &Steps, framing: Framing, context: &CheckContext) -> Self {
        let labels = steps.iter().map(|step| ExpectInfo::new(&step.labels));
        Self {
            steps: steps.clone(),
            framing,
            labels: labels.collect(),
            evaluator: Evaluator::new(&context.workers),
        }
    }

    /// Runs the steps.
    ///
    /// # Errors
    /// Why the dialogue failed.
    pub async fn run<L: Link>(
        &mut self,
        link: &mut L,
        recorder: &mut RunRecorder<'_>,
    ) -> Result<(), Problem> {
        self.evaluator.begin_run();
        let mut logged = None;
        recorder.enter(L::PHASE);
        let mut stepper = Stepper::new(&self.steps, self.framing);
        loop {
            let action = self.advance(&mut stepper, recorder).await?;
            for line in stepper.take_log() {
                recorder.report.log_step(|| line);
            }
            let number = stepper.number();
            let action = match action {
                Ok(action) => action,
                Err(error) => return Err(problem(&error, link.peer(), number, recorder.report)),
            };
            match action {
                Action::Read => {
                    let waiting = format!("query_response[{number}]: {}", stepper.expectation());
                    if logged != Some(number) {
                        recorder.at(Step::Doing(waiting.clone().into()));
                        logged = Some(number);
                    }
                    recorder.update_step(Step::Doing(format!("{waiting}; {}", stepper.received()).into()));
                    match link.receive(&waiting).await? {
                        Received::Data(bytes) => stepper.receive(&bytes),
                        Received::End => stepper.close(),
                    }
                }
                Action::Send(bytes) => {
                    let doing = format!("query_response[{number}]: sending a {}", self.framing.unit());
                    recorder.at(Step::Doing(doing.clone().into()));
                    link.send(bytes, &doing).await?;
                }
                Action::StartTls => {
                    let discarded = stepper.discard_input();
                    if discarded > 0 {
                        let note = || format!("discarding {discarded} bytes received before TLS");
                        recorder.report.log_step(note);
                    }
                    link.start_tls(recorder).await?;
                    recorder.enter(L::PHASE);
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
        let empty = || Stepper::new(&Steps::default(), self.framing);
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
