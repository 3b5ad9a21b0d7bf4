//! What the verdicts on its checks make of a service.

use super::check::CheckVerdict;
use crate::model::{Condition, Moment, Status};

/// A service's status: down if any check is, else degraded if any is, else unknown if any is, else up.
pub fn service_status(checks: impl IntoIterator<Item = Status>) -> Status {
    let weight = |status: &Status| match status {
        Status::Up => 0,
        Status::Unknown => 1,
        Status::Degraded => 2,
        Status::Down => 3,
    };
    checks.into_iter().max_by_key(weight).unwrap_or(Status::Unknown)
}

/// The since-times of a service's conditions, in the order of [`Condition::ALL`]; `None` while clear.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// By condition: the start of the first run of the series that set it.
    pub since: [Option<Moment>; 3],
}

impl Conditions {
    /// Brings the conditions in line with the verdicts on all checks of the service.
    ///
    /// A condition that lasts keeps its since-time, whichever check holds it now. It ends when no check holds it and
    /// every check has run: as long as one has not, its service may be as bad as before.
    pub fn update<'a>(&mut self, checks: impl Iterator<Item = &'a CheckVerdict> + Clone) {
        let all_have_run = checks.clone().all(|check| check.grade.grade.is_some());
        for (&condition, since) in Condition::ALL.iter().zip(&mut self.since) {
            let held = checks
                .clone()
                .filter_map(|check| check.holds_since(condition))
                .min();
            match held {
                Some(start) => *since = since.or(Some(start)),
                None if all_have_run => *since = None,
                None => {}
            }
        }
        self.nest();
    }

    /// A service that is down is not fully up: where the series that set `down` started before the one that set
    /// `degraded`, the latter has lasted as long.
    fn nest(&mut self) {
        let [down, degraded, _] = &mut self.since;
        if let (Some(down), Some(degraded)) = (*down, degraded) {
            *degraded = down.min(*degraded);
        }
    }

    /// The since-time of one condition; `None` while it is clear.
    pub const fn since(&self, condition: Condition) -> Option<Moment> {
        self.since[condition as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::{Counts, Grade};

    const ONCE: Counts = Counts { worse: 1, better: 1 };

    fn run(check: &mut CheckVerdict, grade: Grade, second: i64) {
        check.grade.record(grade, Moment::from_nanos(second), ONCE);
        check.slowness.record(Grade::Up, Moment::from_nanos(second), ONCE);
    }

    fn down(conditions: &Conditions) -> Option<i64> {
        conditions.since(Condition::Down).map(Moment::as_nanos)
    }

    #[test]
    fn a_service_is_as_bad_as_its_worst_check_and_unknown_only_beside_good_ones() {
        use Status::{Degraded, Down, Unknown, Up};
        for (checks, expected) in [
            (vec![Up, Up], Up),
            (vec![Up, Unknown], Unknown),
            (vec![Unknown, Degraded, Up], Degraded),
            (vec![Unknown, Degraded, Down], Down),
            (vec![Unknown], Unknown),
            (vec![], Unknown),
        ] {
            assert_eq!(service_status(checks.clone()), expected, "{checks:?}");
        }
    }

    #[test]
    fn a_failure_that_rolls_from_check_to_check_keeps_its_since_time() {
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
            conditions.update(checks.iter());
            assert_eq!(down(&conditions), expected, "at {second}");
        }
        assert_eq!(conditions.since(Condition::Degraded), Some(Moment::from_nanos(1)));
    }

    #[test]
    fn a_condition_ends_only_when_every_check_has_run() {
        let mut failing = CheckVerdict::default();
        run(&mut failing, Grade::Down, 1);
        let mut conditions = Conditions::default();
        conditions.update([failing].iter());
        // The failing check leaves the configuration, and another one comes.
        let mut new = CheckVerdict::default();
        conditions.update([new].iter());
        assert_eq!(down(&conditions), Some(1));
        run(&mut new, Grade::Up, 5);
        conditions.update([new].iter());
        assert_eq!(conditions, Conditions::default());
    }

    #[test]
    fn degraded_lasts_at_least_as_long_as_down() {
        // The first check fails at 10; the second had begun to fail at 5, which took several runs to settle.
        let mut checks = [CheckVerdict::default(); 2];
        let mut conditions = Conditions::default();
        run(&mut checks[0], Grade::Degraded, 10);
        conditions.update(checks.iter());
        run(&mut checks[1], Grade::Down, 5);
        conditions.update(checks.iter());
        assert_eq!(
            conditions.since,
            [Some(Moment::from_nanos(5)), Some(Moment::from_nanos(5)), None]
        );
    }
}
