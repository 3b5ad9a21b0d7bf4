//! Confirmed conditions. The tolerance of down is 30 s and the recheck interval 5 s, so runs must hold the condition for 25 s.

use super::*;
use crate::config::Service;
use crate::model::{Shortage, Tolerance};

const DOWN: usize = Condition::Down as usize;
const DEGRADED: usize = Condition::Degraded as usize;

fn one(settings: CheckSettings) -> Config {
    config(vec![("api", vec![settings])])
}

/// Sets the tolerance of down.
fn tolerating(seconds: u64, mut config: Config) -> Config {
    for service in &mut config.services {
        let tolerance = Tolerance {
            down: Duration::from_secs(seconds),
            ..service.tolerance
        };
        *service = Arc::new(Service {
            tolerance,
            ..Service::clone(service)
        });
    }
    config
}

impl TestStore {
    fn is_confirmed(&self) -> bool {
        self.service().confirmed.unwrap()[DOWN]
    }

    /// Records failures of one second that end at these seconds. Returns whether down is confirmed after each.
    fn fail(&self, id: &str, seconds: &[i64]) -> Vec<bool> {
        let after = seconds.iter().map(|second| {
            self.run(id, *second, REFUSED);
            self.is_confirmed()
        });
        after.collect()
    }
}

#[test]
fn runs_that_hold_a_condition_for_its_tolerance_less_one_recheck_confirm_it() {
    let test = TestStore::new(&one(check("http")));
    assert_eq!(test.service().confirmed, None, "before the first verdict");
    test.run("api/http", 5, None);
    assert_eq!(test.service().confirmed, Some([false; 3]));
    // The first failing run starts at 10, so a run that ends at 35 confirms.
    assert_eq!(
        test.fail("api/http", &[11, 16, 21, 26, 31, 36]),
        [false, false, false, false, false, true]
    );
    assert!(
        !test.service().confirmed.unwrap()[DEGRADED],
        "degraded is tolerated for longer"
    );
    test.run("api/http", 41, None);
    assert!(test.is_confirmed(), "one success does not end the condition");
    test.run("api/http", 46, None);
    assert_eq!(test.service().confirmed, Some([false; 3]));
    assert_eq!(
        test.fail("api/http", &[50]),
        [false],
        "a new outage needs its own evidence"
    );
}

#[test]
fn time_does_not_confirm_a_single_failure() {
    let test = TestStore::new(&one(check("http")));
    test.fail("api/http", &[11, 16]);
    test.run("api/http", 21, None);
    for second in [40, 80, 110] {
        test.clock.set(second);
        assert!(!test.is_confirmed());
    }
    // The condition lasts until a second success, however late that is.
    test.run("api/http", 115, None);
    assert_eq!(test.down(), Some(0.0));
    // A failure without another run is not confirmed either.
    test.fail("api/http", &[120]);
    test.clock.set(180);
    assert!(!test.is_confirmed());
}

#[test]
fn a_check_that_fails_every_other_run_is_confirmed() {
    let test = TestStore::new(&one(check("http")));
    let mut after = Vec::new();
    for second in (11..=41).step_by(5) {
        test.run("api/http", second, (second % 2 == 1).then_some(Reason::Refused));
        after.push(test.is_confirmed());
    }
    assert_eq!(after, [false, false, false, false, false, false, true]);
}

#[test]
fn failures_of_alternating_checks_confirm_a_condition() {
    let test = TestStore::new(&config(vec![("api", vec![check("http"), check("tcp")])]));
    test.run("api/tcp", 5, None);
    assert_eq!(test.fail("api/http", &[11, 16]), [false, false]);
    assert_eq!(test.fail("api/tcp", &[20, 25]), [false, false]);
    test.run("api/http", 21, None);
    test.run("api/http", 26, None);
    assert_eq!(test.fail("api/tcp", &[30, 35]), [false, true]);
}

#[test]
fn with_several_failures_before_down_the_whole_series_counts() {
    let mut settings = check("http");
    settings.failures_before_down = 3;
    let test = TestStore::new(&one(settings));
    test.run("api/http", 5, None);
    assert_eq!(
        test.fail("api/http", &[11, 16, 36]),
        [false, false, true],
        "down since 10"
    );
}

#[test]
fn an_inconclusive_run_does_not_count_as_evidence() {
    let test = TestStore::new(&one(check("http")));
    test.fail("api/http", &[11]);
    let problem = Problem::from_shortage(Shortage::Time, "the process was frozen");
    let outcome = Outcome {
        conclusion: Conclusion::from(problem),
        ..Outcome::default()
    };
    test.record(test.handle("api/http"), 40, outcome);
    assert!(!test.is_confirmed());
    assert_eq!(
        test.fail("api/http", &[45]),
        [true],
        "the inconclusive run does not end the evidence"
    );
}

/// Records a timeout and returns whether down is confirmed.
fn hang(test: &TestStore, started: i64, ended: i64) -> bool {
    test.clock.set(ended);
    let run = Run {
        started: Moment::from_nanos(started * SECOND),
        ended: Moment::from_nanos(ended * SECOND),
    };
    let outcome = TestStore::outcome(Some(Reason::Timeout), None);
    test.store.record(test.handle("api/http"), run, outcome, 0);
    test.is_confirmed()
}

#[test]
fn a_hanging_run_is_evidence_from_its_start_to_its_deadline() {
    let test = TestStore::new(&one(check("http")));
    assert_eq!([hang(&test, 10, 20), hang(&test, 20, 30)], [false; 2]);
    assert!(hang(&test, 30, 40), "30 s since 10");
    let test = TestStore::new(&one(check("http")));
    assert!(
        !hang(&test, 10, 300),
        "a run does not count as evidence after its deadline"
    );
}

#[test]
fn the_first_run_confirms_if_no_second_one_fits_into_the_tolerance() {
    let mut settings = check("http");
    settings.interval = Duration::from_secs(300);
    settings.recheck_interval = Duration::from_secs(60);
    let test = TestStore::new(&one(settings));
    assert_eq!(test.fail("api/http", &[11]), [true]);
}

/// Degraded is tolerated for 60 s. Without a recheck, an interval of 45 s would delay the alert by half a minute.
#[test]
fn a_check_that_is_only_degraded_is_rechecked_when_its_tolerance_is_almost_over() {
    let mut settings = check("http");
    settings.interval = Duration::from_secs(45);
    let test = TestStore::new(&one(settings));
    let warn = |second| {
        let outcome = Outcome {
            conclusion: Conclusion::Warning(Problem::new(Reason::Limit, "a long queue")),
            ..Outcome::default()
        };
        let next = test.record(test.handle("api/http"), second, outcome);
        (next.recheck, test.service().confirmed.unwrap()[DEGRADED])
    };
    test.run("api/http", 5, None);
    assert_eq!(warn(11), (false, false), "degraded since 10");
    assert_eq!([56, 61].map(warn), [(true, false); 2]);
    assert_eq!([66, 111].map(warn), [(false, true); 2]);
}

#[test]
fn a_new_tolerance_is_compared_with_existing_evidence() {
    let test = TestStore::new(&one(check("http")));
    test.fail("api/http", &[11, 16, 21]);
    test.store.apply(&tolerating(17, one(check("http"))));
    assert!(!test.is_confirmed());
    test.store.apply(&tolerating(16, one(check("http"))));
    assert!(test.is_confirmed());
    test.store.apply(&tolerating(600, one(check("http"))));
    assert!(test.is_confirmed(), "a condition stays confirmed until it ends");
    // A run without the condition and a change of the check discard the evidence.
    let test = TestStore::new(&one(check("http")));
    test.fail("api/http", &[11, 16, 21]);
    test.run("api/http", 26, None);
    test.store.apply(&tolerating(10, one(check("http"))));
    assert!(!test.is_confirmed());
    let test = TestStore::new(&one(check("http")));
    test.fail("api/http", &[11, 16, 21]);
    let mut edited = check("http");
    edited.interval = Duration::from_secs(30);
    test.store.apply(&tolerating(10, one(edited)));
    assert!(!test.is_confirmed());
    assert_eq!(test.fail("api/http", &[26]), [true]);
}

#[test]
fn a_step_of_the_wall_clock_confirms_nothing() {
    let test = TestStore::new(&one(check("http")));
    test.fail("api/http", &[11]);
    test.clock.offset.fetch_add(3600 * SECOND, Ordering::SeqCst);
    test.store.sweep();
    assert_eq!(test.fail("api/http", &[16, 21]), [false; 2]);
    test.clock.offset.fetch_sub(7200 * SECOND, Ordering::SeqCst);
    test.store.sweep();
    assert_eq!(test.fail("api/http", &[26, 31, 36]), [false, false, true]);
}

#[test]
fn a_restart_keeps_evidence_and_what_it_confirmed() {
    let dir = tempfile::tempdir().unwrap();
    let begin = |second| TestStore::with(clock(second), Some(dir.path().to_owned()), &one(check("http")));
    let test = begin(0);
    test.fail("api/http", &[11, 16]);
    drop(test);
    let test = begin(50);
    assert!(!test.is_confirmed(), "there was no run since then");
    assert_eq!(test.fail("api/http", &[52]), [true]);
    drop(test);
    let test = begin(60);
    assert!(test.is_confirmed());
    test.run("api/http", 62, None);
    drop(test);
    let test = begin(70);
    assert!(test.is_confirmed());
    test.run("api/http", 72, None);
    assert!(!test.is_confirmed());
}

#[test]
fn time_without_runs_does_not_count_as_evidence() {
    const DAY: i64 = 24 * 3600;
    let dir = tempfile::tempdir().unwrap();
    let begin = |second| TestStore::with(clock(second), Some(dir.path().to_owned()), &one(check("http")));
    let test = begin(0);
    test.fail("api/http", &[11]);
    drop(test);
    let test = begin(DAY);
    assert_eq!(test.fail("api/http", &[DAY + 3, DAY + 8]), [false; 2]);
    assert_eq!(test.down(), Some(10.0), "the since-time never moves forward");
    drop(test);
    let test = begin(DAY + 10);
    assert_eq!(test.fail("api/http", &[DAY + 22, DAY + 27]), [false, true]);
}

#[test]
fn after_a_long_downtime_of_the_exporter_a_condition_needs_evidence_again() {
    const DAY: i64 = 24 * 3600;
    let dir = tempfile::tempdir().unwrap();
    let begin = |second| TestStore::with(clock(second), Some(dir.path().to_owned()), &one(check("http")));
    let test = begin(0);
    test.fail("api/http", &[11, 20, 30, 40]);
    assert!(test.is_confirmed());
    drop(test);
    // The rules keep an alert for ten minutes without data, so a short downtime changes nothing.
    let test = begin(600);
    assert!(test.is_confirmed());
    drop(test);
    let test = begin(DAY);
    assert_eq!(test.fail("api/http", &[DAY + 3]), [false]);
}

#[test]
fn after_a_long_suspension_a_condition_needs_evidence_again() {
    let test = TestStore::new(&one(check("http")));
    test.fail("api/http", &[11, 20, 30, 40]);
    assert!(test.is_confirmed());
    let since = test.down();
    // The rules keep an alert for ten minutes without data, so a short suspension changes nothing.
    test.clock.set(600);
    assert!(test.is_confirmed());
    test.clock.set(9000);
    assert!(!test.is_confirmed());
    assert_eq!(test.down(), since, "the since-time stays");
    assert_eq!(test.fail("api/http", &[9003]), [false]);
}
