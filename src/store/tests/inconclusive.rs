//! Runs that the exporter's own lack of something spoilt.

use super::*;
use crate::model::Shortage;

/// Records a run that found no descriptor left.
fn spoilt(bench: &Bench, second: i64) -> NextRun {
    let problem = Problem::from_shortage(
        Shortage::Descriptors,
        "opening a socket: no file descriptor is left",
    );
    let outcome = Outcome {
        conclusion: Conclusion::from(problem),
        ..Outcome::default()
    };
    bench.record(bench.handle("api/http"), second, outcome)
}

#[test]
fn an_inconclusive_run_is_counted_and_changes_no_verdict() {
    let bench = Bench::new(&config(vec![("api", vec![check("http")])]));
    bench.run("api/http", 5, None);
    for second in [20, 35] {
        assert_eq!(spoilt(&bench, second), NextRun { recheck: false });
    }
    let service = bench.service();
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
    bench.run("api/http", 50, None);
    let check = &bench.service().checks[0];
    assert!(check.shortage.is_none());
    assert_eq!(
        (check.inconclusive_runs, check.consecutive_inconclusive_runs),
        (2, 0)
    );
}

#[test]
fn an_outage_outlasts_inconclusive_runs_and_is_rechecked() {
    let bench = Bench::new(&config(vec![("api", vec![check("http")])]));
    bench.run("api/http", 5, REFUSED);
    let since = bench.down();
    assert_eq!(spoilt(&bench, 20), NextRun { recheck: true });
    assert_eq!((bench.down(), bench.service().status), (since, Status::Down));
}

#[test]
fn a_check_whose_runs_all_are_inconclusive_becomes_unknown() {
    let bench = Bench::new(&config(vec![("api", vec![check("http")])]));
    bench.run("api/http", 5, None);
    for second in (20..120).step_by(15) {
        spoilt(&bench, second);
    }
    assert_eq!(bench.service().status, Status::Unknown);
}

#[test]
fn a_check_of_a_long_interval_makes_up_for_an_inconclusive_run() {
    let mut rare = check("http");
    rare.interval = Duration::from_secs(300);
    let bench = Bench::new(&config(vec![("api", vec![rare])]));
    bench.run("api/http", 5, None);
    assert_eq!(spoilt(&bench, 305), NextRun { recheck: true });
}
