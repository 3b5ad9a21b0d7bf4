//! The task of one check.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::Runnable;
use super::attempt::{Conditions, attempt};
use super::gate::Gate;
use super::timetable::Timetable;
use crate::config::CheckSettings;
use crate::log_throttle::LogThrottle;
use crate::model::{Clock, Conclusion, LostTime, Problem, Shortage};
use crate::store::{CheckHandle, Run, Store};

/// The least time from one early run's start to the next one's. A unit that fails is reported in two steps (deactivating,
/// failed), and the second one is to be seen within 100 ms too.
const EARLY_GAP: Duration = Duration::from_millis(50);

/// What the task of one check holds between runs, beside the check.
pub struct Runner {
    pub store: Arc<Store>,
    pub clock: Arc<dyn Clock>,
    pub handle: CheckHandle,
    pub settings: Arc<CheckSettings>,
    pub timetable: Timetable,
    pub gate: Arc<Gate>,
    pub lost: Arc<LostTime>,
    /// When the log last told of a run that was inconclusive.
    pub told: Arc<LogThrottle>,
}

impl Runner {
    /// Runs the check whenever it is due, until the task is cancelled.
    pub async fn run<R: Runnable>(self, build: Arc<impl Fn(&Arc<CheckSettings>) -> R + Send + Sync>) {
        let mut check = None;
        let mut last_early = None;
        let mut next = self.timetable.first;
        let mut discarded = 0;
        loop {
            let wakeup = check.as_ref().and_then(R::wakeup);
            let planned = due(next, wakeup, &mut last_early).await;
            self.gate.pass(planned).await;
            // Between runs a task is small: what a run needs is on the heap only while it lasts.
            next = Box::pin(self.run_once(&mut check, &*build, planned, &mut discarded)).await;
        }
    }

    /// Runs once and records it; gives the time at which the next run is due. `discarded` counts the runs in a row that came
    /// to nothing because time was lost.
    async fn run_once<R: Runnable>(
        &self,
        check: &mut Option<R>,
        build: &(impl Fn(&Arc<CheckSettings>) -> R + Sync),
        planned: Instant,
        discarded: &mut u32,
    ) -> Instant {
        let started = Instant::now();
        let in_flight = self.store.run_started(started.saturating_duration_since(planned));
        let conditions = Conditions {
            lost: &self.lost,
            discarded: *discarded,
        };
        let outcome = attempt(check, build, &self.settings, started, conditions).await;
        drop(in_flight);
        if let Conclusion::Inconclusive(problem) = &outcome.conclusion {
            self.tell(problem);
        }
        *discarded = discarded_after(*discarded, &outcome.conclusion);
        let ended = Instant::now();
        let run = Run {
            started: self.clock.moment(started),
            ended: self.clock.moment(ended),
        };
        let missed = self.timetable.missed(planned, ended);
        let advice = self.store.record(self.handle, run, outcome, missed);
        self.timetable.next(planned, started, ended, advice.recheck)
    }
}

impl Runner {
    /// Logs that a run was inconclusive: once a minute, for a shortage spoils many runs at a time.
    fn tell(&self, problem: &Problem) {
        let Some(more) = self.told.turn() else { return };
        let (check, shortage) = (&self.settings.name, problem.shortage.map(Shortage::as_str));
        let target = self.settings.kind.target();
        tracing::warn!(
            check = check.as_str(), %target, shortage, problem = problem.message(), more,
            "a run was inconclusive: it says nothing of its target"
        );
    }
}

/// How many runs were discarded for lack of time after one that ended so. Once failures count, all of them do until a run
/// succeeds: a condition needs more evidence than one run.
fn discarded_after(discarded: u32, conclusion: &Conclusion) -> u32 {
    match conclusion {
        Conclusion::Inconclusive(problem) => discarded + u32::from(problem.shortage == Some(Shortage::Time)),
        Conclusion::Failure(_) => discarded,
        Conclusion::Success | Conclusion::Warning(_) => 0,
    }
}

/// Waits until a run is due: at `next`, or early, when the check asks for it. The first request after a pause is met at
/// once, further ones [`EARLY_GAP`] apart; one that comes while a run is under way is met after it.
async fn due(next: Instant, wakeup: Option<Arc<Notify>>, last_early: &mut Option<Instant>) -> Instant {
    let Some(wakeup) = wakeup else {
        sleep_until(next).await;
        return next;
    };
    tokio::select! {
        biased;
        () = sleep_until(next) => {}
        () = wakeup.notified() => {
            let allowed = last_early.map(|last| last + EARLY_GAP);
            let early = allowed.map_or_else(Instant::now, |allowed| allowed.max(Instant::now()));
            if early < next {
                sleep_until(early).await;
                *last_early = Some(early);
                // The run that starts now meets the requests that came meanwhile.
                let _ = wakeup.notified().now_or_never();
                return early;
            }
            sleep_until(next).await;
        }
    }
    let _ = wakeup.notified().now_or_never();
    next
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Reason;

    #[test]
    fn failures_count_until_a_run_succeeds() {
        let lack = |shortage| Conclusion::from(Problem::from_shortage(shortage, "text"));
        let failure = Conclusion::Failure(Problem::new(Reason::Timeout, "text"));
        assert_eq!(discarded_after(4, &lack(Shortage::Time)), 5);
        assert_eq!(discarded_after(4, &lack(Shortage::Descriptors)), 4);
        assert_eq!(discarded_after(5, &failure), 5);
        assert_eq!(discarded_after(5, &Conclusion::Success), 0);
    }
}
