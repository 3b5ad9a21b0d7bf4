//! One run of a module for a request: under its deadline, with its panics caught.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::check::{Check, Shared};
use crate::config::probe::TargetedModule;
use crate::model::{
    DebugLog, Family, LostSince, LostTime, Problem, Reason, Report, Sample, Shortage, UsedSecrets,
};

static SUCCESS: Family = Family::probe("probe_success", &[], "1 if the probe succeeded, 0 if it failed.");
static DURATION: Family = Family::probe("probe_duration_seconds", &[], "Duration of the probe in seconds.");

/// The part of its deadline that a probe may lose without that explaining a timeout: one in this many.
const SMALL_PART: u32 = 10;

/// What came of a probe.
pub struct Probed {
    pub result: Result<(), Problem>,
    pub samples: Vec<Sample>,
    pub debug_log: Option<DebugLog>,
}

/// Runs `probe` on the runtime of the checks, where there is one. Whoever drops the future cancels it.
pub async fn on(checks: Option<&Handle>, probe: impl Future<Output = Probed> + Send + 'static) -> Probed {
    let Some(checks) = checks else {
        return probe.await;
    };
    let mut task = JoinSet::new();
    task.spawn_on(probe, checks);
    match task.join_next().await {
        Some(Ok(probed)) => probed,
        // Panics are caught in the probe, so the runtime has ended.
        _ => Probed {
            result: Err(Problem::new(Reason::Internal, "the exporter stops")),
            samples: Vec::new(),
            debug_log: None,
        },
    }
}

/// Runs the check of a module once. `lost` is what this process loses of its time.
pub async fn probe(
    aimed: TargetedModule,
    shared: Shared,
    deadline: Duration,
    debug: bool,
    lost: Arc<LostTime>,
) -> Probed {
    let lost = LostSince::now(&lost);
    let started = Instant::now();
    let ends = started + deadline;
    let mut report = Report {
        deadline: Some(ends),
        probe: Some(Vec::with_capacity(24)),
        debug_log: debug.then(DebugLog::new),
        ..Report::default()
    };
    let mut check = Check::of(&aimed.settings, &shared);
    // As large as the largest kind's: boxed, it is neither moved again nor part of each connection's task.
    let secrets = UsedSecrets::default();
    let run = AssertUnwindSafe(Box::pin(secrets.scope(check.run(&mut report)))).catch_unwind();
    let mut result = match timeout_at(ends, run).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(Problem::new(
            Reason::Internal,
            "the probe panicked; the log says more",
        )),
        Err(_) => Err(timed_out(deadline, &report.step, lost.lost())),
    };
    let mut samples = report.probe.take().unwrap_or_default();
    let mut debug_log = report.debug_log;
    if (result.is_err() || debug_log.is_some() || samples.iter().any(Sample::has_texts))
        && let Some(scrubber) = secrets.scrubber(|| aimed.settings.target())
    {
        if let Err(problem) = &mut result {
            problem.scrub(&scrubber);
        }
        Sample::scrub(&mut samples, &scrubber);
        debug_log
            .iter_mut()
            .for_each(|debug_log| debug_log.scrub(&scrubber));
    }
    let mut push = |family, value| {
        samples.push(Sample {
            family,
            labels: Vec::new(),
            value,
        });
    };
    push(&SUCCESS, f64::from(u8::from(result.is_ok())));
    push(&DURATION, started.elapsed().as_secs_f64());
    Probed {
        result,
        samples,
        debug_log,
    }
}

/// The problem of a probe that did not end in time. The scraper waits no longer, so what was lost is not made up for.
fn timed_out(deadline: Duration, step: &str, lost: Duration) -> Problem {
    let text = format!("timed out after {} s while {step}", deadline.as_secs_f64());
    if lost <= deadline / SMALL_PART {
        return Problem::new(Reason::Timeout, text);
    }
    let lost = lost.as_secs_f64();
    let message = format_args!(
        "{text} (the exporter itself stood still for {lost:.1} s of that: give it more CPU time)"
    );
    Problem::from_shortage(Shortage::Time, message)
}
