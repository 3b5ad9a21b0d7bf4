//! Faults as an exporter's runs see them, at every phase of scrape and evaluation: what the store makes of the runs, and
//! what the rules make of the scrapes. The store is the real one with a clock of the test's own; promtool has the rules.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use upkeep_exporter::config::parse;
use upkeep_exporter::model::{Clock, Conclusion, Condition, Moment, Outcome, Problem, Reason};
use upkeep_exporter::store::{Run, Store};

use super::timelines::{Edge, Expect, Pace};

const SECOND: i64 = 1_000_000_000;
const TOLERANCE: i64 = 40;
const INTERVAL: i64 = 15;
const RECHECK: i64 = 5;
/// The shortest fault that may page is longer than this.
const BLIP: i64 = TOLERANCE - RECHECK;
/// When faults begin, and when timelines end; in between is time for two tolerances, a gap and the recovery.
const FAULT: i64 = 60;
const END: i64 = 330;

/// One of the four alerts of conditions, and the runs that lead to it.
#[derive(Clone, Copy)]
pub struct Kind {
    pub alert: &'static str,
    pub tier: &'static str,
    pub condition: Condition,
}

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

/// A fault, and what happens to those who watch. Times are seconds.
#[derive(Clone, Copy, Debug, Default)]
struct Story {
    name: &'static str,
    fault: (i64, i64),
    /// Runs fail and succeed in turn during the fault.
    alternates: bool,
    /// The exporter is killed, and started again with its state.
    killed: Option<(i64, i64)>,
    /// The exporter is frozen: a run under way ends when that does.
    frozen: Option<(i64, i64)>,
    /// Prometheus is away: it neither scrapes nor evaluates.
    blind: Option<(i64, i64)>,
    pages: bool,
}

fn within(span: Option<(i64, i64)>, second: i64) -> bool {
    span.is_some_and(|(from, to)| (from..to).contains(&second))
}

/// The stories, with a fault that begins `phase` seconds later.
fn stories(phase: i64) -> Vec<Story> {
    let from = FAULT + phase;
    let story = |name, length, pages| Story {
        name,
        fault: (from, from + length),
        pages,
        ..Story::default()
    };
    let outage = 2 * TOLERANCE + 60;
    vec![
        story("a blip", BLIP - 1, false),
        Story {
            killed: Some((from + 10, from + 10 + TOLERANCE)),
            ..story("a blip, and the exporter is killed in it", 12, false)
        },
        Story {
            frozen: Some((from + 1, from + 1 + 60)),
            ..story("a blip, and the exporter is frozen in it", 20, false)
        },
        Story {
            blind: Some((from + 10, from + 10 + 120)),
            ..story("a blip, and Prometheus is away after it", BLIP - 1, false)
        },
        story("an outage", outage, true),
        Story {
            alternates: true,
            ..story("every other run fails", outage, true)
        },
        Story {
            killed: Some((from + 12, from + 32)),
            ..story(
                "an outage, and the exporter is killed before the page",
                outage,
                true,
            )
        },
        Story {
            killed: Some((from + 90, from + 115)),
            ..story(
                "an outage, and the exporter is killed after the page",
                outage,
                true,
            )
        },
        Story {
            blind: Some((from + 90, from + 135)),
            ..story("an outage, and Prometheus is away after the page", outage, true)
        },
    ]
}

#[derive(Default)]
struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now(&self) -> Moment {
        Moment::from_nanos(self.wall_nanos())
    }

    fn wall_nanos(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }

    fn moment(&self, _: tokio::time::Instant) -> Moment {
        self.now()
    }
}

/// An exporter that watches one service.
struct Exporter {
    store: Arc<Store>,
    /// The run under way, or the next one: its start and its end.
    next: (i64, i64),
    failed_last: bool,
}

impl Exporter {
    fn start(kind: Kind, clock: &Arc<TestClock>, dir: &Path, second: i64) -> Self {
        let text = format!(
            "services: [{{ key: api, tier: {}, tolerance: {{ down: {TOLERANCE}s, degraded: {TOLERANCE}s, slow: {TOLERANCE}s }}, \
             checks: [{{ kind: tcp, address: \"127.0.0.1:1\", interval: {INTERVAL}s, recheck_interval: {RECHECK}s }}] }}]",
            kind.tier
        );
        let loaded = parse(&text, "test.yml").unwrap_or_else(|error| panic!("{error}"));
        let (store, notices) = Store::open(clock.clone(), Some(dir.to_owned())).expect("nobody else uses it");
        assert_eq!(notices, [""; 0]);
        store.apply(&loaded.config);
        Self {
            store,
            next: (second, second + 1),
            failed_last: false,
        }
    }

    fn outcome(kind: Kind, fails: bool) -> Outcome {
        let problem = Problem::new(Reason::Assertion, "text");
        let (conclusion, response_time) = match (fails, kind.condition) {
            (false, _) => (Conclusion::Success, None),
            (true, Condition::Down) => (Conclusion::Failure(problem), None),
            (true, Condition::Degraded) => (Conclusion::Warning(problem), None),
            (true, Condition::Slow) => (Conclusion::Success, Some(Duration::from_secs(6))),
        };
        Outcome {
            conclusion,
            response_time,
            ..Outcome::default()
        }
    }

    /// Lives through this second: starts and ends runs.
    fn live(&mut self, kind: Kind, story: &Story, second: i64) {
        let (started, ended) = self.next;
        if second < ended {
            return;
        }
        let fails = within(Some(story.fault), started) && !(story.alternates && self.failed_last);
        self.failed_last = fails;
        let run = Run {
            started: Moment::from_nanos(started * SECOND),
            ended: Moment::from_nanos(second * SECOND),
        };
        let (_, handle, _) = self.store.handles().remove(0);
        let advice = self.store.record(handle, run, Self::outcome(kind, fails), 0);
        let gap = if advice.recheck { RECHECK } else { INTERVAL };
        let start = (started + gap).max(second);
        self.next = (start, start + 1);
    }

    /// Since-time, and whether it is confirmed, as a scrape shows them.
    fn scrape(&self, kind: Kind) -> Sample {
        self.store.sweep();
        let view = self.store.snapshot().services.remove(0);
        let condition = kind.condition as usize;
        view.conditions.map(|since| {
            let confirmed = view.confirmed.expect("it comes with the since-time");
            (since[condition], confirmed[condition])
        })
    }
}

/// The condition in a scrape; `None` before the first verdict.
type Sample = Option<(f64, bool)>;

/// What Prometheus gets each second: nothing, or a scrape, which fails while the exporter does not answer.
fn scrapes(kind: Kind, story: &Story, scrape: i64, first: i64) -> Vec<Option<Result<Sample, ()>>> {
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let clock = Arc::new(TestClock::default());
    let mut exporter = None;
    (0..END)
        .map(|second| {
            clock.0.store(second * SECOND, Ordering::SeqCst);
            if within(story.killed, second) {
                exporter = None;
            } else {
                let exporter =
                    exporter.get_or_insert_with(|| Exporter::start(kind, &clock, dir.path(), second));
                if !within(story.frozen, second) {
                    exporter.live(kind, story, second);
                }
            }
            let is_due = (second - first).rem_euclid(scrape) == 0 && !within(story.blind, second);
            is_due.then(|| match &exporter {
                Some(exporter) if !within(story.frozen, second) => Ok(exporter.scrape(kind)),
                _ => Err(()),
            })
        })
        .collect()
}

/// When the alert fires, by the definition: from the last scrape that succeeded on, the condition is set, confirmed, and
/// older than its tolerance.
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

/// The evaluations as spans without a gap.
fn spans(firing: &[i64], step: i64) -> Vec<(i64, i64)> {
    let mut spans: Vec<(i64, i64)> = Vec::new();
    for second in firing {
        match spans.last_mut() {
            Some(last) if last.1 == *second => last.1 += step,
            _ => spans.push((*second, second + step)),
        }
    }
    spans
}

/// What the pages must be like, whatever the phases.
fn judge(story: &Story, spans: &[(i64, i64)], pace: Pace, what: &str) {
    if !story.pages {
        assert!(spans.is_empty(), "{what}: paged at {spans:?}");
        return;
    }
    let [(begins, ends)] = spans else {
        panic!("{what}: not one page but {spans:?}");
    };
    let seen = i64::from(pace.scrape) + i64::from(pace.evaluation);
    let away = story.killed.map_or(0, |(from, to)| to - from + INTERVAL);
    let (from, to) = story.fault;
    assert!(
        *begins > from + TOLERANCE && *begins <= from + TOLERANCE + 2 * INTERVAL + RECHECK + seen + away,
        "{what}: fault {from}, page {begins}"
    );
    assert!(
        *ends >= to && *ends <= to + 2 * INTERVAL + RECHECK + seen,
        "{what}: over {to}, page ends {ends}"
    );
}

/// promtool's notation of a series with a sample a scrape and none between scrapes.
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

/// One promtool test of all stories at several phases, each with an exporter of its own.
pub fn test(kind: Kind, pace: Pace) -> Value {
    let (scrape, step) = (i64::from(pace.scrape), i64::from(pace.evaluation));
    let mut series = Vec::new();
    let mut checks = Vec::new();
    // With a scrape each second there is only one phase of scrapes.
    let phases: &[i64] = if scrape == 1 { &[0, 8] } else { &[0, 4, 8, 13] };
    for (number, &phase) in phases.iter().enumerate() {
        let first = [0, scrape / 2, scrape - 1, scrape / 3][number];
        for (place, story) in stories(phase).iter().enumerate() {
            let scrapes = scrapes(kind, story, scrape, first);
            let spans = spans(&firing(&scrapes, step), step);
            let what = format!(
                "{} at phase {phase}, scrapes each {scrape} s from {first}: {}",
                kind.alert, story.name
            );
            judge(story, &spans, pace, &what);
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
            checks.extend(expect.checks(pace, u32::try_from(END - 1).expect("it is positive")));
        }
    }
    json!({
        "name": format!("{} with scrapes each {scrape} s", kind.alert),
        "interval": "1s",
        "input_series": series,
        "promql_expr_test": checks,
    })
}
