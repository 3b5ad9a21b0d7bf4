//! The state after a restart with a state directory.

use super::*;
use crate::config::ConfigFile;
use crate::model::Severity;

#[test]
fn a_restart_keeps_statuses_and_since_times() {
    let dir = tempfile::tempdir().unwrap();
    let services = config(vec![("api", vec![check("http")]), ("db", vec![check("tcp")])]);
    let path = || Some(dir.path().to_owned());
    let test = TestStore::with(clock(0), path(), &services);
    test.run("db/tcp", 9, None);
    test.run("api/http", 10, REFUSED);
    let before = test.service();
    drop(test);
    // The next process starts 20 s later. Its monotonic clock starts at zero.
    let later = TestClock::new(0, 1_000_030);
    let test = TestStore::with(later, path(), &services);
    let after = test.service();
    assert_eq!(
        (after.status, after.conditions),
        (Status::Down, before.conditions)
    );
    assert_eq!(after.status_since, before.status_since);
    assert_eq!((after.status_changes, after.checks[0].runs), (0, 0));
    assert_eq!(after.checks[0].last_ended, Some(1_000_010.0));
    assert_eq!(
        after.checks[0].problem.as_ref().unwrap().message(),
        "failed with refused"
    );
    assert!(!test.store.snapshot().exporter.is_first_round_over);
    test.run("api/http", 2, None);
    assert_eq!(
        test.service().status,
        Status::Down,
        "a recovery takes two successes after a restart, too"
    );
    test.run("api/http", 7, None);
    assert_eq!(test.service().status, Status::Up);
}

#[test]
fn the_state_of_services_in_an_invalid_file_survives_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let path = || Some(dir.path().to_owned());
    let both = config(vec![("api", vec![check("http")]), ("db", vec![check("tcp")])]);
    let only_db = config(vec![("db", vec![check("tcp")])]);
    let load = |store: &Store, config: &Config, is_valid| {
        let name = "api.yml".into();
        store.record_config_files(&[ConfigFile { name, is_valid }]);
        store.apply(config);
    };
    let test = TestStore::with(clock(0), path(), &both);
    test.run("api/http", 10, REFUSED);
    drop(test);
    for now in [15, 20] {
        let (store, _) = Store::open(clock(now), path()).unwrap();
        load(&store, &only_db, false);
        load(&store, &only_db, false);
    }
    let clock = clock(25);
    let (store, _) = Store::open(clock.clone(), path()).unwrap();
    load(&store, &only_db, false);
    load(&store, &both, true);
    let test = TestStore { clock, store };
    assert_eq!((test.service().status, test.down()), (Status::Down, Some(9.0)));
    // A service that was removed from a valid file is forgotten.
    load(&test.store, &only_db, true);
    load(&test.store, &both, true);
    assert_ne!(test.down(), Some(9.0));
}

#[test]
fn after_a_restart_an_edited_check_decides_with_one_run_and_stale_results_are_unknown() {
    let dir = tempfile::tempdir().unwrap();
    let path = || Some(dir.path().to_owned());
    let test = TestStore::with(clock(0), path(), &config(vec![("api", vec![check("http")])]));
    test.run("api/http", 10, REFUSED);
    drop(test);
    let mut edited = check("http");
    edited.severity = Severity::Warning;
    let edited = config(vec![("api", vec![edited])]);
    let test = TestStore::with(clock(400), path(), &edited);
    let service = test.service();
    assert_eq!((service.status, service.status_changes), (Status::Unknown, 0));
    assert_eq!(test.down(), Some(9.0));
    // Another restart before the first run changes nothing.
    drop(test);
    let test = TestStore::with(clock(410), path(), &edited);
    assert_eq!(test.down(), Some(9.0));
    test.run("api/http", 412, None);
    assert_eq!((test.service().status, test.down()), (Status::Up, Some(0.0)));
}

#[test]
fn conditions_from_days_ago_are_absent_until_a_run_confirms_them() {
    const DAYS: i64 = 3 * 24 * 3600;
    let dir = tempfile::tempdir().unwrap();
    let path = || Some(dir.path().to_owned());
    let services = config(vec![("api", vec![check("http")]), ("db", vec![check("tcp")])]);
    let test = TestStore::with(clock(0), path(), &services);
    test.run("api/http", 10, REFUSED);
    test.run("db/tcp", 10, REFUSED);
    drop(test);
    let test = TestStore::with(clock(DAYS), path(), &services);
    assert_eq!(
        (test.service().status, test.service().conditions),
        (Status::Unknown, None)
    );
    // Another restart before the first run changes nothing.
    drop(test);
    let test = TestStore::with(clock(DAYS + 5), path(), &services);
    assert_eq!(test.service().conditions, None);
    test.run("api/http", DAYS + 7, None);
    assert_eq!((test.service().status, test.down()), (Status::Up, Some(0.0)));
    test.run("db/tcp", DAYS + 7, REFUSED);
    let db = test.store.snapshot().services.remove(1);
    assert_eq!((db.status, db.status_changes), (Status::Down, 0));
    assert_eq!(db.conditions, Some([1_000_009.0, 1_000_009.0, 0.0]));
}

#[test]
fn the_result_of_a_check_with_a_long_interval_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = || Some(dir.path().to_owned());
    let mut rare = check("http");
    rare.interval = Duration::from_secs(3600);
    rare.recheck_interval = Duration::from_secs(3600);
    let services = config(vec![("api", vec![rare])]);
    let test = TestStore::with(clock(0), path(), &services);
    test.run("api/http", 10, REFUSED);
    drop(test);
    let test = TestStore::with(clock(3000), path(), &services);
    assert_eq!((test.service().status, test.down()), (Status::Down, Some(9.0)));
}

#[test]
fn a_since_time_in_the_future_becomes_now() {
    let dir = tempfile::tempdir().unwrap();
    let path = || Some(dir.path().to_owned());
    let services = config(vec![("api", vec![check("http")])]);
    let test = TestStore::with(clock(5000), path(), &services);
    test.run("api/http", 5010, REFUSED);
    drop(test);
    let test = TestStore::with(clock(100), path(), &services);
    assert_eq!(test.down(), Some(100.0));
}
