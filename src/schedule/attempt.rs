//! One run of a check: under its deadline, with its panics caught.

use std::pin::Pin;
use std::sync::Arc;

use tokio::time::{Instant, timeout_at};

use super::Runnable;
use super::panics::{Guarded, catch};
use crate::config::CheckSettings;
use crate::config::duration::DurationText;
use crate::model::{Conclusion, Journal, Outcome, Problem, Reason, Report, UsedSecrets};

type Run<'a> = Pin<Box<dyn Future<Output = Result<(), Problem>> + Send + 'a>>;

/// Runs once. `check` is built where there is none, and dropped after a panic, so that the next run builds it anew.
pub async fn attempt<R: Runnable>(
    check: &mut Option<R>,
    build: &(impl Fn(&Arc<CheckSettings>) -> R + Sync),
    settings: &Arc<CheckSettings>,
    started: Instant,
) -> Outcome {
    attempt_noting(check, build, settings, started, None).await.0
}

/// Runs once, as [`attempt`] does, and gives back the journal with the steps of the run where one is handed over.
pub async fn attempt_noting<R: Runnable>(
    check: &mut Option<R>,
    build: &(impl Fn(&Arc<CheckSettings>) -> R + Sync),
    settings: &Arc<CheckSettings>,
    started: Instant,
    journal: Option<Journal>,
) -> (Outcome, Option<Journal>) {
    let deadline = started + settings.timeout;
    let mut report = Report {
        deadline: Some(deadline),
        journal,
        ..Report::default()
    };
    let secrets = UsedSecrets::default();
    let run: Run<'_> = Box::pin(secrets.scope(async {
        let check = check.get_or_insert_with(|| build(settings));
        check.run(&mut report).await
    }));
    let mut run = Guarded::new(run);
    let result = timeout_at(deadline, &mut run).await;
    // Dropping what is left of a run frees its sockets. It is foreign code too, so it may panic.
    let dropped = catch(|| drop(run));

    let is_timed = settings.kind.kind().is_timed();
    let mut response_time = report.response_time.filter(|_| is_timed);
    let conclusion = match result {
        Ok(Ok(Ok(()))) => match report.warning {
            None => Conclusion::Success,
            Some(problem) if problem.shortage.is_some() => Conclusion::Inconclusive(problem),
            Some(problem) => Conclusion::Warning(problem),
        },
        Ok(Ok(Err(problem))) => Conclusion::from(problem),
        Ok(Err(panic)) => {
            rebuild(check);
            panic.problem().into()
        }
        Err(_) => {
            if dropped.is_err() {
                rebuild(check);
            }
            response_time = is_timed.then_some(settings.timeout);
            Conclusion::Failure(timed_out(settings, &report.step))
        }
    };
    let mut outcome = Outcome {
        conclusion,
        duration: started.elapsed(),
        response_time,
        phases: report.phases,
        pids: report.pids,
        samples: report.samples,
    };
    let mut journal = report.journal;
    // The target may have given secrets back. Runs that went well and show nothing of it, which is most, cost nothing more.
    if (journal.is_some() || outcome.has_texts())
        && let Some(scrubber) = secrets.scrubber(|| settings.kind.target())
    {
        outcome.scrub(&scrubber);
        journal.iter_mut().for_each(|journal| journal.scrub(&scrubber));
    }
    (outcome, journal)
}

fn rebuild<R>(check: &mut Option<R>) {
    let broken = check.take();
    // What a panic left behind may well panic again when it is dropped; there is nothing more to learn from that.
    let _ = catch(|| drop(broken));
}

fn timed_out(settings: &CheckSettings, step: &str) -> Problem {
    let deadline = DurationText(settings.timeout);
    if step.is_empty() {
        Problem::new(Reason::Timeout, format_args!("timed out after {deadline}"))
    } else {
        Problem::new(
            Reason::Timeout,
            format_args!("timed out after {deadline} while {step}"),
        )
    }
}
