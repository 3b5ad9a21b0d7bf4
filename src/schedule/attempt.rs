//! One run of a check: under its deadline, with its panics caught.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Runnable;
use super::deadline::{TimedOut, within};
use super::panics::{Guarded, catch};
use crate::config::CheckSettings;
use crate::config::duration::DurationText;
use crate::model::{
    CheckKind, Conclusion, DebugLog, LostSince, LostTime, Outcome, Problem, Reason, Report, Shortage,
    UsedSecrets,
};

type Run<'a> = Pin<Box<dyn Future<Output = Result<(), Problem>> + Send + 'a>>;

/// The part of its deadline that a run may lose without that explaining anything: one in this many.
const SMALL_PART: u32 = 10;

/// How many runs of a check in a row are discarded because time was lost. The next one counts as it is: a check that fails
/// whenever it runs is told even by an exporter that never has enough time.
const MAX_DISCARDED: u32 = 5;

/// Under what conditions a run is made.
#[derive(Clone, Copy, Debug)]
pub struct Conditions<'c> {
    /// The time that this process loses.
    pub lost: &'c Arc<LostTime>,
    /// How many runs before this one, in a row, were discarded because time was lost.
    pub discarded: u32,
}

/// Runs once. `check` is built where there is none, and dropped after a panic, so that the next run builds it anew.
pub async fn attempt<R: Runnable>(
    check: &mut Option<R>,
    build: &(impl Fn(&Arc<CheckSettings>) -> R + Sync),
    settings: &Arc<CheckSettings>,
    started: Instant,
    conditions: Conditions<'_>,
) -> Outcome {
    attempt_noting(check, build, settings, started, conditions, None)
        .await
        .0
}

/// Runs once, as [`attempt`] does, and gives back the debug_log with the steps of the run where one is handed over.
pub async fn attempt_noting<R: Runnable>(
    check: &mut Option<R>,
    build: &(impl Fn(&Arc<CheckSettings>) -> R + Sync),
    settings: &Arc<CheckSettings>,
    started: Instant,
    conditions: Conditions<'_>,
    debug_log: Option<DebugLog>,
) -> (Outcome, Option<DebugLog>) {
    let mut report = Report {
        deadline: Some(started + settings.timeout),
        lost: LostSince::now(conditions.lost),
        debug_log,
        ..Report::default()
    };
    let lost = report.lost.clone();
    let secrets = UsedSecrets::default();
    let run: Run<'_> = Box::pin(secrets.scope(async {
        let check = check.get_or_insert_with(|| build(settings));
        check.run(&mut report).await
    }));
    let mut run = Guarded::new(run);
    let result = within(&mut run, started, settings.timeout, &lost).await;
    let lost = lost.lost();
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
        Ok(Ok(Err(problem))) => {
            let is_explained = lost > settings.timeout / SMALL_PART && is_about_time(settings, &problem);
            judged(problem, is_explained, lost, conditions)
        }
        Ok(Err(panic)) => {
            rebuild(check);
            panic.problem().into()
        }
        Err(TimedOut { had_its_time }) => {
            if dropped.is_err() {
                rebuild(check);
            }
            response_time = is_timed.then_some(settings.timeout);
            judged(timed_out(settings, &report.step), !had_its_time, lost, conditions)
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
    let mut debug_log = report.debug_log;
    // The target may have given secrets back. Runs that went well and show nothing of it, which is most, cost nothing more.
    if (debug_log.is_some() || outcome.has_texts())
        && let Some(scrubber) = secrets.scrubber(|| settings.kind.target())
    {
        outcome.scrub(&scrubber);
        debug_log
            .iter_mut()
            .for_each(|debug_log| debug_log.scrub(&scrubber));
    }
    (outcome, debug_log)
}

/// Whether a run may fail with this problem because its own process stood still: waiting for something ended too early, or the
/// peer gave up waiting.
fn is_about_time(settings: &CheckSettings, problem: &Problem) -> bool {
    match problem.reason {
        Reason::Timeout | Reason::Closed | Reason::Dns => true,
        // What came is judged in a part of the time that is left.
        Reason::Limit => settings.kind.kind().is_timed(),
        // Workers that did not answer in time.
        Reason::Missing => settings.kind.kind() == CheckKind::Celery,
        _ => false,
    }
}

/// How a run ended that stopped with `problem`, where lost time may explain that.
fn judged(problem: Problem, is_explained: bool, lost: Duration, conditions: Conditions<'_>) -> Conclusion {
    let is_bounded = problem.shortage == Some(Shortage::Time);
    if is_bounded && conditions.discarded >= MAX_DISCARDED {
        let text = format!(
            "{} ({MAX_DISCARDED} runs before failed alike, so this one counts)",
            problem.message()
        );
        return Conclusion::Failure(Problem::new(Reason::Timeout, text));
    }
    if problem.shortage.is_some() || !is_explained {
        return problem.into();
    }
    let lost = DurationText(Duration::from_millis(
        u64::try_from(lost.as_millis()).unwrap_or(u64::MAX),
    ));
    let text = problem.message();
    if conditions.discarded < MAX_DISCARDED {
        let message = format_args!(
            "{text} (the exporter itself stood still for {lost} of that: give it more CPU time)"
        );
        return Problem::from_shortage(Shortage::Time, message).into();
    }
    Conclusion::Failure(problem.with_message(format_args!(
        "{text} (the exporter itself stood still for {lost} of that; {MAX_DISCARDED} runs before failed alike, so this one counts)"
    )))
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
