//! Tests of the store with a clock that the tests control.

mod catalogs;
mod changes;
mod clocks;
mod confirmed;
mod counts;
mod health;
mod inconclusive;
mod redundant;
mod reloads;
mod restarts;
mod saving;
mod statuses;
mod suppression;

use super::test_clock::{SECOND, TestClock};
use super::*;
use crate::config::tests_support::{self, config};
use crate::model::{Conclusion, Condition, Moment, Problem, Reason, Status};

/// A clock at `now` seconds and the Unix time `now + 1,000,000`.
fn clock(now: i64) -> Arc<TestClock> {
    TestClock::new(now, 1_000_000)
}

fn check(name: &str) -> CheckSettings {
    tests_support::check(&format!("kind: tcp, name: {name}, address: \"127.0.0.1:1\""))
}

/// A store with its clock.
struct TestStore {
    clock: Arc<TestClock>,
    store: Arc<Store>,
}

impl TestStore {
    fn new(config: &Config) -> Self {
        Self::with(clock(0), None, config)
    }

    fn with(clock: Arc<TestClock>, dir: Option<PathBuf>, config: &Config) -> Self {
        let (store, notices) = Store::open(clock.clone(), dir).unwrap();
        assert_eq!(notices, [""; 0]);
        store.apply(config);
        Self { clock, store }
    }

    fn handle(&self, id: &str) -> CheckHandle {
        let handles = self.store.handles();
        handles
            .iter()
            .find(|(found, ..)| found.to_string() == id)
            .unwrap()
            .1
    }

    fn outcome(reason: Option<Reason>, response_time: Option<Duration>) -> Outcome {
        Outcome {
            conclusion: reason.map_or(Conclusion::Success, |reason| {
                Conclusion::Failure(Problem::new(reason, format_args!("failed with {reason}")))
            }),
            duration: Duration::from_secs(1),
            response_time,
            ..Outcome::default()
        }
    }

    /// Records a run of one second that ends at `second`.
    fn run(&self, id: &str, second: i64, reason: Option<Reason>) -> NextRun {
        self.record(self.handle(id), second, Self::outcome(reason, None))
    }

    fn record(&self, handle: CheckHandle, second: i64, outcome: Outcome) -> NextRun {
        self.clock.set(second);
        let run = Run {
            started: Moment::from_nanos((second - 1) * SECOND),
            ended: Moment::from_nanos(second * SECOND),
        };
        self.store.record(handle, run, outcome, 0)
    }

    fn service(&self) -> ServiceView {
        self.store.snapshot().services.remove(0)
    }

    /// The since-time of the down condition of the first service, in seconds of the test clock.
    fn down(&self) -> Option<f64> {
        let since = self.service().conditions?[Condition::Down as usize];
        Some(if since == 0.0 { 0.0 } else { since - 1_000_000.0 })
    }
}

const REFUSED: Option<Reason> = Some(Reason::Refused);
