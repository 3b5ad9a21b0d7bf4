//! Runs a check once: under its deadline, with its panics caught and its secrets hidden. The scheduler, `/probe` and the command
//! `check` all run checks through [`Attempt::run`].

mod certificate;
mod deadline;
mod discard;
mod panics;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::check::Check;
use crate::config::KindSettings;
use crate::config::certificate::CertificateLimits;
use crate::config::duration::DurationText;
use crate::model::{
    Conclusion, DebugLog, LostSince, LostTime, Outcome, Problem, Reason, Report, Sample, UsedSecrets,
};
pub use deadline::DeadlinePolicy;
use deadline::{TimedOut, run_until_deadline};
pub use discard::count_discarded;
use panics::{CatchPanic, Panic, catch, install_panic_hook};

/// How many samples a probe usually has; the list grows when there are more.
const PROBE_SAMPLES: usize = 24;

/// Something that can be run: in production a [`Check`].
pub trait Runnable: Send + 'static {
    /// Runs once; see [`Check::run`].
    fn run(&mut self, report: &mut Report) -> impl Future<Output = Result<(), Problem>> + Send;

    /// Notified with `notify_one` when the check should run before its next tick.
    fn wakeup(&self) -> Option<Arc<Notify>>;
}

impl Runnable for Check {
    async fn run(&mut self, report: &mut Report) -> Result<(), Problem> {
        Self::run(self, report).await
    }

    fn wakeup(&self) -> Option<Arc<Notify>> {
        Self::wakeup(self)
    }
}

/// The parameters of one run.
#[derive(Debug)]
pub struct Attempt<'a> {
    /// The settings of the check's kind.
    pub kind: &'a KindSettings,
    /// When the run starts.
    pub started: Instant,
    /// When an expiring certificate fails the run.
    pub certificate: CertificateLimits,
    /// How long the run may take.
    pub timeout: Duration,
    /// What lost time does to the deadline.
    pub deadline_policy: DeadlinePolicy,
    /// The time that this process loses.
    pub lost: &'a Arc<LostTime>,
    /// Whether to record the steps of the run.
    pub is_debug: bool,
    /// Whether to collect the samples of `/probe`.
    pub is_probe: bool,
}

/// The result of one run. It contains no secrets that the run used.
#[derive(Debug)]
pub struct RunResult {
    /// The result as the store records it.
    pub outcome: Outcome,
    /// The steps of the run; `None` unless requested.
    pub debug_log: Option<DebugLog>,
    /// The samples of `/probe`; empty unless requested.
    pub probe_samples: Vec<Sample>,
}

impl Attempt<'_> {
    /// Runs once. `build` makes the check if there is none. A check that panics is dropped, so that the next run builds a new one.
    pub async fn run<R: Runnable>(
        self,
        check: &mut Option<R>,
        build: impl FnOnce() -> R + Send,
    ) -> RunResult {
        install_panic_hook();
        let mut report = Report {
            deadline: Some(self.started + self.timeout),
            lost: LostSince::now(self.lost),
            debug_log: self.is_debug.then(DebugLog::new),
            probe: self.is_probe.then(|| Vec::with_capacity(PROBE_SAMPLES)),
            ..Report::default()
        };
        let lost = report.lost.clone();
        let secrets = UsedSecrets::default();
        // Boxed, so that it can be dropped before the check.
        let run: Pin<Box<dyn Future<Output = _> + Send + '_>> = Box::pin(secrets.scope(async {
            let check = check.get_or_insert_with(build);
            check.run(&mut report).await
        }));
        let mut run = CatchPanic::new(run);
        let result = self.wait(&mut run, &lost).await;
        let lost = lost.lost();
        // Dropping a run that timed out closes its sockets. It may panic too.
        let dropped = catch(|| drop(run));
        let has_panicked = matches!(result, Ok(Err(_))) || dropped.is_err();
        if has_panicked {
            let broken = check.take();
            // Dropping a check after a panic may panic again. That adds no information.
            let _ = catch(|| drop(broken));
        }
        let mut result = self.finish(report, result, lost);
        result.scrub(&secrets, self.kind);
        result
    }

    async fn wait<F: Future + Unpin>(&self, run: F, lost: &LostSince) -> Result<F::Output, TimedOut> {
        match self.deadline_policy {
            DeadlinePolicy::Extend { .. } => run_until_deadline(run, self.started, self.timeout, lost).await,
            DeadlinePolicy::Fixed => {
                let result = timeout_at(self.started + self.timeout, run).await;
                result.map_err(|_| TimedOut {
                    had_its_time: !discard::is_excessive(lost.lost(), self.timeout),
                })
            }
        }
    }

    fn finish(
        &self,
        report: Report,
        result: Result<Result<Result<(), Problem>, Panic>, TimedOut>,
        lost: Duration,
    ) -> RunResult {
        let is_timed = self.kind.kind().is_timed();
        let mut response_time = report.response_time.filter(|_| is_timed);
        // A warning must not hide that the certificate expires.
        let result = match result {
            Ok(Ok(Ok(()))) => Ok(Ok(certificate::judge(
                report.certificate_expires,
                self.certificate,
            ))),
            other => other,
        };
        let conclusion = match result {
            Ok(Ok(Ok(()))) => match report.warning {
                None => Conclusion::Success,
                Some(problem) if problem.shortage.is_some() => Conclusion::Inconclusive(problem),
                Some(problem) => Conclusion::Warning(problem),
            },
            Ok(Ok(Err(problem))) => {
                let is_excused =
                    discard::is_excessive(lost, self.timeout) && discard::can_cause(&problem, self.kind);
                discard::conclude(problem, is_excused, lost, self.deadline_policy)
            }
            Ok(Err(panic)) => panic.into_problem().into(),
            Err(TimedOut { had_its_time }) => {
                response_time = is_timed.then_some(self.timeout);
                let problem = timeout_problem(self.timeout, &report.step);
                discard::conclude(problem, !had_its_time, lost, self.deadline_policy)
            }
        };
        let outcome = Outcome {
            conclusion,
            duration: self.started.elapsed(),
            response_time,
            phases: report.phases,
            pids: report.pids,
            running_since: report.running_since,
            samples: report.samples,
            catalog: report.catalog,
            job: report.job,
            findings: report.findings,
            next_run_after: report.next_run_after,
            is_repeated: report.is_repeated,
        };
        RunResult {
            outcome,
            debug_log: report.debug_log,
            probe_samples: report.probe.unwrap_or_default(),
        }
    }
}

impl RunResult {
    /// Hides secrets in all texts: the target may have sent them back. Most runs succeed and have no texts, which costs nothing.
    fn scrub(&mut self, secrets: &UsedSecrets, kind: &KindSettings) {
        let has_texts = self.debug_log.is_some()
            || self.outcome.has_texts()
            || self.probe_samples.iter().any(Sample::has_texts);
        if !has_texts {
            return;
        }
        if let Some(scrubber) = secrets.scrubber(|| kind.target()) {
            self.outcome.scrub(&scrubber);
            Sample::scrub(&mut self.probe_samples, &scrubber);
            if let Some(debug_log) = &mut self.debug_log {
                debug_log.scrub(&scrubber);
            }
        }
    }
}

fn timeout_problem(timeout: Duration, step: &str) -> Problem {
    let timeout = DurationText(timeout);
    if step.is_empty() {
        Problem::new(Reason::Timeout, format_args!("timed out after {timeout}"))
    } else {
        Problem::new(
            Reason::Timeout,
            format_args!("timed out after {timeout} while {step}"),
        )
    }
}
