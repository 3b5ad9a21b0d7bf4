//! Compares the verdicts with a naive model that keeps the whole history, over random runs of several checks.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::model::{
    Conclusion, Condition, Moment, Outcome, Problem, Reason, Severity, Status, Thresholds, Tolerance,
};

const STALE_AFTER: Duration = Duration::from_nanos(40);
const DEADLINE: Duration = Duration::from_nanos(20);

/// One run of one check.
#[derive(Clone, Copy, Debug)]
struct Event {
    check: usize,
    pause: i64,
    lasts: i64,
    grade: Grade,
    is_slow: bool,
    is_repeated: bool,
    /// Suppression starts or ends before the run.
    is_suppressed: Option<bool>,
}

/// A check in the naive model: its rules and all of its runs.
#[derive(Clone, Debug)]
struct Naive {
    counts: Counts,
    runs: Vec<(Grade, Moment)>,
    status: Option<Grade>,
    degraded_since: Option<Moment>,
    down_since: Option<Moment>,
}

impl Naive {
    fn new(counts: Counts) -> Self {
        Self {
            counts,
            runs: Vec::new(),
            status: None,
            degraded_since: None,
            down_since: None,
        }
    }

    /// The definition: if all of the last n runs are worse (better) than the status, the mildest (worst) one decides. For the better, the
    /// runs must also span nine tenths of `better_span`; if the last n do not, more runs before them count.
    fn record(&mut self, grade: Grade, start: Moment) {
        self.runs.push((grade, start));
        let last = |count: u32| {
            let count = count as usize;
            (self.runs.len() >= count).then(|| &self.runs[self.runs.len() - count..])
        };
        let next = match self.status {
            None => grade,
            Some(status) => {
                let worse = last(self.counts.worse)
                    .and_then(|runs| runs.iter().map(|run| run.0).min())
                    .filter(|mildest| *mildest > status);
                let span = self.counts.better_span.as_nanos() as i64;
                let better = (self.counts.better..=self.runs.len() as u32)
                    .filter_map(last)
                    .find(|runs| start.as_nanos() - runs[0].1.as_nanos() >= span - span / 10)
                    .and_then(|runs| runs.iter().map(|run| run.0).max())
                    .filter(|worst| *worst < status);
                worse.or(better).unwrap_or(status)
            }
        };
        self.status = Some(next);
        let series = |bound: Grade| {
            let good = self.runs.iter().rposition(|run| run.0 < bound);
            self.runs[good.map_or(0, |position| position + 1)].1
        };
        let since =
            |bound: Grade, old: Option<Moment>| (next >= bound).then(|| old.unwrap_or_else(|| series(bound)));
        let degraded_since = since(Grade::Degraded, self.degraded_since);
        let down_since = since(Grade::Down, self.down_since);
        (self.degraded_since, self.down_since) = (degraded_since, down_since);
    }
}

fn grade() -> impl Strategy<Value = Grade> {
    prop_oneof![Just(Grade::Up), Just(Grade::Degraded), Just(Grade::Down)]
}

fn event() -> impl Strategy<Value = Event> {
    let is_suppressed = prop_oneof![8 => Just(None), 1 => Just(Some(true)), 2 => Just(Some(false))];
    (
        0..3_usize,
        0..8_i64,
        0..30_i64,
        grade(),
        any::<bool>(),
        prop::bool::weighted(0.2),
        is_suppressed,
    )
        .prop_map(
            |(check, pause, lasts, grade, is_slow, is_repeated, is_suppressed)| Event {
                check,
                pause,
                lasts,
                grade,
                is_slow,
                is_repeated,
                is_suppressed,
            },
        )
}

fn rules(worse: u32, better: u32) -> Rules {
    Rules {
        thresholds: None,
        severity: Severity::Critical,
        counts: Counts {
            worse,
            better,
            better_span: Duration::ZERO,
        },
        deadline: DEADLINE,
        stale_after: STALE_AFTER,
    }
}

/// All runs of all checks: the check, the judgement, and the time.
type History = Vec<(usize, Judgement, Run)>;

/// How far the evidence of a check for a condition reaches after `from`, by the definition over all of its runs. `None` if the last run
/// does not show the condition. A run that repeats an earlier result is not one of them, unless it is the first.
fn naive_evidence(history: &History, check: usize, condition: Condition, from: Moment) -> Option<i64> {
    let runs: Vec<_> = history.iter().filter(|(whose, ..)| *whose == check).collect();
    let counts = |position: &usize| *position == 0 || !runs[*position].1.is_repeated;
    let (_, last, run) = (0..runs.len())
        .rev()
        .find(counts)
        .map(|position| runs[position])?;
    let holds = match condition {
        Condition::Down => last.grade == Grade::Down,
        Condition::Degraded => last.grade != Grade::Up,
        Condition::Slow => last.is_slow,
    };
    let watched_since = runs
        .windows(2)
        .filter(|pair| pair[1].2.started > pair[0].2.ended + STALE_AFTER)
        .map(|pair| pair[1].2.started)
        .next_back();
    let from = watched_since.map_or(from, |since| since.max(from));
    let until = run.ended.min(run.started + DEADLINE);
    holds.then(|| until.as_nanos() - from.as_nanos())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_grade_follows_the_definition(
        worse in 1..5_u32,
        better in 1..5_u32,
        better_span in 0..40_u64,
        runs in prop::collection::vec((grade(), 0..20_i64), 0..60),
    ) {
        let counts = Counts { worse, better, better_span: Duration::from_nanos(better_span) };
        let mut naive = Naive::new(counts);
        let mut ours = Debounced::default();
        let mut now = 0;
        for (run, pause) in runs {
            now += pause;
            let start = Moment::from_nanos(now);
            naive.record(run, start);
            ours.record(run, start, counts);
            // Normalizing at any time changes nothing.
            ours = ours.normalized();
            prop_assert_eq!(ours.grade, naive.status);
            prop_assert_eq!(ours.since_at_least(Level::Degraded), naive.degraded_since);
            prop_assert_eq!(ours.since_at_least(Level::Down), naive.down_since);
            // A run at the announced time completes a recovery if it is good.
            if let Some(left) = ours.recovers_after(start, counts) {
                let mut next = ours;
                next.record(Grade::Up, start + left, counts);
                prop_assert!(next.grade < ours.grade, "{:?} after {:?}", next, left);
            }
        }
    }

    /// A service has several checks, whose runs end in any order.
    #[test]
    fn conditions_follow_the_definition(
        worse in 1..4_u32,
        better in 1..4_u32,
        tolerances in (0..60_u64, 0..60_u64, 0..60_u64),
        rechecks in (0..20_u64, 0..20_u64, 0..20_u64),
        counts_from in prop::option::of(100..400_i64),
        until_down in 1..4_usize,
        events in prop::collection::vec(event(), 1..80),
    ) {
        let rules = rules(worse, better);
        let mut confirmation = Confirmation {
            tolerance: Tolerance {
                down: Duration::from_nanos(tolerances.0),
                degraded: Duration::from_nanos(tolerances.1),
                slow: Duration::from_nanos(tolerances.2),
            },
            counts_from: counts_from.map(Moment::from_nanos),
            is_suppressed: false,
        };
        let rechecks = [rechecks.0, rechecks.1, rechecks.2].map(Duration::from_nanos);
        let mut history = History::new();
        let mut naive_confirmed = [false; 3];
        let mut checks = [CheckVerdict::default(); 3];
        let mut ended = [None; 3];
        let mut conditions = Conditions::default();
        let mut now = Moment::from_nanos(100);
        for event in events {
            now = now + Duration::from_nanos(event.pause.unsigned_abs());
            let before = conditions;
            if let Some(is_suppressed) = event.is_suppressed {
                if confirmation.is_suppressed && !is_suppressed {
                    confirmation.counts_from = Some(now);
                }
                confirmation.is_suppressed = is_suppressed;
            }
            // Runs of a check do not overlap.
            let began = Moment::from_nanos(now.as_nanos() - event.lasts);
            let started = ended[event.check].map_or(began, |end| began.max(end));
            let judgement = Judgement {
                grade: event.grade,
                is_slow: event.is_slow && event.grade > Grade::Up,
                is_failing: event.grade == Grade::Down,
                is_repeated: event.is_repeated,
                problem: None,
            };
            let run = Run { started, ended: now };
            let (has_run, grade_before) = (ended[event.check].is_some(), checks[event.check].grade);
            checks[event.check].record(&judgement, run, ended[event.check], &rules);
            ended[event.check] = Some(now);
            history.push((event.check, judgement, run));
            let holders = checks.iter().zip(rechecks).map(|(verdict, recheck_interval)| CheckInput {
                verdict,
                recheck_interval,
            });
            conditions.update(holders.clone(), until_down, &confirmation);
            let again = conditions;
            conditions.update(holders, until_down, &confirmation);
            prop_assert_eq!(again, conditions, "nothing changes without a run");
            if event.is_repeated && has_run {
                prop_assert_eq!(checks[event.check].grade, grade_before, "a repeated result counts once");
            }

            let required = |condition| if condition == Condition::Down { until_down } else { 1 };
            for (&condition, naive) in Condition::ALL.iter().zip(&mut naive_confirmed) {
                let Some(since) = conditions.since(condition) else {
                    *naive = false;
                    continue;
                };
                let from = confirmation.counts_from.map_or(since, |from| from.max(since));
                *naive |= !confirmation.is_suppressed && (0..3).filter(|&check| {
                    let tolerance = confirmation.tolerance.of(condition).as_nanos() as i64;
                    let needed = (tolerance - rechecks[check].as_nanos() as i64).max(0);
                    let evidence = naive_evidence(&history, check, condition, from);
                    checks[check].holds_since(condition).is_some()
                        && evidence.is_some_and(|evidence| evidence >= needed)
                }).count() >= required(condition);
            }
            prop_assert_eq!(conditions.confirmed, naive_confirmed);

            for (condition, since) in Condition::ALL.iter().zip(conditions.since) {
                let old = before.since(*condition);
                prop_assert!(since.is_none_or(|since| since <= now), "{condition} since the future");
                if let (Some(old), Some(since)) = (old, since) {
                    prop_assert!(since <= old, "{condition} moved forward");
                    prop_assert!(since == old || *condition == Condition::Degraded);
                }
                let mut holds: Vec<Moment> = checks.iter().filter_map(|check| check.holds_since(*condition)).collect();
                holds.sort_unstable();
                let held = holds.get(required(*condition) - 1);
                if let (None, Some(since), Condition::Down) = (old, since, condition) {
                    prop_assert_eq!(Some(&since), held, "down since enough checks are");
                }
                let all_have_run = checks.iter().all(|check| check.grade.grade.is_some());
                prop_assert_eq!(since.is_some(), held.is_some() || (old.is_some() && !all_have_run));
            }
            let [down, degraded, slow] = conditions.since;
            prop_assert!(down.is_none_or(|down| degraded.is_some_and(|degraded| degraded <= down)));
            prop_assert!(slow.is_none() || degraded.is_some());

            let statuses: Vec<Status> = checks
                .iter()
                .zip(ended)
                .map(|(check, ended)| check.status(ended, STALE_AFTER, now))
                .collect();
            match service_status(statuses.iter().copied(), until_down) {
                Status::Down => prop_assert!(down.is_some()),
                Status::Degraded => prop_assert!(degraded.is_some()),
                Status::Up => prop_assert_eq!(conditions, Conditions::default()),
                Status::Unknown => prop_assert!(statuses.contains(&Status::Unknown)),
            }
        }
    }

    /// The judgement of any run is consistent.
    #[test]
    fn a_judgement_is_consistent(
        kind in 0..3_u8,
        response_time in prop::option::of(0..10_000_u64),
        degraded in 1..5000_u64,
        more in 0..5000_u64,
        is_timed in any::<bool>(),
        is_warning in any::<bool>(),
    ) {
        let problem = Problem::new(Reason::Assertion, "text");
        let conclusion = match kind {
            0 => Conclusion::Success,
            1 => Conclusion::Warning(problem),
            _ => Conclusion::Failure(problem),
        };
        let response_time = response_time.map(Duration::from_millis);
        let outcome = Outcome { conclusion, duration: Duration::ZERO, response_time, ..Outcome::default() };
        let thresholds = Thresholds {
            degraded: Duration::from_millis(degraded),
            down: Duration::from_millis(degraded + more),
        };
        let graded_by = Rules {
            thresholds: is_timed.then_some(thresholds),
            severity: if is_warning { Severity::Warning } else { Severity::Critical },
            ..rules(1, 1)
        };
        let judged = judge(&outcome, &graded_by).expect("the run is conclusive");
        prop_assert_eq!(judged.problem.is_none(), judged.grade == Grade::Up);
        prop_assert!(!judged.is_slow || judged.is_failing);
        prop_assert!(!judged.is_failing || judged.grade > Grade::Up);
        prop_assert!(!is_warning || judged.grade < Grade::Down);
        prop_assert_eq!(judged.is_slow, is_timed && response_time.is_some_and(|time| time >= thresholds.down));
    }
}
