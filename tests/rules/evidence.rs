//! Faults at every phase of scrapes and evaluations. A real store with a test clock records the runs, and promtool evaluates the
//! rules on the resulting series.

use serde_json::{Value, json};
use upkeep_exporter::model::Condition;

use super::simulation::{Case, END, INTERVAL, Kind, RECHECK, Sample, TOLERANCE, scrapes};
use super::timelines::{Edge, Expect, Intervals};

/// Only faults longer than this may page.
const BLIP: i64 = TOLERANCE - RECHECK;
/// Start of the faults.
const FAULT: i64 = 60;

pub const KINDS: [Kind; 4] = [
    Kind {
        alert: "UpkeepServiceDown",
        tier: "critical",
        condition: Condition::Down,
    },
    Kind {
        alert: "UpkeepServiceDownTolerated",
        tier: "tolerant",
        condition: Condition::Down,
    },
    Kind {
        alert: "UpkeepServiceDegraded",
        tier: "critical",
        condition: Condition::Degraded,
    },
    Kind {
        alert: "UpkeepServiceSlow",
        tier: "critical",
        condition: Condition::Slow,
    },
];

/// All cases, with a fault that begins `phase` seconds later.
fn cases(phase: i64) -> Vec<Case> {
    let from = FAULT + phase;
    let case = |name, length, pages| Case {
        name,
        fault: (from, from + length),
        pages,
        ..Case::default()
    };
    let outage = 2 * TOLERANCE + 60;
    vec![
        case("a blip", BLIP - 1, false),
        Case {
            killed: Some((from + 10, from + 10 + TOLERANCE)),
            ..case("a blip, during which the exporter is killed", 12, false)
        },
        Case {
            frozen: Some((from + 1, from + 1 + 60)),
            ..case("a blip, during which the exporter is frozen", 20, false)
        },
        Case {
            blind: Some((from + 10, from + 10 + 120)),
            ..case("a blip, after which Prometheus is down", BLIP - 1, false)
        },
        case("an outage", outage, true),
        Case {
            alternates: true,
            ..case("every other run fails", outage, true)
        },
        Case {
            killed: Some((from + 12, from + 32)),
            ..case(
                "an outage, and the exporter is killed before the page",
                outage,
                true,
            )
        },
        Case {
            killed: Some((from + 90, from + 115)),
            ..case(
                "an outage, and the exporter is killed after the page",
                outage,
                true,
            )
        },
        Case {
            blind: Some((from + 90, from + 135)),
            ..case("an outage, and Prometheus is down after the page", outage, true)
        },
        Case {
            maintained: Some((from - 10, from + outage + 20)),
            ..case("an outage in maintenance", outage, false)
        },
        Case {
            maintained: Some((from + TOLERANCE / 2, from + outage + 20)),
            ..case("an outage, and maintenance starts before the page", outage, false)
        },
        Case {
            maintained: Some((from - 10, from + 30)),
            ..case("an outage that lasts longer than the maintenance", outage, true)
        },
        Case {
            maintained: Some((from - 10, from + 20)),
            killed: Some((from + 10, from + 35)),
            ..case("the maintenance ends while the exporter is down", outage, true)
        },
        Case {
            maintained: Some((from + 90, from + 115)),
            ..case("maintenance after the page", outage, true)
        },
        Case {
            maintained: Some((from + 90, from + 125)),
            killed: Some((from + 95, from + 110)),
            ..case(
                "maintenance after the page, and the exporter is killed in it",
                outage,
                true,
            )
        },
    ]
}

/// The evaluations at which the alert must fire: in the last successful scrape the condition is set, confirmed, and older than
/// its tolerance.
fn firing(scrapes: &[Option<Result<Sample, ()>>], step: i64) -> Vec<i64> {
    let mut last = None;
    let mut firing = Vec::new();
    for (scrape, second) in scrapes.iter().zip(0_i64..) {
        if let Some(Ok(sample)) = scrape {
            last = *sample;
        }
        let is_due = second % step == 0;
        #[allow(clippy::cast_precision_loss, reason = "small")]
        if is_due
            && last.is_some_and(|(since, confirmed)| {
                since > 0.0 && confirmed && second as f64 - since > TOLERANCE as f64
            })
        {
            firing.push(second);
        }
    }
    firing
}

/// Joins consecutive evaluations into spans.
pub fn spans(firing: &[i64], step: i64) -> Vec<(i64, i64)> {
    let mut spans: Vec<(i64, i64)> = Vec::new();
    for second in firing {
        match spans.last_mut() {
            Some(last) if last.1 == *second => last.1 += step,
            _ => spans.push((*second, second + step)),
        }
    }
    spans
}

/// Asserts the number and the times of pages.
fn assert_pages(case: &Case, spans: &[(i64, i64)], intervals: Intervals, what: &str) {
    if !case.pages {
        assert!(spans.is_empty(), "{what}: paged at {spans:?}");
        return;
    }
    let [(begins, ends)] = spans else {
        panic!("{what}: expected one page, got {spans:?}");
    };
    let seen = i64::from(intervals.scrape) + i64::from(intervals.evaluation);
    let away = case.killed.map_or(0, |(from, to)| to - from + INTERVAL);
    let (from, to) = case.fault;
    let maintained = case.maintained.filter(|(begins, _)| *begins <= from);
    // After maintenance, the condition is older than its tolerance, so the alert fires once it is confirmed.
    let (counted, earliest) = match maintained {
        Some((_, ends)) => (ends, ends + TOLERANCE - RECHECK),
        None => (from, from + TOLERANCE + 1),
    };
    assert!(
        *begins >= earliest && *begins <= counted + TOLERANCE + 2 * INTERVAL + RECHECK + seen + away,
        "{what}: fault {from}, page {begins}"
    );
    assert!(
        *ends >= to && *ends <= to + 2 * INTERVAL + RECHECK + seen,
        "{what}: over {to}, page ends {ends}"
    );
}

/// The notation of promtool for a series with one sample per scrape and none between scrapes.
fn notation(scrapes: &[Option<Result<Sample, ()>>], value: impl Fn(Sample) -> Option<f64>) -> String {
    let mut was_there = false;
    let words = scrapes.iter().map(|scrape| {
        let Some(sample) = scrape else {
            return "_".to_owned();
        };
        let value = sample.ok().and_then(&value);
        let vanished = was_there && value.is_none();
        was_there = value.is_some();
        match value {
            Some(value) => value.to_string(),
            None if vanished => "stale".to_owned(),
            None => "_".to_owned(),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Renders one promtool test of all cases at several phases, each with its own exporter.
pub fn test(kind: Kind, intervals: Intervals) -> Value {
    let (scrape, step) = (i64::from(intervals.scrape), i64::from(intervals.evaluation));
    let mut series = Vec::new();
    let mut checks = Vec::new();
    // With a scrape every second there is only one phase of scrapes.
    let phases: &[i64] = if scrape == 1 { &[0, 8] } else { &[0, 4, 8, 13] };
    for (number, &phase) in phases.iter().enumerate() {
        let first = [0, scrape / 2, scrape - 1, scrape / 3][number];
        for (place, case) in cases(phase).iter().enumerate() {
            let scrapes = scrapes(kind, case, scrape, first);
            let spans = spans(&firing(&scrapes, step), step);
            let what = format!(
                "{} at phase {phase}, scrapes every {scrape} s from {first}: {}",
                kind.alert, case.name
            );
            assert_pages(case, &spans, intervals, &what);
            let target = format!("job=\"upkeep\",instance=\"{number}-{place}\"");
            let labels = format!(
                "{target},service=\"api\",group=\"g\",tier=\"{}\",condition=\"{}\"",
                kind.tier,
                kind.condition.as_str()
            );
            let up: Vec<String> = scrapes
                .iter()
                .map(|scrape| match scrape {
                    None => "_".to_owned(),
                    Some(sample) => u8::from(sample.is_ok()).to_string(),
                })
                .collect();
            let mut push =
                |name: String, values: String| series.push(json!({ "series": name, "values": values }));
            push(format!("up{{{target}}}"), up.join(" "));
            push(
                format!("upkeep_service_condition_since_timestamp_seconds{{{labels}}}"),
                notation(&scrapes, |sample| sample.map(|sample| sample.0)),
            );
            push(
                format!("upkeep_service_condition_confirmed{{{labels}}}"),
                notation(&scrapes, |sample| {
                    sample.map(|sample| f64::from(u8::from(sample.1)))
                }),
            );
            #[allow(clippy::cast_precision_loss, reason = "small")]
            push(
                format!("upkeep_service_condition_tolerance_seconds{{{labels}}}"),
                notation(&scrapes, |_| Some(TOLERANCE as f64)),
            );
            let edge = |second: i64| Edge::At(u32::try_from(second).expect("it is positive"));
            let selector = format!(
                "ALERTS{{alertname=\"{}\",alertstate=\"firing\",instance=\"{number}-{place}\"}}",
                kind.alert
            );
            let spans = spans.iter().map(|(from, to)| (edge(*from), edge(*to)));
            let expect = Expect::new(&selector, spans.collect());
            checks.extend(expect.checks(intervals, u32::try_from(END - 1).expect("it is positive")));
        }
    }
    json!({
        "name": format!("{} with scrapes every {scrape} s", kind.alert),
        "interval": "1s",
        "input_series": series,
        "promql_expr_test": checks,
    })
}
