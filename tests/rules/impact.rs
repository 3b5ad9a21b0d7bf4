//! Outages of services that depend on one another. A real store with a test clock records the runs, and promtool evaluates the rules on
//! the resulting series.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::FutureExt;
use serde_json::{Value, json};
use tokio::sync::Notify;
use upkeep_exporter::config::parse;
use upkeep_exporter::model::{
    Conclusion, Condition, Maintenance, Moment, Outcome, Problem, Reason, ServiceKey, Status,
};
use upkeep_exporter::store::{CheckHandle, Run, ServiceView, Store};

use super::evidence::spans;
use super::simulation::{INTERVAL, RECHECK, TOLERANCE, TestClock};
use super::timelines::{Edge, Expect, Intervals};

const SECOND: i64 = 1_000_000_000;
/// End of the stories.
const END: i64 = 420;
/// The longest time from the moment at which a tolerance begins to count to the page, apart from scrapes and evaluations.
const SLACK: i64 = TOLERANCE + 2 * INTERVAL + RECHECK;
/// Longer than the tolerance.
const LONG_INTERVAL: i64 = 120;

/// Services, each with those that it depends on.
type Services = &'static [(&'static str, &'static [&'static str])];

/// An outage of some services, and the expected alerts.
#[derive(Default)]
pub struct Story {
    name: &'static str,
    services: Services,
    /// The services from this second on.
    reload: Option<(i64, Services)>,
    faults: &'static [(&'static str, i64, i64)],
    /// The check of this service never runs.
    never_runs: Option<&'static str>,
    /// The check of this service has a long interval.
    rarely_runs: Option<&'static str>,
    maintenance: Option<(&'static str, i64, i64)>,
    /// The services that page, each once, with the moment from which its tolerance counts.
    pages: &'static [(&'static str, i64)],
    /// The services of which UpkeepServiceImpacted fires.
    impacted: &'static [&'static str],
}

const APART: Services = &[("api", &[]), ("web", &[]), ("db", &[])];
const CHAIN: Services = &[("api", &["web"]), ("web", &["db"]), ("db", &[])];
const DIAMOND: Services = &[
    ("api", &["left", "right"]),
    ("left", &["db"]),
    ("right", &["db"]),
    ("db", &[]),
];

/// All stories.
pub fn stories() -> Vec<Story> {
    vec![
        Story {
            name: "a chain: one page",
            services: CHAIN,
            faults: &[("db", 60, 300), ("web", 60, 300), ("api", 60, 300)],
            pages: &[("db", 60)],
            impacted: &["web", "api"],
            ..Story::default()
        },
        Story {
            name: "a chain whose middle works",
            services: CHAIN,
            faults: &[("db", 60, 300), ("api", 60, 300)],
            pages: &[("db", 60)],
            impacted: &["api"],
            ..Story::default()
        },
        Story {
            name: "a diamond: one page",
            services: DIAMOND,
            faults: &[
                ("left", 60, 300),
                ("right", 60, 300),
                ("api", 60, 300),
                ("db", 60, 300),
            ],
            pages: &[("db", 60)],
            impacted: &["left", "right", "api"],
            ..Story::default()
        },
        Story {
            name: "a diamond with two roots: two pages",
            services: DIAMOND,
            faults: &[("left", 60, 300), ("right", 60, 200), ("api", 60, 300)],
            pages: &[("left", 60), ("right", 60)],
            impacted: &["api"],
            ..Story::default()
        },
        Story {
            name: "the dependant recovers first",
            services: CHAIN,
            faults: &[("db", 60, 300), ("web", 60, 200)],
            pages: &[("db", 60)],
            impacted: &["web"],
            ..Story::default()
        },
        Story {
            name: "the root recovers first, and the dependant in time",
            services: CHAIN,
            faults: &[("db", 60, 200), ("web", 60, 220)],
            pages: &[("db", 60)],
            impacted: &["web"],
            ..Story::default()
        },
        Story {
            name: "the root recovers first, and the dependant does not",
            services: CHAIN,
            faults: &[("db", 60, 200), ("web", 60, 380)],
            pages: &[("db", 60), ("web", 200)],
            impacted: &["web"],
            ..Story::default()
        },
        Story {
            name: "the dependant paged before the root failed",
            services: CHAIN,
            faults: &[("web", 60, 360), ("db", 180, 300)],
            pages: &[("web", 60), ("db", 180)],
            impacted: &["web"],
            ..Story::default()
        },
        Story {
            name: "the status of the root is unknown",
            services: CHAIN,
            faults: &[("db", 60, 300), ("web", 60, 300)],
            never_runs: Some("db"),
            pages: &[("web", 60)],
            ..Story::default()
        },
        Story {
            name: "the interval of the root is longer than the tolerance",
            services: CHAIN,
            faults: &[("db", 60, 240), ("web", 60, 240), ("api", 60, 240)],
            rarely_runs: Some("db"),
            pages: &[("db", 60)],
            impacted: &["web", "api"],
            ..Story::default()
        },
        Story {
            name: "the root is in maintenance until the end",
            services: CHAIN,
            faults: &[("db", 60, 300), ("web", 60, 300)],
            maintenance: Some(("db", 30, END)),
            impacted: &["web"],
            ..Story::default()
        },
        Story {
            name: "the maintenance of the root ends before its outage",
            services: CHAIN,
            faults: &[("db", 60, 360), ("web", 60, 360)],
            maintenance: Some(("db", 30, 180)),
            pages: &[("db", 180)],
            impacted: &["web"],
            ..Story::default()
        },
        Story {
            name: "a reload adds the dependency during the outage",
            services: APART,
            reload: Some((80, CHAIN)),
            faults: &[("db", 60, 300), ("web", 60, 300)],
            pages: &[("db", 60)],
            impacted: &["web"],
            ..Story::default()
        },
        Story {
            name: "a reload removes the dependency during the outage",
            services: CHAIN,
            reload: Some((180, APART)),
            faults: &[("db", 60, 360), ("web", 60, 360)],
            pages: &[("db", 60), ("web", 180)],
            impacted: &["web"],
            ..Story::default()
        },
    ]
}

impl Story {
    fn config(&self, services: &[(&str, &[&str])]) -> String {
        let mut text = "services:\n".to_owned();
        for (key, depends_on) in services {
            let interval = if self.rarely_runs == Some(key) {
                LONG_INTERVAL
            } else {
                INTERVAL
            };
            let _ = writeln!(
                text,
                "  - {{ key: {key}, group: g, depends_on: [{}], tolerance: {{ down: {TOLERANCE}s }}, checks: [{{ kind: tcp, \
                 address: \"127.0.0.1:1\", interval: {interval}s, recheck_interval: {RECHECK}s, timeout: 1s }}] }}",
                depends_on.join(", ")
            );
        }
        text
    }

    fn is_failing(&self, key: &str, second: i64) -> bool {
        let mut faults = self.faults.iter();
        faults.any(|(whose, from, to)| *whose == key && (*from..*to).contains(&second))
    }
}

/// The runs of one check. Each takes one second.
struct Runner {
    key: String,
    handle: CheckHandle,
    wakeup: Arc<Notify>,
    interval: i64,
    started: i64,
}

/// An exporter with a test clock.
struct Exporter<'a> {
    story: &'a Story,
    clock: Arc<TestClock>,
    store: Arc<Store>,
    runners: Vec<Runner>,
}

impl<'a> Exporter<'a> {
    fn start(story: &'a Story) -> Self {
        let clock = Arc::new(TestClock::default());
        let (store, _) = Store::open(clock.clone(), None).expect("it needs no directory");
        let mut exporter = Self {
            story,
            clock,
            store,
            runners: Vec::new(),
        };
        exporter.apply(story.services);
        exporter
    }

    fn apply(&mut self, services: &[(&str, &[&str])]) {
        let text = self.story.config(services);
        let loaded = parse(&text, "test.yml").unwrap_or_else(|error| panic!("{text}\n{error}"));
        self.store.apply(&loaded.config);
        let old: BTreeMap<String, i64> = self.runners.drain(..).map(|one| (one.key, one.started)).collect();
        // The checks have different phases, and the root is the last one.
        for ((id, handle, settings), phase) in self.store.handles().into_iter().zip(0..) {
            let key = id.service.as_str().to_owned();
            if self.story.never_runs == Some(&key) {
                continue;
            }
            self.runners.push(Runner {
                started: old.get(&key).copied().unwrap_or(4 * phase),
                wakeup: self.store.wakeup(handle).expect("the check exists"),
                interval: i64::try_from(settings.interval.as_secs()).expect("it is short"),
                handle,
                key,
            });
        }
    }

    /// Advances to this second: reloads, ends and starts runs.
    fn advance(&mut self, second: i64) {
        self.clock.0.store(second * SECOND, Ordering::SeqCst);
        if let Some((at, services)) = self.story.reload
            && at == second
        {
            self.apply(services);
        }
        let maintained = self.story.maintenance.iter();
        let maintained = maintained.filter(|(_, from, to)| (*from..*to).contains(&second));
        let active = maintained.map(|(key, from, to)| (ServiceKey::new(*key), window(*from, *to)));
        self.store.set_maintenance(active.collect(), BTreeMap::new());
        for runner in &mut self.runners {
            let is_waiting = runner.started > second;
            if is_waiting && runner.wakeup.notified().now_or_never().is_some() {
                runner.started = second;
            }
            if second != runner.started + 1 {
                continue;
            }
            let run = Run {
                started: Moment::from_nanos(runner.started * SECOND),
                ended: Moment::from_nanos(second * SECOND),
            };
            let is_failing = self.story.is_failing(&runner.key, runner.started);
            let conclusion = if is_failing {
                Conclusion::Failure(Problem::new(Reason::Refused, "text"))
            } else {
                Conclusion::Success
            };
            let outcome = Outcome {
                conclusion,
                ..Outcome::default()
            };
            let next_run = self.store.record(runner.handle, run, outcome, 0);
            runner.started += if next_run.recheck {
                RECHECK
            } else {
                runner.interval
            };
        }
    }
}

/// A maintenance window between these seconds.
#[allow(clippy::cast_precision_loss, reason = "small")]
fn window(from: i64, to: i64) -> Arc<Maintenance> {
    Arc::new(Maintenance {
        id: "m1".to_owned(),
        started: from as f64,
        ends: to as f64,
        reason: "test".to_owned(),
        by: None,
    })
}

/// The samples of every series by second.
type Samples = BTreeMap<String, BTreeMap<i64, f64>>;

fn scrape(samples: &mut Samples, view: &ServiceView, target: &str, second: i64) {
    let labels = format!(
        "{target},service=\"{}\",group=\"g\",tier=\"critical\"",
        view.service.key
    );
    let mut push = |name: &str, more: &str, value: f64| {
        let series = samples.entry(format!("upkeep_service_{name}{{{labels}{more}}}"));
        series.or_default().insert(second, value);
    };
    let flag = |is_set: bool| f64::from(u8::from(is_set));
    for condition in Condition::ALL {
        let more = format!(",condition=\"{condition}\"");
        let tolerance = view.service.tolerance.of(*condition);
        push("condition_tolerance_seconds", &more, tolerance.as_secs_f64());
        if let (Some(since), Some(confirmed)) = (view.conditions, view.confirmed) {
            push(
                "condition_since_timestamp_seconds",
                &more,
                since[*condition as usize],
            );
            push("condition_confirmed", &more, flag(confirmed[*condition as usize]));
        }
    }
    push("status", ",status=\"up\"", flag(view.status == Status::Up));
    push("impacted", "", flag(view.is_impacted));
    push("maintenance", "", flag(view.maintenance.is_some()));
    for root in &view.roots {
        push("root_cause_info", &format!(",root=\"{root}\""), 1.0);
    }
}

/// Whether UpkeepServiceDown must fire.
#[allow(clippy::cast_precision_loss, reason = "small")]
fn is_paging(view: &ServiceView, second: i64) -> bool {
    const DOWN: usize = Condition::Down as usize;
    let since = view.conditions.map_or(0.0, |since| since[DOWN]);
    let is_confirmed = view.confirmed.is_some_and(|confirmed| confirmed[DOWN]);
    since > 0.0 && is_confirmed && second as f64 - since > TOLERANCE as f64
}

/// The notation of promtool for a series with one sample per scrape and none between scrapes.
fn notation(values: &BTreeMap<i64, f64>, step: i64) -> String {
    let words = (0..END).map(|second| match values.get(&second) {
        Some(value) => value.to_string(),
        None if second % step == 0 && values.contains_key(&(second - step)) => "stale".to_owned(),
        None => "_".to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Asserts which services page, how often and when.
fn assert_pages(story: &Story, key: &str, found: &[(i64, i64)], intervals: Intervals) {
    let expected = story.pages.iter().find(|(paging, _)| *paging == key);
    let Some((_, from)) = expected else {
        assert_eq!(found, [], "{}: {key} pages", story.name);
        return;
    };
    let [(begins, _)] = found else {
        panic!("{}: {key} pages {} times", story.name, found.len());
    };
    let slack = SLACK + i64::from(intervals.scrape) + i64::from(intervals.evaluation);
    assert!(
        (from + TOLERANCE - RECHECK..=from + slack).contains(begins),
        "{}: {key} pages at {begins}, counted from {from}",
        story.name
    );
}

/// Renders one promtool test of all stories, each with its own exporter.
pub fn test(intervals: Intervals) -> Value {
    let (scrapes, step) = (i64::from(intervals.scrape), i64::from(intervals.evaluation));
    let mut samples = Samples::new();
    let mut checks = Vec::new();
    for (number, story) in stories().iter().enumerate() {
        let target = format!("job=\"upkeep\",instance=\"{number}\"");
        let mut exporter = Exporter::start(story);
        let mut views: Vec<ServiceView> = Vec::new();
        let mut firing: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
        for second in 0..END {
            exporter.advance(second);
            exporter.store.sweep();
            if second % scrapes == 0 {
                views = exporter.store.snapshot().services;
                for view in &views {
                    scrape(&mut samples, view, &target, second);
                }
                samples
                    .entry(format!("up{{{target}}}"))
                    .or_default()
                    .insert(second, 1.0);
            }
            for (key, _) in story.services.iter().filter(|_| second % step == 0) {
                let view = views.iter().find(|view| view.service.key.as_str() == *key);
                let seconds = firing.entry(key).or_default();
                seconds.extend(view.filter(|view| is_paging(view, second)).map(|_| second));
            }
        }
        for (key, seconds) in firing {
            let found = spans(&seconds, step);
            assert_pages(story, key, &found, intervals);
            let selector = |alert: &str| {
                format!(
                    "ALERTS{{alertname=~\"{alert}\",alertstate=\"firing\",instance=\"{number}\",service=\"{key}\"}}"
                )
            };
            let edge = |second: i64| Edge::At(u32::try_from(second).expect("it is positive"));
            let spans = found.iter().map(|(from, to)| (edge(*from), edge(*to)));
            let end = u32::try_from(END - 1).expect("it is positive");
            checks
                .extend(Expect::new(&selector("UpkeepServiceDown"), spans.collect()).checks(intervals, end));
            // Other alerts of a service fire only if it pages.
            let others = "UpkeepServiceDegraded|UpkeepServiceSlow|UpkeepServiceDownTolerated";
            let mut never = vec![selector(others)];
            if story.pages.iter().any(|(paging, _)| *paging == key) {
                never.clear();
            }
            let impacted = selector("UpkeepServiceImpacted");
            if story.impacted.contains(&key) {
                checks.push(fired(&impacted, 1));
            } else {
                never.push(impacted);
            }
            checks.extend(never.iter().map(|selector| fired(selector, 0)));
        }
    }
    let series = samples
        .iter()
        .map(|(name, values)| json!({ "series": name, "values": notation(values, scrapes) }));
    json!({
        "name": format!("dependencies with scrapes every {scrapes} s"),
        "interval": "1s",
        "input_series": series.collect::<Vec<_>>(),
        "promql_expr_test": checks,
    })
}

/// Checks how many of these series ever existed.
fn fired(selector: &str, count: u32) -> Value {
    json!({
        "expr": format!("count(count_over_time({selector}[{END}s])) or vector(0)"),
        "eval_time": format!("{}s", END - 1),
        "exp_samples": [{ "labels": "{}", "value": count }],
    })
}
