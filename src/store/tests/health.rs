//! The health of services that can be healed.

use super::*;
use crate::config::Service;
use crate::model::{ServiceKey, Shortage};

/// A service that can be healed, with a critical and a warning check, and one that depends on it.
fn healed() -> Config {
    let heal = |key: &str| {
        let text = format!("services: [{{ key: {key}, systemd: {key}, heal: {{ mode: act }} }}]");
        crate::config::parse(&text, "test.yml").unwrap().config.services[0]
            .heal
            .clone()
    };
    let other = tests_support::check("kind: tcp, name: other, severity: warning, address: 'a:1'");
    let mut config = config(vec![
        ("db", vec![check("tcp"), other]),
        ("api", vec![check("tcp")]),
        ("web", vec![check("tcp")]),
    ]);
    for (service, depends_on) in config.services.iter_mut().zip([None, Some("db"), None]) {
        *service = Arc::new(Service {
            depends_on: depends_on.into_iter().map(ServiceKey::new).collect(),
            heal: if service.key.as_str() == "web" {
                None
            } else {
                heal(service.key.as_str())
            },
            ..Service::clone(service)
        });
    }
    config
}

fn at(second: i64) -> Moment {
    Moment::from_nanos(second * SECOND)
}

#[test]
fn failed_runs_of_critical_checks_are_reported_with_their_starts() {
    let store = TestStore::new(&healed());
    store.run("db/other", 9, Some(Reason::Status));
    store.run("db/tcp", 10, None);
    store.run("db/tcp", 15, Some(Reason::Refused));
    store.run("db/tcp", 20, Some(Reason::Timeout));
    let health = store.store.health();
    let keys: Vec<&str> = health
        .services
        .iter()
        .map(|service| service.service.key.as_str())
        .collect();
    assert_eq!(keys, ["db", "api"], "only those with heal");
    let db = &health.services[0];
    assert_eq!(db.status, Status::Down);
    assert_eq!(db.failing.len(), 1);
    let runs = [(at(19), Some(Reason::Timeout)), (at(14), Some(Reason::Refused))];
    assert_eq!(db.failing[0].failed_runs, runs);
    assert_eq!(db.failing[0].problem.as_ref().unwrap().reason, Reason::Timeout);
    store.run("db/tcp", 25, None);
    store.run("db/tcp", 30, None);
    assert!(store.store.health().services[0].failing.is_empty());
}

#[test]
fn services_behind_a_root_do_not_count_as_down() {
    let store = TestStore::new(&healed());
    for service in ["db/tcp", "api/tcp", "web/tcp"] {
        store.run(service, 10, Some(Reason::Refused));
    }
    let health = store.store.health();
    assert_eq!((health.down_count, health.service_count), (2, 3));
    assert_eq!(health.services[0].root, None);
    assert_eq!(health.services[1].root, Some(ServiceKey::new("db")));
}

#[test]
fn a_shortage_of_any_check_counts_until_a_conclusive_run() {
    let store = TestStore::new(&healed());
    let inconclusive = |shortage| Outcome {
        conclusion: Conclusion::from(Problem::from_shortage(shortage, "none left")),
        ..Outcome::default()
    };
    store.record(store.handle("web/tcp"), 10, inconclusive(Shortage::Manager));
    assert_eq!(store.store.health().shortage, None, "it concerns one unit");
    store.record(store.handle("web/tcp"), 11, inconclusive(Shortage::Descriptors));
    assert_eq!(store.store.health().shortage, Some(Shortage::Descriptors));
    store.run("web/tcp", 12, None);
    assert_eq!(store.store.health().shortage, None);
}
