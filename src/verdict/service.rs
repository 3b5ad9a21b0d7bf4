//! The conditions of a service, from the verdicts on its checks.

use std::time::Duration;

use super::check::CheckVerdict;
use crate::model::{Condition, Moment, Status, Tolerance};

/// The data of one check that determines the conditions of its service.
#[derive(Clone, Copy, Debug)]
pub struct CheckInput<'a> {
    /// The verdict on its runs.
    pub verdict: &'a CheckVerdict,
    /// The time between the starts of two runs while the check fails.
    pub recheck_interval: Duration,
}

/// The rules for confirming the conditions of a service.
#[derive(Clone, Copy, Debug)]
pub struct Confirmation {
    /// How long each condition is tolerated.
    pub tolerance: Tolerance,
    /// Evidence before this moment does not count: the end of the last maintenance window or of the last outage of a dependency.
    pub counts_from: Option<Moment>,
    /// No condition becomes confirmed, because the service is in maintenance or a dependency is down. Confirmed ones stay.
    pub is_suppressed: bool,
}

/// The status of a service whose checks have these statuses. It is down if at least `checks_until_down` of them are, and degraded if fewer
/// are.
pub fn service_status(checks: impl Iterator<Item = Status> + Clone, checks_until_down: usize) -> Status {
    let down = checks.clone().filter(|status| *status == Status::Down).count();
    let is_down = down >= checks_until_down.max(1);
    Status::worst(checks.map(|status| match status {
        Status::Down if !is_down => Status::Degraded,
        status => status,
    }))
}

/// The conditions of a service, in the order of [`Condition::ALL`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// For each condition: the start of the first run in the series that set it, or `None`.
    pub since: [Option<Moment>; Condition::ALL.len()],
    /// For each condition: whether evidence has confirmed it. Stays set until the condition ends.
    pub confirmed: [bool; Condition::ALL.len()],
}

impl Conditions {
    /// Updates the conditions from all checks of the service. It is down while at least `checks_until_down` of them are. One check is enough
    /// for the other conditions.
    ///
    /// A condition that continues keeps its since-time, even if another check causes it now. It ends when too few checks cause it and
    /// every check has run. Until then, the service may be as bad as before.
    pub fn update<'a>(
        &mut self,
        checks: impl Iterator<Item = CheckInput<'a>> + Clone,
        checks_until_down: usize,
        confirmation: &Confirmation,
    ) {
        let required = |condition| match condition {
            Condition::Down => checks_until_down.max(1),
            Condition::Degraded | Condition::Slow => 1,
        };
        let all_have_run = checks.clone().all(|check| check.verdict.grade.grade.is_some());
        for (&condition, since) in Condition::ALL.iter().zip(&mut self.since) {
            let holds = checks
                .clone()
                .filter_map(|check| check.verdict.holds_since(condition));
            // From this moment on, enough checks have caused the condition.
            match nth_smallest(holds, required(condition)) {
                Some(start) => *since = since.or(Some(start)),
                None if all_have_run => *since = None,
                None => {}
            }
        }
        self.nest();
        for ((&condition, since), confirmed) in Condition::ALL.iter().zip(self.since).zip(&mut self.confirmed)
        {
            *confirmed = since.is_some_and(|since| {
                *confirmed
                    || !confirmation.is_suppressed
                        && checks
                            .clone()
                            .filter(|check| check.confirms(condition, since, confirmation))
                            .count()
                            >= required(condition)
            });
        }
    }

    /// A service that is down is also degraded. If the series that set `down` started before the one that set `degraded`, `degraded`
    /// gets the earlier since-time.
    fn nest(&mut self) {
        let [down, degraded, _] = &mut self.since;
        if let (Some(down), Some(degraded)) = (*down, degraded) {
            *degraded = down.min(*degraded);
        }
    }

    /// The since-time of a condition, or `None`.
    pub const fn since(&self, condition: Condition) -> Option<Moment> {
        self.since[condition as usize]
    }
}

/// The moment at place `n`, counted from 1, in ascending order; `None` if there are fewer.
fn nth_smallest(moments: impl Iterator<Item = Moment>, n: usize) -> Option<Moment> {
    if n == 1 {
        return moments.min();
    }
    let mut moments: Vec<Moment> = moments.collect();
    moments.sort_unstable();
    moments.get(n - 1).copied()
}

impl CheckInput<'_> {
    /// Whether the evidence of this check confirms that `condition` has lasted since `since` for its tolerance, minus one recheck
    /// interval (the time until the next run).
    ///
    /// The evidence is the end of the last run, and only if that run showed the condition. Time without runs, or with runs that do not
    /// show the condition, confirms nothing. Time before a gap without runs does not count either: a failure may have ended meanwhile.
    fn confirms(&self, condition: Condition, since: Moment, confirmation: &Confirmation) -> bool {
        let from = [confirmation.counts_from, self.verdict.watched_since]
            .into_iter()
            .flatten()
            .fold(since, Moment::max);
        let required = confirmation
            .tolerance
            .of(condition)
            .saturating_sub(self.recheck_interval);
        self.verdict
            .held_until(condition)
            .is_some_and(|until| until >= from && until.since(from) >= required)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::{Counts, Grade};

    const ONCE: Counts = Counts {
        worse: 1,
        better: 1,
        better_span: Duration::ZERO,
    };

    fn run(check: &mut CheckVerdict, grade: Grade, second: i64) {
        check.grade.record(grade, Moment::from_nanos(second), ONCE);
        check.slowness.record(Grade::Up, Moment::from_nanos(second), ONCE);
    }

    /// Updates the conditions from these checks, with tolerances that no test reaches.
    fn update(conditions: &mut Conditions, checks: &[CheckVerdict]) {
        let long = Duration::from_secs(3600);
        let confirmation = Confirmation {
            tolerance: Tolerance {
                down: long,
                degraded: long,
                slow: long,
            },
            counts_from: None,
            is_suppressed: false,
        };
        let checks = checks.iter().map(|verdict| CheckInput {
            verdict,
            recheck_interval: Duration::ZERO,
        });
        conditions.update(checks, 1, &confirmation);
        assert_eq!(conditions.confirmed, [false; Condition::ALL.len()]);
    }

    fn down(conditions: &Conditions) -> Option<i64> {
        conditions.since(Condition::Down).map(Moment::as_nanos)
    }

    #[test]
    fn a_failure_that_moves_from_check_to_check_keeps_its_since_time() {
        let mut checks = [CheckVerdict::default(); 2];
        let mut conditions = Conditions::default();
        for (check, grade, second, expected) in [
            (0, Grade::Down, 1, Some(1)),
            (1, Grade::Down, 2, Some(1)),
            (0, Grade::Up, 3, Some(1)),
            (1, Grade::Degraded, 4, None),
            (0, Grade::Down, 5, Some(5)),
        ] {
            run(&mut checks[check], grade, second);
            update(&mut conditions, &checks);
            assert_eq!(down(&conditions), expected, "at {second}");
        }
        assert_eq!(conditions.since(Condition::Degraded), Some(Moment::from_nanos(1)));
    }

    #[test]
    fn a_condition_ends_only_when_every_check_has_run() {
        let mut failing = CheckVerdict::default();
        run(&mut failing, Grade::Down, 1);
        let mut conditions = Conditions::default();
        update(&mut conditions, &[failing]);
        // The failing check is removed from the configuration, and another one is added.
        let mut new = CheckVerdict::default();
        update(&mut conditions, &[new]);
        assert_eq!(down(&conditions), Some(1));
        run(&mut new, Grade::Up, 5);
        update(&mut conditions, &[new]);
        assert_eq!(conditions, Conditions::default());
    }

    #[test]
    fn a_redundant_service_is_down_since_its_last_working_check_failed() {
        use Status::{Degraded, Down, Unknown, Up};
        let confirmation = Confirmation {
            tolerance: Tolerance {
                down: Duration::from_nanos(10),
                degraded: Duration::from_secs(1),
                slow: Duration::from_secs(1),
            },
            counts_from: None,
            is_suppressed: false,
        };
        let mut checks = [CheckVerdict::default(); 2];
        let mut conditions = Conditions::default();
        // check, grade, second, since-time of down, whether it is confirmed
        for (check, grade, second, expected, is_confirmed) in [
            (0, Grade::Down, 1, None, false),
            (1, Grade::Up, 2, None, false),
            (1, Grade::Down, 5, Some(5), false),
            (0, Grade::Down, 20, Some(5), false),
            (1, Grade::Down, 21, Some(5), true),
            (0, Grade::Up, 30, None, false),
        ] {
            let moment = Moment::from_nanos(second);
            run(&mut checks[check], grade, second);
            checks[check].evidence = [(grade == Grade::Down).then_some(moment); 3];
            let inputs = checks.iter().map(|verdict| CheckInput {
                verdict,
                recheck_interval: Duration::ZERO,
            });
            conditions.update(inputs, 2, &confirmation);
            assert_eq!(down(&conditions), expected, "at {second}");
            assert_eq!(conditions.confirmed[0], is_confirmed, "at {second}");
        }
        for (statuses, until_down, expected) in [
            ([Up, Down], 1, Down),
            ([Up, Down], 2, Degraded),
            ([Down, Down], 2, Down),
            ([Unknown, Down], 2, Degraded),
            ([Unknown, Up], 2, Unknown),
            ([Degraded, Up], 2, Degraded),
        ] {
            assert_eq!(
                service_status(statuses.into_iter(), until_down),
                expected,
                "{statuses:?}"
            );
        }
    }

    #[test]
    fn degraded_lasts_at_least_as_long_as_down() {
        // The first check fails at 10. The second began to fail at 5, but it took several runs to change its status.
        let mut checks = [CheckVerdict::default(); 2];
        let mut conditions = Conditions::default();
        run(&mut checks[0], Grade::Degraded, 10);
        update(&mut conditions, &checks);
        run(&mut checks[1], Grade::Down, 5);
        update(&mut conditions, &checks);
        assert_eq!(
            conditions.since,
            [Some(Moment::from_nanos(5)), Some(Moment::from_nanos(5)), None]
        );
    }
}
