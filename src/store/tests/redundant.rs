//! Services of which only some checks must work.

use super::*;
use crate::config::Service;
use crate::model::Severity;

const DOWN: usize = Condition::Down as usize;
const DEGRADED: usize = Condition::Degraded as usize;

/// A service with the checks a and b, of which one must work, and c of severity warning.
fn pair(any_of: Option<usize>) -> Config {
    let warning = CheckSettings {
        severity: Severity::Warning,
        ..check("c")
    };
    let mut config = config(vec![("api", vec![check("a"), check("b"), warning])]);
    config.services[0] = Arc::new(Service {
        any_of,
        ..Service::clone(&config.services[0])
    });
    config
}

impl TestStore {
    fn run_all(&self, second: i64, reasons: [Option<Reason>; 3]) {
        for (name, reason) in ["a", "b", "c"].into_iter().zip(reasons) {
            self.run(&format!("api/{name}"), second, reason);
        }
    }
}

#[test]
fn a_pair_is_degraded_when_one_is_down_and_down_when_both_are() {
    let test = TestStore::new(&pair(Some(1)));
    test.run_all(1, [None; 3]);
    assert_eq!(test.service().status, Status::Up);
    test.run_all(10, [REFUSED, None, None]);
    let service = test.service();
    assert_eq!((service.status, test.down()), (Status::Degraded, Some(0.0)));
    assert_eq!(service.conditions.unwrap()[DEGRADED], 1_000_009.0);
    test.run_all(20, [REFUSED, REFUSED, None]);
    assert_eq!((test.service().status, test.down()), (Status::Down, Some(19.0)));
    for second in [24, 29, 34, 39] {
        test.run_all(second, [REFUSED, REFUSED, REFUSED]);
    }
    assert!(!test.service().confirmed.unwrap()[DOWN], "down for 20 s");
    test.run("api/a", 44, REFUSED);
    assert!(
        !test.service().confirmed.unwrap()[DOWN],
        "the evidence of b is from 39 s"
    );
    test.run("api/b", 44, REFUSED);
    assert!(test.service().confirmed.unwrap()[DOWN]);
    test.run("api/b", 50, None);
    test.run("api/b", 55, None);
    assert_eq!(
        (test.service().status, test.down()),
        (Status::Degraded, Some(0.0))
    );
}

#[test]
fn a_warning_does_not_count_as_a_working_check() {
    let test = TestStore::new(&pair(Some(1)));
    test.run_all(10, [REFUSED, REFUSED, None]);
    assert_eq!(test.service().status, Status::Down);
}

#[test]
fn a_reload_that_adds_redundancy_takes_effect_at_once() {
    let test = TestStore::new(&pair(None));
    test.run_all(10, [REFUSED, None, None]);
    assert_eq!(test.service().status, Status::Down);
    test.store.apply(&pair(Some(1)));
    assert_eq!(
        (test.service().status, test.down()),
        (Status::Degraded, Some(0.0))
    );
    test.store.apply(&pair(Some(2)));
    assert_eq!((test.service().status, test.down()), (Status::Down, Some(9.0)));
}
