//! The shipped rules in a real Prometheus with 1,000 services that have an objective: all are evaluated without an error, in a small part
//! of their interval.
//!
//! With `UPKEEP_SLO_DAYS=30` the series of that many days are recorded before, the groups have their shipped intervals, and the test
//! prints what an evaluation costs. docs/SLO.md has the figures.

mod past;

use std::time::Duration;

use past::{GROUPS, Past, START};

use crate::common::targets::{Target, ok};

const SERVICES: usize = 1000;
/// Services that are down all the time, so that their alerts fire.
const FAILING: usize = 100;
/// The longest evaluation of a group, on a busy machine: half of the interval of upkeep-slo.
const LONGEST: Duration = Duration::from_secs(30);
/// For the alerts: they need half a minute of down time even if every evaluation begins in time.
const FIRES: Duration = Duration::from_secs(240);
/// The alerts of the services that fail.
const FIRING: &str = r#"ALERTS{alertname="UpkeepErrorBudgetBurnFast",alertstate="firing"}"#;
/// Parts of four minutes.
const PARTS_OF_A_MONTH: u64 = 10_800;

/// The labels that the recorded parts have.
fn labels(service: &str) -> String {
    format!(r#"job="upkeep",instance="web1:10100",service="{service}""#)
}

/// What an exporter with the services exports for the rules.
fn exposition() -> String {
    let mut text = String::new();
    for number in 0..SERVICES {
        let service = format!(r#"service="s{number}",group="g{}",tier="critical""#, number % 20);
        let up = usize::from(number >= FAILING);
        text.push_str(&format!(
            "upkeep_service_up{{{service}}} {up}\nupkeep_service_objective_ratio{{{service}}} 0.999\n\
             upkeep_service_objective_allowance_seconds{{{service}}} 30\nupkeep_service_impacted{{{service}}} 0\n\
             upkeep_service_maintenance{{{service}}} 0\nupkeep_service_info{{{service},name=\"Service {number}\"}} 1\n"
        ));
    }
    text
}

/// The parts of four minutes of one service in 30 days, and one more: the first one ends when the 30 days begin. The service is down in the
/// first one and in the last.
fn parts_of_a_month(end: u64) -> Vec<String> {
    let objective = format!(
        r#"upkeep:service_objective:held{{{},group="g",tier="critical"}} 0.999 {end}"#,
        labels("month")
    );
    let parts = ["known", "down"].into_iter().flat_map(|name| {
        (0..=PARTS_OF_A_MONTH).map(move |part| {
            let value = u8::from(name == "known" || part % PARTS_OF_A_MONTH == 0);
            let time = end - (PARTS_OF_A_MONTH - part) * 240;
            format!(
                "upkeep:service_{name}:ratio4m{{{}}} {value} {time}",
                labels("month")
            )
        })
    });
    std::iter::once(objective).chain(parts).collect()
}

/// Records the parts of all services: of three days in minutes, and of `days` in four minutes. The services that fail are down for a
/// tenth of the time.
async fn record_past(past: &Past, days: u64) {
    let seeds = (0..SERVICES).flat_map(|number| {
        let service = labels(&format!("s{number}"));
        let down = if number < FAILING { 0.1 } else { 0.0 };
        [
            format!("seed_known{{{service}}} 1 {}", past.end),
            format!("seed_down{{{service}}} {down} {}", past.end),
        ]
    });
    let month = parts_of_a_month(past.end);
    past.import(&month.into_iter().chain(seeds).collect::<Vec<_>>());
    let mut server = past.start("{}");
    past.ready().await;
    let minutes = [
        ("upkeep:service_known:ratio1m", "seed_known"),
        ("upkeep:service_down:ratio1m", "seed_down"),
        ("upkeep:service_own_down:ratio1m", "seed_down"),
        ("upkeep:service_counted_down:ratio1m", "seed_down"),
    ];
    past.record(&minutes, 60, days.min(3));
    let parts = [
        ("upkeep:service_known:ratio4m", "seed_known"),
        ("upkeep:service_down:ratio4m", "seed_down"),
    ];
    past.record(&parts, 240, days);
    server.terminate(START);
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_evaluates_the_objectives_of_1000_services() {
    let days: u64 = std::env::var("UPKEEP_SLO_DAYS").map_or(0, |days| days.parse().unwrap());
    let past = Past::new();
    match days {
        0 => past.import(&parts_of_a_month(past.end)),
        _ => record_past(&past, days).await,
    }
    past.copy_rules(days > 0);
    let exporter = Target::answering(ok(&exposition())).await;
    let server = past.start(&format!(
        "global: {{ scrape_interval: 5s, evaluation_interval: 5s }}\nrule_files: ['{}/*.yml']\nscrape_configs:\n\
         - job_name: upkeep\n  honor_labels: true\n  static_configs: [{{ targets: ['{}'], labels: {{ instance: 'web1:10100' }} }}]\n",
        past.path("rules").display(),
        exporter.url("").trim_start_matches("http://").trim_end_matches('/'),
    ));
    past.ready().await;

    if days > 0 {
        past.measure().await;
    }
    past.wait_for(&format!("count({FIRING}) == {FAILING}"), FIRES)
        .await;
    assert_rules_are_healthy(&past).await;
    for group in GROUPS {
        let (duration, _) = past.evaluations(group).await;
        println!("an evaluation of {group} with {SERVICES} services takes {duration:.2?}");
        assert!(!duration.is_zero() && duration < LONGEST, "{group}: {duration:?}");
    }
    assert_windows_of_a_month(&past).await;
    drop(server);
}

/// No rule fails, and those of objectives record every service.
async fn assert_rules_are_healthy(past: &Past) {
    let mut recorded = Vec::new();
    for (group, rule) in past.rules().await {
        assert_ne!(rule["health"], "err", "{rule:#}");
        if GROUPS.iter().any(|name| group["name"] == *name) && rule["type"] == "recording" {
            recorded.push(rule["name"].as_str().unwrap().to_owned());
        }
    }
    assert!(recorded.len() > 20, "{recorded:?}");
    let names = recorded.join("|");
    let all = format!("count by (__name__) ({{__name__=~'{names}', service=~'s[0-9]+'}}) == {SERVICES}");
    past.wait_for(&format!("count({all}) == {}", recorded.len()), FIRES)
        .await;
}

/// A window of 30 days has each part of four minutes once, also if a part ends exactly at its start.
async fn assert_windows_of_a_month(past: &Past) {
    let rules = past.rules().await;
    for (name, expected) in [
        ("upkeep:service_known:ratio30d", 1.0),
        ("upkeep:service_error_budget:remaining30d", 1.0 - 4.0 / 43.2),
    ] {
        let (_, rule) = rules.iter().find(|(_, rule)| rule["name"] == name).unwrap();
        let expr = rule["query"].as_str().unwrap();
        let query = format!("({expr}) and on (service) label_replace(vector(1), 'service', 'month', '', '')");
        let values = past.query(&query, Some(past.end)).await;
        assert_eq!(values.len(), 1, "{name}: {values:?}");
        assert!((values[0] - expected).abs() < 1e-9, "{name}: {values:?}");
    }
}
