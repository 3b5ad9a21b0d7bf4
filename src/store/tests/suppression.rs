//! Suppressed conditions: of services that depend on a service that is down, and of services in maintenance. The tolerance of down is
//! 30 s and the recheck interval 5 s, so runs must hold the condition for 25 s.

use std::path::Path;

use super::*;
use crate::config::Service;

const DOWN: usize = Condition::Down as usize;

/// Services with one check named `tcp` each, and the services that each one depends on.
fn services(list: &[(&str, &[&str])]) -> Config {
    let mut config = config(list.iter().map(|(key, _)| (*key, vec![check("tcp")])).collect());
    for (service, (_, depends_on)) in config.services.iter_mut().zip(list) {
        *service = Arc::new(Service {
            depends_on: depends_on.iter().map(|key| ServiceKey::new(*key)).collect(),
            ..Service::clone(service)
        });
    }
    config
}

/// api depends on web, and web depends on db.
fn chain() -> Config {
    services(&[("api", &["web"]), ("web", &["db"]), ("db", &[])])
}

/// Any maintenance window.
fn window() -> Maintenance {
    Maintenance {
        id: "m1".to_owned(),
        started: 1_000_000.0,
        ends: 1_000_100.0,
        reason: "upgrade".to_owned(),
        by: Some("root".to_owned()),
    }
}

impl TestStore {
    fn view(&self, key: &str) -> ServiceView {
        let services = self.store.snapshot().services;
        let found = services.into_iter().find(|view| view.service.key.as_str() == key);
        found.unwrap()
    }

    fn roots(&self, key: &str) -> Vec<String> {
        let view = self.view(key);
        assert_eq!(view.is_impacted, !view.roots.is_empty());
        view.roots.iter().map(ToString::to_string).collect()
    }

    fn confirmed(&self, key: &str) -> bool {
        self.view(key).confirmed.unwrap()[DOWN]
    }

    /// Failing runs of the service every 5 s, the first one ending at `from` and the last one at `to` seconds.
    fn fail_every_5_s(&self, key: &str, from: i64, to: i64) {
        for second in (from..=to).step_by(5) {
            self.run(&format!("{key}/tcp"), second, REFUSED);
        }
    }

    fn succeed(&self, key: &str, seconds: [i64; 2]) {
        for second in seconds {
            self.run(&format!("{key}/tcp"), second, None);
        }
    }

    fn maintain(&self, second: i64, keys: &[&str]) {
        self.clock.set(second);
        let active = keys.iter().map(|key| (ServiceKey::new(*key), Arc::new(window())));
        self.store.set_maintenance(active.collect(), BTreeMap::new());
    }
}

#[test]
fn only_the_root_of_a_chain_is_confirmed() {
    let test = TestStore::new(&chain());
    for key in ["db", "web", "api"] {
        test.fail_every_5_s(key, 1, 61);
    }
    assert_eq!(test.roots("db"), [""; 0]);
    assert_eq!(test.roots("web"), ["db"]);
    assert_eq!(test.roots("api"), ["db"]);
    assert_eq!(
        ["db", "web", "api"].map(|key| test.confirmed(key)),
        [true, false, false]
    );
    let api = test.view("api");
    assert_eq!(
        (api.status, api.conditions.unwrap()[DOWN]),
        (Status::Down, 1_000_000.0)
    );
}

#[test]
fn a_service_that_stays_down_after_its_root_recovered_is_confirmed_after_its_tolerance() {
    let test = TestStore::new(&chain());
    for key in ["db", "web"] {
        test.fail_every_5_s(key, 1, 60);
    }
    // The second success ends the outage of the root, at 66 s.
    test.succeed("db", [61, 66]);
    assert_eq!(test.roots("web"), [""; 0]);
    test.fail_every_5_s("web", 66, 90);
    assert!(!test.confirmed("web"), "seen for 24 s after the recovery");
    test.fail_every_5_s("web", 91, 91);
    assert!(test.confirmed("web"));
    assert_eq!(
        test.view("web").conditions.unwrap()[DOWN],
        1_000_000.0,
        "the since-time stays"
    );
}

#[test]
fn a_service_may_recover_before_its_root() {
    let test = TestStore::new(&chain());
    for key in ["db", "web"] {
        test.fail_every_5_s(key, 1, 60);
    }
    test.succeed("web", [61, 66]);
    let web = test.view("web");
    assert_eq!((web.status, web.is_impacted), (Status::Up, true));
    test.succeed("db", [67, 72]);
    assert!(!test.view("web").is_impacted);
    test.fail_every_5_s("web", 80, 109);
    assert!(test.confirmed("web"), "a later outage has the usual tolerance");
}

#[test]
fn a_condition_that_was_confirmed_before_its_root_failed_stays_confirmed() {
    let test = TestStore::new(&chain());
    test.fail_every_5_s("web", 1, 31);
    assert!(test.confirmed("web"));
    test.fail_every_5_s("db", 32, 32);
    test.fail_every_5_s("web", 36, 66);
    assert_eq!(
        (test.roots("web"), test.confirmed("web")),
        (vec!["db".to_owned()], true)
    );
    test.succeed("web", [70, 75]);
    assert!(!test.confirmed("web"), "a recovery ends it");
}

#[test]
fn a_diamond_stays_suppressed_until_its_last_root_recovered() {
    let diamond = [("api", &["left", "right"][..]), ("left", &[]), ("right", &[])];
    let test = TestStore::new(&services(&diamond));
    for key in ["right", "left", "api"] {
        test.fail_every_5_s(key, 1, 31);
    }
    assert_eq!(test.roots("api"), ["left", "right"]);
    test.succeed("left", [32, 37]);
    test.fail_every_5_s("api", 38, 68);
    assert_eq!(
        (test.roots("api"), test.confirmed("api")),
        (vec!["right".to_owned()], false)
    );
    test.succeed("right", [69, 74]);
    test.fail_every_5_s("api", 75, 95);
    assert!(!test.confirmed("api"));
    test.fail_every_5_s("api", 99, 99);
    assert!(test.confirmed("api"));
}

#[test]
fn an_unknown_root_suppresses_nothing() {
    let test = TestStore::new(&chain());
    test.fail_every_5_s("web", 1, 31);
    assert!(test.confirmed("web"), "the root has not run");
    // The result of the root becomes stale at 92 s.
    let test = TestStore::new(&chain());
    test.fail_every_5_s("db", 1, 1);
    test.fail_every_5_s("web", 1, 91);
    assert!(!test.confirmed("web"));
    test.clock.set(92);
    test.store.sweep();
    test.fail_every_5_s("web", 96, 116);
    assert_eq!(test.view("db").status, Status::Unknown);
    assert_eq!((test.roots("web"), test.confirmed("web")), (Vec::new(), false));
    test.fail_every_5_s("web", 121, 121);
    assert!(test.confirmed("web"));
}

#[test]
fn a_dependency_that_a_reload_adds_or_removes_takes_effect_at_once() {
    let apart = services(&[("api", &[]), ("web", &[]), ("db", &[])]);
    let test = TestStore::new(&apart);
    for key in ["db", "web"] {
        test.fail_every_5_s(key, 1, 21);
    }
    test.store.apply(&chain());
    assert_eq!(test.roots("web"), ["db"]);
    test.fail_every_5_s("web", 26, 61);
    assert!(!test.confirmed("web"));
    test.store.apply(&apart);
    assert!(!test.view("web").is_impacted);
    test.fail_every_5_s("web", 66, 85);
    assert!(!test.confirmed("web"));
    test.fail_every_5_s("web", 86, 86);
    assert!(test.confirmed("web"));
}

#[test]
fn removing_the_root_ends_the_impact() {
    let test = TestStore::new(&chain());
    for key in ["db", "web"] {
        test.fail_every_5_s(key, 1, 61);
    }
    test.store.apply(&services(&[("api", &["web"]), ("web", &[])]));
    assert_eq!(
        (test.roots("web"), test.roots("api")),
        (vec![], vec!["web".to_owned()])
    );
}

#[test]
fn in_maintenance_nothing_is_confirmed_and_the_tolerance_counts_from_its_end() {
    let test = TestStore::new(&chain());
    let changes = test.store.changes();
    test.maintain(0, &["db", "unknown"]);
    assert!(test.store.changes() > changes);
    assert!(test.view("db").maintenance.is_some() && test.view("web").maintenance.is_none());
    for key in ["db", "web"] {
        test.fail_every_5_s(key, 1, 61);
    }
    assert!(!test.confirmed("db"));
    assert!(
        !test.confirmed("web"),
        "a root in maintenance explains the outage too"
    );
    test.maintain(61, &[]);
    test.fail_every_5_s("db", 66, 85);
    assert!(!test.confirmed("db"));
    test.fail_every_5_s("db", 86, 86);
    test.fail_every_5_s("web", 86, 86);
    assert_eq!((test.confirmed("db"), test.confirmed("web")), (true, false));
}

#[test]
fn when_a_suppression_ends_the_checks_that_are_not_up_run_at_once() {
    use futures_util::FutureExt;

    let test = TestStore::new(&services(&[("api", &["db"]), ("web", &["db"]), ("db", &[])]));
    let is_requested = |id: &str| {
        let wakeup = test.store.wakeup(test.handle(id)).unwrap();
        wakeup.notified().now_or_never().is_some()
    };
    test.run("web/tcp", 5, None);
    test.run("db/tcp", 10, REFUSED);
    test.run("api/tcp", 11, REFUSED);
    assert!(!is_requested("api/tcp"));
    test.succeed("db", [18, 23]);
    assert!(is_requested("api/tcp"), "its dependency recovered");
    assert!(!is_requested("web/tcp"), "it is up");

    test.maintain(30, &["api", "web"]);
    assert!(!is_requested("api/tcp"));
    test.maintain(40, &[]);
    assert!(is_requested("api/tcp"), "its maintenance ended");
    assert!(!is_requested("web/tcp"), "it is up");
}

#[test]
fn the_end_of_one_of_two_reasons_does_not_end_the_suppression() {
    let test = TestStore::new(&chain());
    test.maintain(0, &["web"]);
    for key in ["db", "web"] {
        test.fail_every_5_s(key, 1, 31);
    }
    test.maintain(31, &[]);
    test.fail_every_5_s("web", 36, 66);
    assert!(!test.confirmed("web"));
    test.maintain(70, &["web"]);
    test.succeed("db", [71, 76]);
    test.fail_every_5_s("web", 77, 107);
    assert!(!test.confirmed("web"));
}

#[test]
fn a_condition_confirmed_before_the_maintenance_stays_confirmed() {
    let test = TestStore::new(&chain());
    test.fail_every_5_s("db", 1, 31);
    test.maintain(31, &["db"]);
    test.fail_every_5_s("db", 36, 66);
    assert!(test.confirmed("db"));
}

fn restarted(now: i64, dir: &Path) -> TestStore {
    TestStore::with(clock(now), Some(dir.to_owned()), &chain())
}

#[test]
fn a_restart_keeps_the_suppression_and_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let test = restarted(0, dir.path());
    for key in ["db", "web"] {
        test.fail_every_5_s(key, 1, 61);
    }
    drop(test);
    let test = restarted(62, dir.path());
    assert_eq!(test.roots("web"), ["db"]);
    test.fail_every_5_s("web", 66, 71);
    assert!(!test.confirmed("web"), "the root is still known to be down");
    test.succeed("db", [72, 77]);
    test.fail_every_5_s("web", 78, 98);
    drop(test);
    let test = restarted(99, dir.path());
    assert!(!test.confirmed("web"));
    test.fail_every_5_s("web", 101, 101);
    assert!(!test.confirmed("web"), "seen for 24 s after the recovery");
    test.fail_every_5_s("web", 102, 102);
    assert!(test.confirmed("web"));
}

#[test]
fn a_suppression_that_ended_during_a_restart_counts_from_the_restart() {
    let dir = tempfile::tempdir().unwrap();
    let test = restarted(0, dir.path());
    test.maintain(0, &["web"]);
    test.fail_every_5_s("web", 1, 61);
    drop(test);
    let test = restarted(62, dir.path());
    assert!(test.view("web").maintenance.is_none());
    test.fail_every_5_s("web", 66, 86);
    assert!(!test.confirmed("web"));
    test.fail_every_5_s("web", 87, 87);
    assert!(test.confirmed("web"));
}

#[test]
fn a_maintenance_that_ended_while_the_exporter_was_down_counts_from_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let test = restarted(0, dir.path());
    test.maintain(0, &["web"]);
    test.fail_every_5_s("web", 1, 61);
    drop(test);
    // It ended at 70 s, and the exporter starts at 80 s.
    let clock = clock(80);
    let (store, _) = Store::open(clock.clone(), Some(dir.path().to_owned())).unwrap();
    let ended = BTreeMap::from([(ServiceKey::new("web"), Moment::from_nanos(70 * SECOND))]);
    store.set_maintenance(BTreeMap::new(), ended);
    store.apply(&chain());
    let test = TestStore { clock, store };
    test.fail_every_5_s("web", 84, 94);
    assert!(!test.confirmed("web"));
    test.fail_every_5_s("web", 95, 95);
    assert!(test.confirmed("web"));
}

#[test]
fn a_restart_in_a_maintenance_suppresses_from_the_first_run_on() {
    let dir = tempfile::tempdir().unwrap();
    let test = restarted(0, dir.path());
    test.fail_every_5_s("web", 1, 21);
    test.maintain(22, &["web"]);
    drop(test);
    let clock = clock(60);
    let (store, _) = Store::open(clock.clone(), Some(dir.path().to_owned())).unwrap();
    store.set_maintenance(
        BTreeMap::from([(ServiceKey::new("web"), Arc::new(window()))]),
        BTreeMap::new(),
    );
    store.apply(&chain());
    let test = TestStore { clock, store };
    assert!(test.view("web").maintenance.is_some());
    test.fail_every_5_s("web", 61, 101);
    assert!(!test.confirmed("web"));
}
