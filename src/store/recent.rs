//! The last runs of a check, for the page that shows it: a few, kept small, for there may be 10,000 checks.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::walltime::WallAnchor;
use crate::model::{Moment, Outcome, Phase, Phases, Problem, Reason, Status};
use crate::verdict::Judgement;

/// How many runs of a check are kept.
pub const RECENT_RUNS: usize = 10;
/// What the texts of a check's kept runs may take, in bytes; older runs keep their reason only. With the runs
/// themselves that makes at most 1.4 kB a check.
const MAX_TEXT_BYTES: usize = 768;
/// What a problem takes beside its message: the counts of its `Arc`, the reason, the pointer, what the allocator adds.
const PROBLEM_BYTES: usize = 72;
/// Stands for no response time.
const NONE: u32 = u32::MAX;

/// One run as it is shown. The wall-clock time is a Unix time in seconds.
#[derive(Clone, Debug, PartialEq)]
pub struct RecentRun {
    /// When it ended.
    pub ended: f64,
    /// What it says of its check by itself.
    pub status: Status,
    /// Why it does not say that the check is up.
    pub reason: Option<Reason>,
    /// The same in full; missing where so many other texts came after it that this one was let go.
    pub problem: Option<Arc<Problem>>,
    /// From start to end.
    pub duration: Duration,
    /// How long the target took to answer.
    pub response_time: Option<Duration>,
    /// How long each part took.
    pub phases: Phases,
}

/// The last runs of one check, the newest first.
pub type RecentRuns = Vec<RecentRun>;

/// A run as it is kept; times in microseconds, which end at 71 minutes.
#[derive(Debug)]
struct Kept {
    ended: Moment,
    problem: Option<Arc<Problem>>,
    duration: u32,
    response_time: u32,
    phases: [u32; Phase::ALL.len()],
    status: Status,
    reason: Option<Reason>,
}

/// The last runs of one check, the oldest first. Takes no memory before the first one.
#[derive(Debug, Default)]
pub struct Recent(VecDeque<Kept>);

impl Recent {
    /// Takes in a run; `problem` is the judgement's.
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
        // A target that stays away fails in the same words each time.
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
        self.0.push_back(Kept {
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

    /// Lets go of the oldest texts beyond [`MAX_TEXT_BYTES`].
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

    /// The runs, the newest first.
    pub fn view(&self, wall: WallAnchor) -> RecentRuns {
        self.0.iter().rev().map(|run| run.view(wall)).collect()
    }
}

impl Kept {
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

/// At most one less than [`NONE`].
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
            problem: problem.clone(),
        };
        let ended = Moment::from_nanos(second * 1_000_000_000);
        recent.record(ended, &outcome, &judgement, problem.map(Arc::new));
    }

    fn view(recent: &Recent) -> RecentRuns {
        recent.view(WallAnchor::new(&crate::model::SystemClock::new()))
    }

    #[test]
    fn the_newest_runs_are_kept_in_full() {
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
    fn the_same_words_are_kept_once_and_old_texts_go() {
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
    fn a_check_costs_less_than_a_thousand_and_a_half_bytes() {
        let runs = RECENT_RUNS * size_of::<Kept>();
        assert!(size_of::<Recent>() + runs + MAX_TEXT_BYTES < 1500, "{runs}");
    }

    #[test]
    fn a_run_of_hours_is_long_and_no_more() {
        assert_eq!(micros(Duration::from_secs(7200)), NONE - 1);
    }
}
