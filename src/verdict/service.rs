//! What the verdicts on its checks make of a service.

use std::time::Duration;

use super::check::CheckVerdict;
use crate::model::{Condition, Moment, Status, Tolerance};

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

/// One check of a service, as far as its conditions depend on it.
#[derive(Clone, Copy, Debug)]
pub struct Holder<'a> {
    /// What its runs amount to.
    pub verdict: &'a CheckVerdict,
    /// From one run's start to the next one's while it fails.
    pub recheck_interval: Duration,
}

/// What it takes to confirm the conditions of a service.
#[derive(Clone, Copy, Debug)]
pub struct Confirmation {
    /// How long each condition is tolerated.
    pub tolerance: Tolerance,
    /// Evidence from before this moment does not count: the end of the last maintenance window, or of the last outage
    /// of a dependency.
    pub counts_from: Option<Moment>,
}

/// The conditions of a service, in the order of [`Condition::ALL`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// By condition: the start of the first run of the series that set it; `None` while it is clear.
    pub since: [Option<Moment>; 3],
    /// By condition: whether there is evidence that it lasted; stays so until the condition ends.
    pub confirmed: [bool; 3],
}

impl Conditions {
    /// Brings the conditions in line with all checks of the service.
    ///
    /// A condition that lasts keeps its since-time, whichever check holds it now. It ends when no check holds it and
    /// every check has run: as long as one has not, its service may be as bad as before.
    pub fn update<'a>(
        &mut self,
        checks: impl Iterator<Item = Holder<'a>> + Clone,
        confirmation: &Confirmation,
    ) {
        let all_have_run = checks.clone().all(|check| check.verdict.grade.grade.is_some());
        for (&condition, since) in Condition::ALL.iter().zip(&mut self.since) {
            let held = checks
                .clone()
                .filter_map(|check| check.verdict.holds_since(condition))
                .min();
            match held {
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
                    || checks
                        .clone()
                        .any(|check| check.confirms(condition, since, confirmation))
            });
        }
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

impl Holder<'_> {
    /// Whether this check is evidence enough that `condition`, set at `since`, has lasted for its tolerance, less the
    /// recheck interval in which the next run would have come.
    ///
    /// The evidence is the end of the check's last run, and only if that run held the condition: time that passes
    /// without a run, or with a run that speaks against the condition, confirms nothing. Time before the check was last
    /// not watched does not count either: what failed then may have recovered meanwhile.
    fn confirms(&self, condition: Condition, since: Moment, confirmation: &Confirmation) -> bool {
        let from = [confirmation.counts_from, self.verdict.watched_since]
            .into_iter()
            .flatten()
            .fold(since, Moment::max);
        let enough = confirmation
            .tolerance
            .of(condition)
            .saturating_sub(self.recheck_interval);
        self.verdict
            .held_until(condition)
            .is_some_and(|until| until >= from && until.since(from) >= enough)
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

    /// Brings the conditions in line with these checks, with tolerances that no test reaches.
    fn update(conditions: &mut Conditions, checks: &[CheckVerdict]) {
        let long = Duration::from_secs(3600);
        let confirmation = Confirmation {
            tolerance: Tolerance {
                down: long,
                degraded: long,
                slow: long,
            },
            counts_from: None,
        };
        let checks = checks.iter().map(|verdict| Holder {
            verdict,
            recheck_interval: Duration::ZERO,
        });
        conditions.update(checks, &confirmation);
        assert_eq!(conditions.confirmed, [false; 3]);
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
        // The failing check leaves the configuration, and another one comes.
        let mut new = CheckVerdict::default();
        update(&mut conditions, &[new]);
        assert_eq!(down(&conditions), Some(1));
        run(&mut new, Grade::Up, 5);
        update(&mut conditions, &[new]);
        assert_eq!(conditions, Conditions::default());
    }

    #[test]
    fn degraded_lasts_at_least_as_long_as_down() {
        // The first check fails at 10; the second had begun to fail at 5, which took several runs to settle.
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
