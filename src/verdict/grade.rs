//! Grades a run.

use std::time::Duration;

use crate::model::{Conclusion, Condition, Outcome, Problem, Reason, Severity, Status, Thresholds};

/// The grade of a run, mildest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grade {
    /// Everything is as expected.
    Up,
    /// It works, but not as expected.
    Degraded,
    /// It does not work.
    Down,
}

impl From<Grade> for Status {
    fn from(grade: Grade) -> Self {
        match grade {
            Grade::Up => Self::Up,
            Grade::Degraded => Self::Degraded,
            Grade::Down => Self::Down,
        }
    }
}

/// The number of runs in a row that change a status; at least 1 each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// To a worse status (`failures_before_down`).
    pub worse: u32,
    /// To a better status (`successes_before_up`).
    pub better: u32,
    /// The minimum time between the starts of the first and the last run that change the status to a better one.
    pub better_span: Duration,
}

/// The settings for judging the runs of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Limits of the response time; `None` for kinds without a response time.
    pub thresholds: Option<Thresholds>,
    /// What a failure does to the service.
    pub severity: Severity,
    /// The number of runs in a row that change the status.
    pub counts: Counts,
    /// How long a run may take. A run that ends later was delayed by the exporter, not by the target.
    pub deadline: Duration,
    /// The age from which a result no longer counts.
    pub stale_after: Duration,
}

/// The judgement of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The grade.
    pub grade: Grade,
    /// Whether the response time was at least `thresholds.down`, whether the run succeeded or not.
    pub is_slow: bool,
    /// Whether the run failed or took at least `thresholds.down`, regardless of the check's severity.
    pub is_failing: bool,
    /// Whether the run repeats the result of an earlier one. The verdict counts a result once.
    pub is_repeated: bool,
    /// Why the run is not up; `None` if and only if the grade is [`Grade::Up`].
    pub problem: Option<Problem>,
}

impl Judgement {
    /// Whether the run shows `condition`.
    pub fn shows(&self, condition: Condition) -> bool {
        match condition {
            Condition::Down => self.grade >= Grade::Down,
            Condition::Degraded => self.grade >= Grade::Degraded,
            Condition::Slow => self.is_slow,
        }
    }
}

/// Judges a run; `None` if it was inconclusive.
pub fn judge(outcome: &Outcome, rules: &Rules) -> Option<Judgement> {
    let over = |limit: fn(&Thresholds) -> Duration| match (&rules.thresholds, outcome.response_time) {
        (Some(thresholds), Some(time)) if time >= limit(thresholds) => Some(Problem::new(
            Reason::Slow,
            format_args!(
                "response time {time:.1?} is at or above the threshold of {:?}",
                limit(thresholds)
            ),
        )),
        _ => None,
    };
    let too_slow = over(|thresholds| thresholds.down);
    let is_slow = too_slow.is_some();
    let (grade, problem) = match (&outcome.conclusion, too_slow) {
        (Conclusion::Inconclusive(_), _) => return None,
        (Conclusion::Failure(problem), _) => (Grade::Down, Some(problem.clone())),
        (_, Some(slow)) => (Grade::Down, Some(slow)),
        (Conclusion::Warning(problem), None) => (Grade::Degraded, Some(problem.clone())),
        (Conclusion::Success, None) => match over(|thresholds| thresholds.degraded) {
            Some(slow) => (Grade::Degraded, Some(slow)),
            None => (Grade::Up, None),
        },
    };
    let cap = match rules.severity {
        Severity::Critical => Grade::Down,
        Severity::Warning => Grade::Degraded,
    };
    Some(Judgement {
        grade: grade.min(cap),
        is_slow,
        is_failing: grade == Grade::Down,
        is_repeated: outcome.is_repeated,
        problem,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(severity: Severity) -> Rules {
        Rules {
            thresholds: Some(Thresholds {
                degraded: Duration::from_secs(1),
                down: Duration::from_secs(5),
            }),
            severity,
            counts: Counts {
                worse: 1,
                better: 1,
                better_span: Duration::ZERO,
            },
            deadline: Duration::from_secs(10),
            stale_after: Duration::from_secs(90),
        }
    }

    fn outcome(conclusion: Conclusion, milliseconds: Option<u64>) -> Outcome {
        let response_time = milliseconds.map(Duration::from_millis);
        Outcome {
            conclusion,
            duration: response_time.unwrap_or_default(),
            response_time,
            ..Outcome::default()
        }
    }

    fn problem(reason: Reason) -> Problem {
        Problem::new(reason, "text")
    }

    /// All rows of the table of statuses in the documentation, for both severities.
    #[test]
    fn runs_are_graded_as_documented() {
        use Conclusion::{Failure, Success, Warning};
        use Grade::{Degraded, Down, Up};
        let refused = || Failure(problem(Reason::Refused));
        let timeout = || Failure(problem(Reason::Timeout));
        let limit = || Warning(problem(Reason::Limit));
        // conclusion, response time in ms, grade if critical, grade if warning, slow, reason
        let table = [
            (Success, Some(999), Up, Up, false, None),
            (Success, None, Up, Up, false, None),
            (Success, Some(1000), Degraded, Degraded, false, Some(Reason::Slow)),
            (Success, Some(4999), Degraded, Degraded, false, Some(Reason::Slow)),
            (Success, Some(5000), Down, Degraded, true, Some(Reason::Slow)),
            (limit(), Some(10), Degraded, Degraded, false, Some(Reason::Limit)),
            (
                limit(),
                Some(2000),
                Degraded,
                Degraded,
                false,
                Some(Reason::Limit),
            ),
            (limit(), Some(6000), Down, Degraded, true, Some(Reason::Slow)),
            (refused(), None, Down, Degraded, false, Some(Reason::Refused)),
            (refused(), Some(10), Down, Degraded, false, Some(Reason::Refused)),
            (refused(), Some(5000), Down, Degraded, true, Some(Reason::Refused)),
            (
                timeout(),
                Some(3000),
                Down,
                Degraded,
                false,
                Some(Reason::Timeout),
            ),
            (
                timeout(),
                Some(10_000),
                Down,
                Degraded,
                true,
                Some(Reason::Timeout),
            ),
        ];
        for (conclusion, time, critical, warning, slow, reason) in table {
            let run = outcome(conclusion, time);
            for (severity, grade) in [(Severity::Critical, critical), (Severity::Warning, warning)] {
                let judged = judge(&run, &rules(severity)).unwrap();
                assert_eq!(judged.grade, grade, "{run:?} {severity}");
                assert_eq!(judged.is_slow, slow, "{run:?}");
                assert_eq!(judged.is_failing, critical == Down, "{run:?}");
                assert_eq!(judged.problem.map(|p| p.reason), reason, "{run:?}");
            }
        }
    }

    #[test]
    fn kinds_without_response_time_ignore_thresholds() {
        let untimed = Rules {
            thresholds: None,
            ..rules(Severity::Critical)
        };
        let judged = judge(&outcome(Conclusion::Success, Some(60_000)), &untimed).unwrap();
        assert_eq!((judged.grade, judged.is_slow), (Grade::Up, false));
    }

    #[test]
    fn an_inconclusive_run_has_no_judgement() {
        let lack = Problem::from_shortage(crate::model::Shortage::Time, "text");
        let run = outcome(Conclusion::from(lack), Some(60_000));
        assert_eq!(judge(&run, &rules(Severity::Critical)), None);
    }

    #[test]
    fn a_slow_response_has_a_problem_with_its_response_time() {
        let judged = judge(
            &outcome(Conclusion::Success, Some(2345)),
            &rules(Severity::Critical),
        )
        .unwrap();
        assert_eq!(
            judged.problem.unwrap().message(),
            "response time 2.3s is at or above the threshold of 1s"
        );
    }
}
