//! Objectives: the level that applies, and warnings about checks that are too slow for them.

use crate::settings::loaded;

/// The objectives of the services in percent; 0 without one.
fn objectives(text: &str) -> Vec<f64> {
    let services = loaded(text).config.services;
    let percent = |ratio: f64| (ratio * 1e7).round() / 1e5;
    services
        .iter()
        .map(|service| {
            service
                .objective
                .map_or(0.0, |objective| percent(objective.ratio()))
        })
        .collect()
}

fn warnings(text: &str) -> Vec<String> {
    loaded(text).warnings.iter().map(ToString::to_string).collect()
}

#[test]
fn the_closest_level_sets_the_objective() {
    let text = "defaults: { slo: { objective: 99% } }
tiers: { tolerant: { slo: { objective: 95% } }, critical: { slo: { window: 30d } } }
services:
  - { key: a, port: 1 }
  - { key: b, port: 1, tier: tolerant }
  - { key: c, port: 1, tier: tolerant, slo: { objective: 99.5 % } }
  - { key: d, port: 1, slo: { objective: off } }
  - { key: e, port: 1, slo: { objective: 'off' } }
";
    assert_eq!(objectives(text), [99.0, 95.0, 99.5, 0.0, 0.0]);
    assert_eq!(objectives("services: [{ key: a, port: 1 }]"), [0.0]);
}

/// With the default interval of 15 s, 2% of the error budget must be at least 15 s, and two failed runs cost 20 s.
#[test]
fn an_interval_that_is_too_long_is_a_warning() {
    let text = "services: [{ key: a, slo: { objective: 99.9% }, checks: [{ kind: tcp, name: b, address: 'a:1', interval: INTERVAL }] }]";
    assert!(warnings(&text.replace("INTERVAL", "51s")).is_empty());
    assert_eq!(
        warnings(&text.replace("INTERVAL", "52s")),
        [
            "a.yml:1:40: warning: services[0].slo.objective: too strict for the check b of a: 2% of its error budget is 51s of down time, \
             but an outage as long as the interval (52s) can pass unnoticed; set an interval of at most 51s, or an objective of at \
             most 99.899%"
        ]
    );
    assert_eq!(
        warnings(&text.replace("INTERVAL", "2h")),
        [
            "a.yml:1:40: warning: services[0].slo.objective: too strict for the check b of a: 2% of its error budget is 51s of down time, \
             but an outage as long as the interval (2h) can pass unnoticed; set an interval of at most 51s, or objective: off for this \
             service"
        ]
    );
    let warning = text.replace("INTERVAL", "2h, severity: warning");
    assert!(warnings(&warning).is_empty(), "it can't take the service down");
}

/// One objective for many services is reported once.
#[test]
fn failed_runs_that_cost_too_much_are_a_warning() {
    let text = "defaults: { slo: { objective: 99.97% } }
services: [{ key: a, port: 1, checks: [{ kind: tcp, address: 'a:1' }] }, { key: b, checks: [{ kind: tcp, address: 'a:1' }] }]
";
    assert_eq!(
        warnings(text),
        [
            "a.yml:1:31: warning: defaults.slo.objective: too strict for the check tcp_2 of a: 2% of its error budget is 15s of down time, \
             but two failed runs cost 20s; lower recheck_interval, timeout or successes_before_up, or set an objective of at most 99.961%"
        ]
    );
    assert!(warnings(&text.replace("99.97", "99.96")).is_empty());
    let confirmed = text.replace(
        "services:",
        "tiers: { critical: { failures_before_down: 2 } }\nservices:",
    );
    assert!(
        warnings(&confirmed).is_empty(),
        "two failed runs in a row cost 10s"
    );
}

/// The rules don't count what two failed runs cost, each seen for one scrape interval longer.
#[test]
fn the_allowance_is_that_of_the_slowest_critical_check() {
    let allowance = |keys: &str| {
        let text = format!("services: [{{ key: a, slo: {{ objective: 99% }}, {keys} }}]");
        let services = loaded(&text).config.services;
        services[0].objective_allowance().as_secs()
    };
    assert_eq!(allowance("checks: [{ kind: tcp, address: 'a:1' }]"), 30);
    assert_eq!(
        allowance("checks: [{ kind: tcp, address: 'a:1', timeout: 30s }]"),
        50
    );
    assert_eq!(
        allowance("checks: [{ kind: tcp, address: 'a:1', interval: 1h, recheck_interval: 5m }]"),
        1210
    );
    assert_eq!(
        allowance(
            "checks: [{ kind: tcp, address: 'a:1' }, { kind: tcp, address: 'b:1', recheck_interval: 10s, successes_before_up: 3 }]"
        ),
        70
    );
    assert_eq!(
        allowance("checks: [{ kind: tcp, address: 'a:1', failures_before_down: 3 }]"),
        10
    );
}
