//! Checks that the unit tests of the rules cover every alert.

use std::collections::{BTreeMap, BTreeSet};

use super::EXPECTED;
use super::tools::{files, list, text, yaml};

/// Seconds at which the unit tests expect an alert to fire, and at which they expect it to be silent.
#[derive(Default)]
struct Expected {
    firing: BTreeSet<u64>,
    silent: BTreeSet<u64>,
}

fn expectations() -> BTreeMap<String, Vec<(u64, Expected)>> {
    let mut found: BTreeMap<String, Vec<(u64, Expected)>> = BTreeMap::new();
    for file in files("rules/tests", ".test.yml") {
        let file = yaml(&file);
        let step = seconds(text(&file, "evaluation_interval"));
        for test in list(&file, "tests") {
            let mut by_alert: BTreeMap<&str, Expected> = BTreeMap::new();
            for case in test["alert_rule_test"].as_array().into_iter().flatten() {
                let expected = by_alert.entry(text(case, "alertname")).or_default();
                let fires = !list(case, "exp_alerts").is_empty();
                let moments = if fires {
                    &mut expected.firing
                } else {
                    &mut expected.silent
                };
                moments.insert(seconds(text(case, "eval_time")));
            }
            for (alert, expected) in by_alert {
                found.entry(alert.to_owned()).or_default().push((step, expected));
            }
        }
    }
    found
}

fn seconds(duration: &str) -> u64 {
    let (number, factor) = match duration.strip_suffix('m') {
        Some(minutes) => (minutes, 60),
        None => (duration.strip_suffix('s').unwrap_or(duration), 1),
    };
    factor
        * number
            .parse::<u64>()
            .unwrap_or_else(|_| panic!("{duration} is not a number of seconds or minutes"))
}

#[test]
fn every_alert_has_tests_that_it_fires_on_time_stays_silent_and_recovers() {
    let found = expectations();
    let names: BTreeSet<&str> = found.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        EXPECTED.iter().map(|(name, _)| *name).collect(),
        "alerts with tests, and all alerts"
    );
    for (alert, tests) in found.iter().filter(|(alert, _)| *alert != "UpkeepWatchdog") {
        let on_time = tests.iter().any(|(step, e)| {
            e.firing
                .iter()
                .any(|t| *t >= *step && e.silent.contains(&(t - step)))
        });
        assert!(
            on_time,
            "no test has {alert} silent one evaluation before it fires"
        );
        let recovers = tests
            .iter()
            .any(|(_, e)| e.firing.first().is_some_and(|t| e.silent.last() > Some(t)));
        assert!(recovers, "no test has {alert} recover");
        let silent = tests.iter().any(|(_, e)| e.firing.is_empty());
        assert!(silent, "no test has {alert} silent throughout");
    }
    let watchdog = &found["UpkeepWatchdog"];
    assert!(
        watchdog
            .iter()
            .all(|(_, e)| e.silent.is_empty() && e.firing.contains(&0)),
        "the watchdog always fires"
    );
}
