//! Tests of the history, with observations and clocks that the tests make.

mod cost;
mod files;
mod properties;
mod reading;
mod recording;

use std::sync::Arc;
use std::time::Duration;

use super::bucket::Step;
use super::reader::{Range, Reader};
use super::recorder::Recorder;
use crate::model::{
    CheckName, Maintenance, Moment, PastStatus, PastTotals, Reason, ServiceKey, Status, WallAnchor,
};
use crate::store::test_clock::{SECOND, TestClock};
use crate::store::{Observation, ObservedChange, ResponseTotals, ServiceObservation};

/// The Unix time of second zero: the begin of a day.
pub const BEGIN: i64 = 20_000 * 86_400;

/// A recorder of one service, with a clock.
pub struct Test {
    pub clock: Arc<TestClock>,
    pub recorder: Recorder,
    pub status: Status,
    pub maintenance: Option<Arc<Maintenance>>,
    pub keys: Vec<String>,
}

impl Test {
    pub fn new() -> Self {
        Self {
            clock: TestClock::new(0, BEGIN),
            recorder: Recorder::default(),
            status: Status::Up,
            maintenance: None,
            keys: vec!["api".to_owned()],
        }
    }

    fn now(&self) -> i64 {
        self.clock.now.load(std::sync::atomic::Ordering::SeqCst) / SECOND
    }

    /// Observes these changes and response times at the current second.
    pub fn observe(&mut self, changes: &[(i64, Status)], responses: &[u64]) {
        let mut totals = ResponseTotals::default();
        responses
            .iter()
            .for_each(|millis| totals.add(Duration::from_millis(*millis)));
        let changes: Vec<ObservedChange> = changes
            .iter()
            .map(|(second, status)| ObservedChange {
                status: *status,
                since: Moment::from_nanos(second * SECOND),
                check: (*status != Status::Up).then(|| CheckName::new("http")),
                reason: (*status == Status::Down).then_some(Reason::Refused),
            })
            .collect();
        if let Some(last) = changes.last() {
            self.status = last.status;
        }
        let services = self.keys.iter().map(|key| ServiceObservation {
            key: ServiceKey::new(key.as_str()),
            status: self.status,
            has_verdict: true,
            maintenance: self.maintenance.clone(),
            changes: changes.clone(),
            responses: totals,
        });
        self.recorder.record(&Observation {
            now: Moment::from_nanos(self.now() * SECOND),
            wall: WallAnchor::new(&*self.clock),
            services: services.collect(),
        });
    }

    /// Observes the service every second until `second`.
    pub fn run_until(&mut self, second: i64) {
        for second in self.now() + 1..=second {
            self.clock.set(second);
            self.observe(&[], &[]);
        }
    }

    /// At `second`, the status is a new one since an earlier second.
    pub fn change(&mut self, second: i64, since: i64, status: Status) {
        self.run_until(second - 1);
        self.clock.set(second);
        self.observe(&[(since, status)], &[]);
    }

    /// The seconds of each status between two seconds, and the seconds without data. All lengths of buckets that divide the range
    /// agree.
    pub fn seconds(&self, from: i64, to: i64) -> ([i64; 5], i64) {
        let mut found = Vec::new();
        for step in Step::ALL {
            if from % step.seconds() == 0 {
                let totals = self.totals(BEGIN + from, BEGIN + to, step);
                let seconds = PastStatus::ALL
                    .iter()
                    .map(|status| totals.seconds(*status) as i64);
                let seconds: Vec<i64> = seconds.collect();
                found.push((seconds.try_into().unwrap(), (totals.no_data_millis / 1000) as i64));
            }
        }
        assert!(
            to % 86_400 != 0 || found.windows(2).all(|two| two[0] == two[1]),
            "{found:?}"
        );
        found[0]
    }

    pub fn totals(&self, from: i64, to: i64, step: Step) -> PastTotals {
        let reader = self.reader();
        reader.totals("api", Range { from, to }, step).unwrap()
    }

    pub fn reader(&self) -> Reader {
        Reader::of(self.recorder.clone(), self.clock.clone())
    }
}

/// A maintenance window.
pub fn window(started: i64, ends: i64) -> Option<Arc<Maintenance>> {
    Some(Arc::new(Maintenance {
        id: "1".to_owned(),
        started: (BEGIN + started) as f64,
        ends: (BEGIN + ends) as f64,
        reason: String::new(),
        by: None,
    }))
}
