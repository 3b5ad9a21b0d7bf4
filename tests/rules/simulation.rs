//! Simulates an exporter and its scrapes: a real store with a test clock records runs.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use upkeep_exporter::config::parse;
use upkeep_exporter::maintenance::Manager;
use upkeep_exporter::model::{Clock, Conclusion, Condition, Moment, Outcome, Problem, Reason};
use upkeep_exporter::store::{Run, Store};

const SECOND: i64 = 1_000_000_000;
pub const TOLERANCE: i64 = 40;
pub const INTERVAL: i64 = 15;
pub const RECHECK: i64 = 5;
/// End of the timelines. There is time for two tolerances, a gap and the recovery.
pub const END: i64 = 330;

/// One of the four alerts on conditions.
#[derive(Clone, Copy)]
pub struct Kind {
    pub alert: &'static str,
    pub tier: &'static str,
    pub condition: Condition,
}

/// A fault, and outages of the exporter and Prometheus. Times are seconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Case {
    pub name: &'static str,
    pub fault: (i64, i64),
    /// Runs alternately fail and succeed during the fault.
    pub alternates: bool,
    /// The exporter is killed, then starts with its state.
    pub killed: Option<(i64, i64)>,
    /// The exporter is frozen: a run in progress ends after the freeze.
    pub frozen: Option<(i64, i64)>,
    /// Prometheus is down: it neither scrapes nor evaluates.
    pub blind: Option<(i64, i64)>,
    /// The service is in maintenance.
    pub maintained: Option<(i64, i64)>,
    pub pages: bool,
}

fn within(span: Option<(i64, i64)>, second: i64) -> bool {
    span.is_some_and(|(from, to)| (from..to).contains(&second))
}

/// A clock that stands still until a test sets it, in nanoseconds.
#[derive(Default)]
pub struct TestClock(pub AtomicI64);

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

/// A maintenance window between these seconds, as it is configured.
fn window((from, to): (i64, i64)) -> String {
    let (minute, second) = (from / 60, from % 60);
    format!(
        "maintenance: [{{ at: '1970-01-01T00:{minute:02}:{second:02}Z', for: {}s }}]",
        to - from
    )
}

/// An exporter that monitors one service.
struct Exporter {
    store: Arc<Store>,
    maintenance: Arc<Manager>,
    /// Start and end of the run in progress, or of the next run.
    next: (i64, i64),
    failed_last: bool,
}

impl Exporter {
    fn start(kind: Kind, case: &Case, clock: &Arc<TestClock>, dir: &Path, second: i64) -> Self {
        let text = format!(
            "services: [{{ key: api, tier: {}, tolerance: {{ down: {TOLERANCE}s, degraded: {TOLERANCE}s, slow: {TOLERANCE}s }}, \
             checks: [{{ kind: tcp, address: \"127.0.0.1:1\", interval: {INTERVAL}s, recheck_interval: {RECHECK}s }}] }}]
{}",
            kind.tier,
            case.maintained.map_or_else(String::new, window)
        );
        let loaded = parse(&text, "test.yml").unwrap_or_else(|error| panic!("{error}"));
        let (store, notices) =
            Store::open(clock.clone(), Some(dir.to_owned())).expect("no other process uses it");
        assert_eq!(notices, [""; 0]);
        let (maintenance, warning) = Manager::open(Arc::clone(&store), clock.clone(), store.state_dir());
        assert_eq!(warning, None);
        maintenance.apply(&loaded.config);
        store.apply(&loaded.config);
        Self {
            store,
            maintenance,
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

    /// Advances to this second: ends and starts runs.
    fn advance(&mut self, kind: Kind, case: &Case, second: i64) {
        self.maintenance.update();
        let (started, ended) = self.next;
        if second < ended {
            return;
        }
        let fails = within(Some(case.fault), started) && !(case.alternates && self.failed_last);
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

    /// The since-time in a scrape, and whether the condition is confirmed.
    fn scrape(&self, kind: Kind) -> Sample {
        self.store.sweep();
        let view = self.store.snapshot().services.remove(0);
        let condition = kind.condition as usize;
        view.conditions.map(|since| {
            let confirmed = view.confirmed.expect("it exists with the since-time");
            (since[condition], confirmed[condition])
        })
    }
}

/// The condition in a scrape; `None` before the first verdict.
pub type Sample = Option<(f64, bool)>;

/// The scrape of every second: none, a result, or an error while the exporter does not respond.
pub fn scrapes(kind: Kind, case: &Case, scrape: i64, first: i64) -> Vec<Option<Result<Sample, ()>>> {
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let clock = Arc::new(TestClock::default());
    let mut exporter = None;
    (0..END)
        .map(|second| {
            clock.0.store(second * SECOND, Ordering::SeqCst);
            if within(case.killed, second) {
                exporter = None;
            } else {
                let exporter =
                    exporter.get_or_insert_with(|| Exporter::start(kind, case, &clock, dir.path(), second));
                if !within(case.frozen, second) {
                    exporter.advance(kind, case, second);
                }
            }
            let is_due = (second - first).rem_euclid(scrape) == 0 && !within(case.blind, second);
            is_due.then(|| match &exporter {
                Some(exporter) if !within(case.frozen, second) => Ok(exporter.scrape(kind)),
                _ => Err(()),
            })
        })
        .collect()
}
