//! The recent runs of a check, for its page. They take little memory, because there may be 10,000 checks.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::model::{Moment, Outcome, Phase, Phases, Problem, Reason, Status, WallAnchor};
use crate::verdict::Judgement;

/// How many runs of a check are stored.
pub const RECENT_RUNS: usize = 10;
/// The maximum size of the messages of a check in bytes. Older runs keep only their reasons. With the runs themselves, a check
/// takes at most 1.4 kB.
const MAX_TEXT_BYTES: usize = 768;
/// The size of a problem without its message: the counters of its `Arc`, the reason, the pointer, and the allocator's overhead.
const PROBLEM_BYTES: usize = 72;
/// Means no response time.
const NONE: u32 = u32::MAX;

/// A run for display. The wall-clock time is a Unix time in seconds.
#[derive(Clone, Debug, PartialEq)]
pub struct RecentRun {
    /// When the run ended.
    pub ended: f64,
    /// The status that this run alone implies.
    pub status: Status,
    /// The reason, unless that status is up.
    pub reason: Option<Reason>,
    /// The problem. `None` while up, and if it was removed to make room for newer ones.
    pub problem: Option<Arc<Problem>>,
    /// The time from start to end.
    pub duration: Duration,
    /// The response time of the target.
    pub response_time: Option<Duration>,
    /// The duration of each phase.
    pub phases: Phases,
}

/// The recent runs of one check, newest first.
pub type RecentRuns = Vec<RecentRun>;

/// A stored run. Durations are in microseconds, and at most 71 minutes.
#[derive(Debug)]
struct StoredRun {
    ended: Moment,
    problem: Option<Arc<Problem>>,
    duration: u32,
    response_time: u32,
    phases: [u32; Phase::ALL.len()],
    status: Status,
    reason: Option<Reason>,
}

/// The recent runs of one check, oldest first. Allocates nothing before the first run.
#[derive(Debug, Default)]
pub struct Recent(VecDeque<StoredRun>);

impl Recent {
    /// Adds a run. `problem` is that of the judgement.
    pub fn record(
        &mut self,
        ended: Moment,
        outcome: &Outcome,
        judgement: &Judgement,
        problem: Option<Arc<Problem>>,
    ) {
        if self.0.capacity() == 0 {
            self.0.reserve_exact(RECENT_RUNS);
        }
        if self.0.len() == RECENT_RUNS {
            self.0.pop_front();
        }
        // Repeated failures mostly have the same message. It is stored once.
        let last = self.0.back().and_then(|run| run.problem.as_ref());
        let problem = match (last, problem) {
            (Some(last), Some(problem)) if **last == *problem => Some(Arc::clone(last)),
            (_, problem) => problem,
        };
        let spent = |phase: &Phase| micros(outcome.phases.spent(*phase));
        let mut phases = [0; Phase::ALL.len()];
        for (micros, phase) in phases.iter_mut().zip(Phase::ALL) {
            *micros = spent(phase);
        }
        self.0.push_back(StoredRun {
            ended,
            reason: problem.as_ref().map(|problem| problem.reason),
            problem,
            duration: micros(outcome.duration),
            response_time: outcome.response_time.map_or(NONE, micros),
            phases,
            status: judgement.grade.into(),
        });
        self.bound_texts();
    }

    /// Removes the oldest messages beyond [`MAX_TEXT_BYTES`].
    fn bound_texts(&mut self) {
        let (mut taken, mut newer) = (0, None::<*const Problem>);
        for run in self.0.iter_mut().rev() {
            let Some(problem) = &run.problem else { continue };
            let this = Arc::as_ptr(problem);
            if newer != Some(this) {
                taken += PROBLEM_BYTES + problem.message().len();
            }
            newer = Some(this);
            if taken > MAX_TEXT_BYTES {
                run.problem = None;
            }
        }
    }

    /// The latest runs without one that was not down among them, newest first: when each started, and why it is down.
    pub fn failed_in_a_row(&self) -> impl Iterator<Item = (Moment, Option<Reason>)> {
        let runs = self.0.iter().rev().take_while(|run| run.status == Status::Down);
        runs.map(|run| (run.ended - Duration::from_micros(run.duration.into()), run.reason))
    }

    /// The runs, newest first.
    pub fn view(&self, wall: WallAnchor) -> RecentRuns {
        self.0.iter().rev().map(|run| run.view(wall)).collect()
    }
}

impl StoredRun {
    fn view(&self, wall: WallAnchor) -> RecentRun {
        let mut phases = Phases::default();
        for (micros, phase) in self.phases.iter().zip(Phase::ALL) {
            phases.add(*phase, Duration::from_micros((*micros).into()));
        }
        RecentRun {
            ended: wall.seconds(self.ended),
            status: self.status,
            reason: self.reason,
            problem: self.problem.clone(),
            duration: Duration::from_micros(self.duration.into()),
            response_time: (self.response_time != NONE)
                .then(|| Duration::from_micros(self.response_time.into())),
            phases,
        }
    }
}

/// Converts to microseconds, at most one less than [`NONE`].
fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(NONE).min(NONE - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Conclusion;
    use crate::verdict::Grade;

    fn record(recent: &mut Recent, second: i64, message: Option<&str>) {
        let problem = message.map(|message| Problem::new(Reason::Refused, message));
        let mut outcome = Outcome {
            conclusion: problem.clone().map_or(Conclusion::Success, Conclusion::Failure),
            duration: Duration::from_millis(7),
            response_time: message.is_none().then_some(Duration::from_micros(6_001)),
            ..Outcome::default()
        };
        outcome.phases.add(Phase::Connect, Duration::from_micros(250));
        let judgement = Judgement {
            grade: if problem.is_some() { Grade::Down } else { Grade::Up },
            is_slow: false,
            is_failing: problem.is_some(),
            is_repeated: false,
            problem: problem.clone(),
        };
        let ended = Moment::from_nanos(second * 1_000_000_000);
        recent.record(ended, &outcome, &judgement, problem.map(Arc::new));
    }

    fn view(recent: &Recent) -> RecentRuns {
        recent.view(WallAnchor::new(&crate::model::SystemClock::new()))
    }

    #[test]
    fn the_newest_runs_are_stored() {
        let mut recent = Recent::default();
        assert_eq!((view(&recent).len(), recent.0.capacity()), (0, 0));
        for second in 0..12 {
            record(&mut recent, second, (second % 2 == 1).then_some("refused"));
        }
        let runs = view(&recent);
        assert_eq!((runs.len(), recent.0.capacity()), (RECENT_RUNS, RECENT_RUNS));
        assert!((runs[0].ended - runs[9].ended - 9.0).abs() < 1e-6);
        assert_eq!(
            (runs[0].status, runs[0].reason),
            (Status::Down, Some(Reason::Refused))
        );
        assert_eq!(
            (runs[0].response_time, runs[1].response_time),
            (None, Some(Duration::from_micros(6_001)))
        );
        assert_eq!((runs[1].status, runs[1].problem.is_none()), (Status::Up, true));
        assert_eq!(runs[1].duration, Duration::from_millis(7));
        assert_eq!(runs[1].phases.spent(Phase::Connect), Duration::from_micros(250));
        assert_eq!(runs[1].phases.spent(Phase::Tls), Duration::ZERO);
    }

    #[test]
    fn equal_messages_are_stored_once_and_old_messages_are_removed() {
        let mut recent = Recent::default();
        let long = "x".repeat(400);
        for second in 0..10 {
            record(&mut recent, second, Some(&long));
        }
        let runs = view(&recent);
        let first = runs[0].problem.as_ref().unwrap();
        assert!(
            runs.iter()
                .all(|run| Arc::ptr_eq(run.problem.as_ref().unwrap(), first))
        );
        record(&mut recent, 10, Some(&"y".repeat(400)));
        let runs = view(&recent);
        assert!(runs[0].problem.is_some() && runs[1..].iter().all(|run| run.problem.is_none()));
        assert!(runs.iter().all(|run| run.reason == Some(Reason::Refused)));
    }

    #[test]
    fn a_check_takes_less_than_1500_bytes() {
        let runs = RECENT_RUNS * size_of::<StoredRun>();
        assert!(size_of::<Recent>() + runs + MAX_TEXT_BYTES < 1500, "{runs}");
    }

    #[test]
    fn durations_saturate() {
        assert_eq!(micros(Duration::from_secs(7200)), NONE - 1);
    }
}
