//! Statuses and conditions after runs. A run at second 20 starts at 19, which is the time of a status that it changes.

use super::*;

#[test]
fn conditions_are_absent_before_the_first_status() {
    let test = TestStore::new(&config(vec![("api", vec![check("http"), check("tcp")])]));
    let before = test.service();
    assert_eq!(
        (before.status, before.status_since, before.conditions),
        (Status::Unknown, None, None)
    );
    test.run("api/http", 5, None);
    let half = test.service();
    assert_eq!((half.status, half.conditions), (Status::Unknown, None));
    assert!(!test.store.snapshot().exporter.is_first_round_over);
    test.run("api/tcp", 6, None);
    let up = test.service();
    assert_eq!((up.status, up.conditions), (Status::Up, Some([0.0; 3])));
    assert_eq!((up.status_since, up.status_changes), (Some(1_000_005.0), 0));
    assert!(test.store.snapshot().exporter.is_first_round_over);
}

#[test]
fn a_failure_sets_the_status_and_two_successes_end_it() {
    let test = TestStore::new(&config(vec![("api", vec![check("http")])]));
    assert!(!test.run("api/http", 5, None).recheck);
    assert!(test.run("api/http", 20, REFUSED).recheck);
    let down = test.service();
    assert_eq!(
        (down.status, down.status_since),
        (Status::Down, Some(1_000_019.0))
    );
    assert_eq!(down.conditions, Some([1_000_019.0, 1_000_019.0, 0.0]));
    assert_eq!(down.checks[0].problem.as_ref().unwrap().reason, Reason::Refused);
    assert_eq!(down.checks[0].consecutive_failures, 1);
    assert!(
        test.run("api/http", 25, None).recheck,
        "another run must confirm the recovery"
    );
    let recovering = test.service();
    assert_eq!(recovering.status, Status::Down);
    assert_eq!(
        recovering.checks[0].problem.as_ref().unwrap().message(),
        "failed with refused"
    );
    assert!(!test.run("api/http", 30, None).recheck);
    let up = test.service();
    assert_eq!(
        (up.status, up.status_since, up.status_changes),
        (Status::Up, Some(1_000_024.0), 2)
    );
    assert_eq!(up.conditions, Some([0.0; 3]));
    let check = &up.checks[0];
    assert_eq!(
        (check.runs, check.failures, check.consecutive_failures),
        (4, 1, 0)
    );
    assert_eq!(
        (check.last_ended, check.last_success),
        (Some(1_000_030.0), Some(1_000_030.0))
    );
    assert!(check.problem.is_none());
}

/// A unit that is down starts, serves for a moment, and fails again. Its signals request runs within a second.
#[test]
fn successes_in_quick_succession_end_no_outage() {
    let test = TestStore::new(&config(vec![("api", vec![check("http")])]));
    test.run("api/http", 5, None);
    for second in [20, 25, 30, 35, 40, 45] {
        test.run("api/http", second, REFUSED);
    }
    let confirmed = || test.service().confirmed.unwrap()[Condition::Down as usize];
    for second in [50, 51, 52] {
        let next = test.run("api/http", second, None);
        let left = u64::try_from(55 - second).unwrap();
        assert_eq!(
            (next.recheck, next.recovers_after),
            (true, Some(Duration::from_secs(left)))
        );
        assert_eq!((test.service().status, test.down()), (Status::Down, Some(19.0)));
    }
    test.run("api/http", 53, REFUSED);
    assert_eq!((test.down(), confirmed()), (Some(19.0), true));
    test.run("api/http", 60, None);
    test.run("api/http", 61, None);
    assert_eq!(test.down(), Some(19.0));
    assert_eq!(test.run("api/http", 65, None), NextRun::default());
    assert_eq!((test.service().status, test.down()), (Status::Up, Some(0.0)));
}

#[test]
fn response_times_are_counted_and_slowness_is_a_condition() {
    let test = TestStore::new(&config(vec![("api", vec![check("http")])]));
    let handle = test.handle("api/http");
    let time = |seconds| Some(Duration::from_secs(seconds));
    test.record(handle, 5, TestStore::outcome(None, time(2)));
    assert_eq!(test.service().status, Status::Degraded);
    test.record(handle, 20, TestStore::outcome(Some(Reason::Timeout), time(10)));
    test.record(handle, 35, TestStore::outcome(REFUSED, None));
    let service = test.service();
    assert_eq!(service.conditions, Some([1_000_019.0, 1_000_004.0, 1_000_019.0]));
    let times = service.checks[0].response_times.as_ref().unwrap();
    assert_eq!((times.count(), times.sum), (2, 12.0));
    test.record(handle, 40, TestStore::outcome(REFUSED, None));
    assert_eq!(
        test.service().conditions.unwrap()[2],
        0.0,
        "two runs in a row were not slow"
    );
}

#[test]
fn a_stale_result_is_unknown_and_ends_no_condition() {
    let test = TestStore::new(&config(vec![("api", vec![check("http")])]));
    test.run("api/http", 10, REFUSED);
    test.clock.set(100);
    assert_eq!(test.service().status, Status::Down);
    let generation = test.store.generation();
    test.clock.set(101);
    test.store.sweep();
    assert_ne!(test.store.generation(), generation);
    let stale = test.service();
    assert_eq!(
        (stale.status, stale.checks[0].status),
        (Status::Unknown, Status::Unknown)
    );
    assert_eq!((stale.status_since, stale.status_changes), (Some(1_000_101.0), 1));
    assert!(stale.checks[0].problem.is_none());
    assert_eq!(test.down(), Some(9.0));
    test.run("api/http", 200, None);
    assert_eq!(test.down(), Some(9.0), "one success is not enough");
    test.run("api/http", 205, None);
    assert_eq!(test.down(), Some(0.0));
}

#[test]
fn recent_runs_are_listed_by_check() {
    let test = TestStore::new(&config(vec![("api", vec![check("http"), check("tcp")])]));
    assert!(test.store.recent_runs("ap").is_none());
    assert_eq!(test.store.recent_runs("api").unwrap(), [Vec::new(), Vec::new()]);
    for second in 1..=12 {
        test.run("api/tcp", second, (second == 12).then_some(Reason::Tls));
    }
    let runs = test.store.recent_runs("api").unwrap();
    assert_eq!((runs[0].len(), runs[1].len()), (0, RECENT_RUNS));
    assert_eq!((runs[1][0].ended, runs[1][9].ended), (1_000_012.0, 1_000_003.0));
    assert_eq!(runs[1][0].problem.as_ref().unwrap().message(), "failed with tls");
}
