//! The task of one check.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::gate::Gate;
use super::timetable::Timetable;
use crate::config::CheckSettings;
use crate::log_throttle::LogThrottle;
use crate::model::{Clock, Conclusion, LostTime, Problem, Shortage};
use crate::runner::{Attempt, DeadlinePolicy, Runnable, count_discarded};
use crate::store::{CheckHandle, Run, Store};

/// The minimum time between the starts of two early runs. systemd reports a failing unit in two steps (deactivating, failed), and
/// the second step should show within 100 ms too.
const EARLY_GAP: Duration = Duration::from_millis(50);

/// The state of a check's task between runs, except the check itself.
pub struct CheckTask {
    pub store: Arc<Store>,
    pub clock: Arc<dyn Clock>,
    pub handle: CheckHandle,
    pub settings: Arc<CheckSettings>,
    pub timetable: Timetable,
    pub gate: Arc<Gate>,
    pub lost: Arc<LostTime>,
    /// Limits log lines about inconclusive runs.
    pub log_throttle: Arc<LogThrottle>,
}

impl CheckTask {
    /// Runs the check whenever it is due, until the task is cancelled.
    pub async fn run<R: Runnable>(self, build: Arc<impl Fn(&Arc<CheckSettings>) -> R + Send + Sync>) {
        let mut check = None;
        let mut last_early = None;
        let mut next = self.timetable.first;
        let mut discarded = 0;
        let of_store = self.store.wakeup(self.handle);
        loop {
            let of_check = check.as_ref().and_then(R::wakeup);
            let wakeup = Wakeup {
                of_check: of_check.as_deref(),
                of_store: of_store.as_deref(),
            };
            let planned = wait_until_due(next, wakeup, &mut last_early).await;
            self.gate.pass(planned).await;
            // Boxed, so that a task is small between runs.
            next = Box::pin(self.run_once(&mut check, &*build, planned, &mut discarded)).await;
        }
    }

    /// Runs once, records the result, and returns when the next run is due. `discarded` counts the runs in a row that were
    /// discarded because of lost time.
    async fn run_once<R: Runnable>(
        &self,
        check: &mut Option<R>,
        build: &(impl Fn(&Arc<CheckSettings>) -> R + Sync),
        planned: Instant,
        discarded: &mut u32,
    ) -> Instant {
        let started = Instant::now();
        let in_flight = self.store.run_started(started.saturating_duration_since(planned));
        let attempt = Attempt {
            kind: &self.settings.kind,
            started,
            certificate: self.settings.certificate,
            timeout: self.settings.timeout,
            deadline_policy: DeadlinePolicy::Extend {
                discarded: *discarded,
            },
            lost: &self.lost,
            is_debug: false,
            is_probe: false,
        };
        let outcome = attempt.run(check, || build(&self.settings)).await.outcome;
        drop(in_flight);
        if let Conclusion::Inconclusive(problem) = &outcome.conclusion {
            self.log_inconclusive(problem);
        }
        *discarded = count_discarded(*discarded, &outcome.conclusion);
        let ended = Instant::now();
        let run = Run {
            started: self.clock.moment(started),
            ended: self.clock.moment(ended),
        };
        let missed = self.timetable.missed(planned, ended);
        let next_run_after = outcome.next_run_after;
        let next_run = self.store.record(self.handle, run, outcome, missed);
        let next = self.timetable.next(planned, started, ended, next_run);
        self.timetable.delay(next, ended, next_run_after)
    }

    /// Logs that a run was inconclusive. At most once a minute, because a shortage affects many runs at a time.
    fn log_inconclusive(&self, problem: &Problem) {
        if problem.shortage == Some(Shortage::Undecided) {
            return;
        }
        let Some(suppressed) = self.log_throttle.allow() else {
            return;
        };
        let (check, shortage) = (&self.settings.name, problem.shortage.map(Shortage::as_str));
        let target = self.settings.kind.target();
        tracing::warn!(
            check = check.as_str(), %target, shortage, problem = problem.message(), suppressed,
            "a run was inconclusive because the exporter lacked a resource"
        );
    }
}

/// What requests early runs: the check itself, and the store when a service that depends on the check's service fails.
struct Wakeup<'a> {
    of_check: Option<&'a Notify>,
    of_store: Option<&'a Notify>,
}

impl Wakeup<'_> {
    /// Waits for a request.
    async fn notified(&self) {
        let one = async |notify: Option<&Notify>| match notify {
            Some(notify) => notify.notified().await,
            None => std::future::pending().await,
        };
        tokio::select! {
            () = one(self.of_check) => {}
            () = one(self.of_store) => {}
        }
    }

    /// Drops the requests that arrived so far.
    fn clear(&self) {
        for notify in [self.of_check, self.of_store].into_iter().flatten() {
            let _ = notify.notified().now_or_never();
        }
    }
}

/// Waits until a run is due: at `next`, or earlier when it is requested. The first request is met at once, further ones
/// [`EARLY_GAP`] apart. A request during a run is met after the run.
async fn wait_until_due(next: Instant, wakeup: Wakeup<'_>, last_early: &mut Option<Instant>) -> Instant {
    tokio::select! {
        biased;
        () = sleep_until(next) => {}
        () = wakeup.notified() => {
            let allowed = last_early.map(|last| last + EARLY_GAP);
            let early = allowed.map_or_else(Instant::now, |allowed| allowed.max(Instant::now()));
            if early < next {
                sleep_until(early).await;
                *last_early = Some(early);
                // The run that starts now also meets requests that arrived meanwhile.
                wakeup.clear();
                return early;
            }
            sleep_until(next).await;
        }
    }
    wakeup.clear();
    next
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Check;

    /// The largest task of a check between its runs, in bytes.
    const MAX_TASK: usize = 1024;
    /// The largest future of a run without that of its kind, in bytes.
    const MAX_RUN: usize = 1536;

    #[test]
    fn tasks_and_runs_are_small() {
        fn size_of_future<A, F: Future>(_: impl FnOnce(A) -> F) -> usize {
            size_of::<F>()
        }
        let build = |_: &Arc<CheckSettings>| -> Check { unreachable!() };
        let task = size_of_future(|task: CheckTask| task.run(Arc::new(build)));
        let run = size_of_future(
            |(task, check, planned): (&'static CheckTask, &'static mut Option<Check>, Instant)| {
                task.run_once(check, &build, planned, Box::leak(Box::default()))
            },
        );
        assert!(task <= MAX_TASK, "{task}");
        assert!(run <= MAX_RUN, "{run}");
    }
}
