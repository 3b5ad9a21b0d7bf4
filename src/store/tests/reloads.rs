//! The state after a reload of the configuration.

use super::*;
use crate::config::ConfigFile;

#[test]
fn a_reload_keeps_the_state_of_unchanged_checks() {
    let test = TestStore::new(&config(vec![
        ("api", vec![check("http")]),
        ("db", vec![check("tcp")]),
    ]));
    test.run("api/http", 10, REFUSED);
    test.run("db/tcp", 10, None);
    let handle = test.handle("api/http");
    test.store.apply(&config(vec![
        ("web", vec![check("http")]),
        ("api", vec![check("http")]),
    ]));
    assert_eq!(test.handle("api/http"), handle);
    let snapshot = test.store.snapshot();
    let keys: Vec<&str> = snapshot
        .services
        .iter()
        .map(|view| view.service.key.as_str())
        .collect();
    assert_eq!(keys, ["web", "api"]);
    assert_eq!(snapshot.services[0].status, Status::Unknown);
    assert_eq!(snapshot.services[1].conditions.unwrap()[0], 1_000_009.0);
    assert_eq!(snapshot.services[1].checks[0].runs, 1);
    assert!(
        snapshot.exporter.is_first_round_over,
        "a reload does not reset readiness"
    );
}

#[test]
fn after_an_edit_the_status_stays_until_the_next_run() {
    let test = TestStore::new(&config(vec![("api", vec![check("http")])]));
    test.run("api/http", 10, REFUSED);
    let old = test.handle("api/http");
    let mut edited = check("http");
    edited.interval = Duration::from_secs(30);
    test.store.apply(&config(vec![("api", vec![edited])]));
    let new = test.handle("api/http");
    assert_ne!(old, new);
    let service = test.service();
    assert_eq!((service.status, test.down()), (Status::Down, Some(9.0)));
    assert!(
        service.checks[0].last_run.is_none(),
        "the measurements may belong to another target"
    );
    assert_eq!(
        (service.checks[0].runs, service.checks[0].last_ended),
        (1, Some(1_000_010.0))
    );
    test.record(old, 12, TestStore::outcome(None, None));
    assert_eq!(
        test.service().checks[0].runs,
        1,
        "a run with the old settings is ignored"
    );
    test.record(new, 14, TestStore::outcome(None, None));
    assert_eq!((test.service().status, test.down()), (Status::Up, Some(0.0)));
}

#[test]
fn removing_a_failing_check_ends_its_failure() {
    let both = config(vec![("api", vec![check("http"), check("tcp")])]);
    let test = TestStore::new(&both);
    test.run("api/tcp", 8, None);
    test.run("api/http", 10, REFUSED);
    test.clock.set(20);
    test.store.apply(&config(vec![("api", vec![check("tcp")])]));
    let service = test.service();
    assert_eq!((service.status, service.conditions), (Status::Up, Some([0.0; 3])));
    // If another check replaces it, the condition stays until that check has run.
    let test = TestStore::new(&both);
    test.run("api/tcp", 8, None);
    test.run("api/http", 10, REFUSED);
    test.store
        .apply(&config(vec![("api", vec![check("tcp"), check("http2")])]));
    assert_eq!((test.service().status, test.down()), (Status::Unknown, Some(9.0)));
    test.run("api/http2", 12, None);
    assert_eq!((test.service().status, test.down()), (Status::Up, Some(0.0)));
}

#[test]
fn a_failed_reload_only_sets_the_reload_state() {
    let test = TestStore::new(&config(vec![("api", vec![check("http")])]));
    test.clock.set(50);
    test.store.reload_failed();
    let exporter = test.store.snapshot().exporter;
    assert_eq!(
        (exporter.last_reload_successful, exporter.last_reload_success),
        (false, 1_000_000.0)
    );
}

#[test]
fn a_configuration_with_an_invalid_file_is_applied_but_not_a_success() {
    let both = config(vec![("api", vec![check("http")]), ("web", vec![check("http")])]);
    let test = TestStore::new(&both);
    let file = |name: &str, is_valid| ConfigFile {
        name: name.into(),
        is_valid,
    };
    test.clock.set(50);
    test.store
        .record_config_files(&[file("a.yml", true), file("b.yml", false)]);
    test.store.apply(&config(vec![("api", vec![check("http")])]));
    let snapshot = test.store.snapshot();
    assert_eq!(snapshot.services.len(), 1);
    let exporter = snapshot.exporter;
    assert_eq!(
        (exporter.last_reload_successful, exporter.last_reload_success),
        (false, 1_000_000.0)
    );
    assert_eq!(
        *exporter.config_files,
        [file("a.yml", true), file("b.yml", false)]
    );
    test.store
        .record_config_files(&[file("a.yml", true), file("b.yml", true)]);
    test.store.apply(&both);
    let exporter = test.store.snapshot().exporter;
    assert_eq!(
        (exporter.last_reload_successful, exporter.last_reload_success),
        (true, 1_000_050.0)
    );
}
