//! Inconclusive runs: the exporter lacked something.

use super::*;
use crate::model::Shortage;

/// Records a run that failed for lack of descriptors.
fn record_shortage(test: &TestStore, second: i64) -> NextRun {
    let problem = Problem::from_shortage(
        Shortage::Descriptors,
        "opening a socket: no file descriptor is left",
    );
    let outcome = Outcome {
        conclusion: Conclusion::from(problem),
        ..Outcome::default()
    };
    test.record(test.handle("api/http"), second, outcome)
}

#[test]
fn an_inconclusive_run_is_counted_and_does_not_change_the_status() {
    let test = TestStore::new(&config(vec![("api", vec![check("http")])]));
    test.run("api/http", 5, None);
    for second in [20, 35] {
        assert!(!record_shortage(&test, second).recheck);
    }
    let service = test.service();
    let check = &service.checks[0];
    assert_eq!(service.status, Status::Up);
    assert_eq!((check.runs, check.failures, check.inconclusive_runs), (3, 0, 2));
    assert_eq!(check.consecutive_inconclusive_runs, 2);
    assert_eq!(
        check.last_run.as_ref().unwrap().outcome.conclusion,
        Conclusion::Success
    );
    let shortage = check.shortage.as_ref().and_then(|problem| problem.shortage);
    assert_eq!(shortage, Some(Shortage::Descriptors));
    test.run("api/http", 50, None);
    let check = &test.service().checks[0];
    assert!(check.shortage.is_none());
    assert_eq!(
        (check.inconclusive_runs, check.consecutive_inconclusive_runs),
        (2, 0)
    );
}

#[test]
fn inconclusive_runs_do_not_end_an_outage_and_are_repeated_soon() {
    let test = TestStore::new(&config(vec![("api", vec![check("http")])]));
    test.run("api/http", 5, REFUSED);
    let since = test.down();
    assert!(record_shortage(&test, 20).recheck);
    assert_eq!((test.down(), test.service().status), (since, Status::Down));
}

#[test]
fn a_check_with_only_inconclusive_runs_becomes_unknown() {
    let test = TestStore::new(&config(vec![("api", vec![check("http")])]));
    test.run("api/http", 5, None);
    for second in (20..120).step_by(15) {
        record_shortage(&test, second);
    }
    assert_eq!(test.service().status, Status::Unknown);
}

#[test]
fn a_check_with_a_long_interval_repeats_an_inconclusive_run_soon() {
    let mut rare = check("http");
    rare.interval = Duration::from_secs(300);
    let test = TestStore::new(&config(vec![("api", vec![rare])]));
    test.run("api/http", 5, None);
    assert!(record_shortage(&test, 305).recheck);
}
