//! Reads the history: buckets, totals and incidents by service and range.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::bucket::{Bucket, Step};
use super::kept::Kept;
use super::record::ServiceRecord;
use super::recorder::Recorder;
use super::strips::Strips;
use crate::model::{CheckName, Clock, Past, PastTotals, Reason, ServiceKey, Status, SystemClock};
use crate::store::Snapshot;

/// For how long the strips of the overview are used. Rows that show them change at most so often.
const STRIPS_AGE: Duration = Duration::from_secs(10);

/// A range of Unix times in seconds. The end does not belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The begin.
    pub from: i64,
    /// The end.
    pub to: i64,
}

/// A bucket of the history.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PastBucket {
    /// Its begin as a Unix time in seconds.
    pub from: i64,
    /// Its end. It may be in the future, but only the time until now counts.
    pub to: i64,
    /// Its totals.
    pub totals: PastTotals,
}

/// A time in which a service was not up.
#[derive(Clone, Debug, PartialEq)]
pub struct Incident {
    /// Its begin as a Unix time in seconds.
    pub from: f64,
    /// Its end: the next change of status. `None` if it has not ended.
    pub until: Option<f64>,
    /// The status.
    pub status: Status,
    /// The check that caused it.
    pub check: Option<CheckName>,
    /// The reason of that check's problem.
    pub reason: Option<Reason>,
    /// Whether the service was in maintenance. The begin and the end of a maintenance window divide an incident.
    pub in_maintenance: bool,
}

/// Reads the history while it is recorded. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Reader {
    kept: Arc<Kept>,
}

impl Reader {
    pub(super) const fn new(kept: Arc<Kept>) -> Self {
        Self { kept }
    }

    /// Reads a history that is not recorded any more.
    pub fn of(recorder: Recorder, clock: Arc<dyn Clock>) -> Self {
        Self::new(Arc::new(Kept::new(recorder, clock, false)))
    }

    /// Reads a history without services.
    pub fn empty() -> Self {
        Self::of(Recorder::default(), Arc::new(SystemClock::new()))
    }

    /// The current Unix time in seconds.
    pub fn now(&self) -> i64 {
        self.kept.now_millis().div_euclid(1000)
    }

    /// Whether the last save succeeded; true before the first one. `None` without a state directory.
    pub fn is_saved(&self) -> Option<bool> {
        let kept = &self.kept;
        kept.is_stored
            .then(|| kept.has_save_succeeded.load(Ordering::Acquire))
    }

    /// The services with a history, sorted. Removed ones are among them.
    pub fn services(&self) -> Vec<ServiceKey> {
        self.kept.recorder().services().keys().cloned().collect()
    }

    /// The buckets that overlap a range, oldest first, without those that begin in the future. Buckets without data are included.
    /// `None` if nothing is known about the service.
    pub fn buckets(&self, service: &str, range: Range, step: Step) -> Option<Vec<PastBucket>> {
        let now = self.kept.now_millis();
        self.with(service, |record| buckets(record, range, step, now))
    }

    /// The totals of the buckets that overlap a range.
    pub fn totals(&self, service: &str, range: Range, step: Step) -> Option<PastTotals> {
        let buckets = self.buckets(service, range, step)?;
        let mut totals = PastTotals::default();
        for bucket in &buckets {
            totals.add(&bucket.totals);
        }
        Some(totals)
    }

    /// The incidents that overlap a range, newest first. Only the latest 200 changes of a service are known.
    pub fn incidents(&self, service: &str, range: Range) -> Option<Vec<Incident>> {
        self.with(service, |record| incidents(record, range))
    }

    fn with<T>(&self, service: &str, read: impl FnOnce(&ServiceRecord) -> T) -> Option<T> {
        let recorder = self.kept.recorder();
        recorder.services().get(&ServiceKey::new(service)).map(read)
    }

    /// What the overview shows about each service. It is at most ten seconds old.
    pub fn past(&self) -> Arc<HashMap<ServiceKey, Arc<Past>>> {
        let now = self.kept.clock.now();
        let mut strips = self.kept.strips.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = strips
            .as_ref()
            .filter(|strips| now.since(strips.taken) < STRIPS_AGE);
        if let Some(recent) = recent {
            return Arc::clone(&recent.services);
        }
        let fresh = Strips::new(&self.kept.recorder(), now, self.kept.now_millis());
        let services = Arc::clone(&fresh.services);
        *strips = Some(fresh);
        services
    }

    /// Adds to a snapshot whether the history is saved.
    pub fn add_saved_to(&self, snapshot: &mut Snapshot) {
        snapshot.exporter.history_saved = self.is_saved();
    }

    /// Adds to a snapshot what the overview shows: the past of each service, and whether the history is saved.
    pub fn add_to(&self, snapshot: &mut Snapshot) {
        self.add_saved_to(snapshot);
        let past = self.past();
        for view in &mut snapshot.services {
            view.past = past.get(&view.service.key).cloned();
        }
    }
}

fn buckets(record: &ServiceRecord, range: Range, step: Step, now: i64) -> Vec<PastBucket> {
    let (from, to) = (
        range.from.saturating_mul(1000),
        range.to.saturating_mul(1000).min(now),
    );
    if to <= from.max(0) {
        return Vec::new();
    }
    let series = record.series(step);
    (step.index(from)..=step.index(to - 1))
        .map(|index| {
            let begin = step.begin(index);
            let empty = Bucket::new(index);
            let bucket = series.get(index).unwrap_or(&empty);
            PastBucket {
                from: begin / 1000,
                to: begin / 1000 + step.seconds(),
                totals: bucket.totals((begin + step.millis()).min(now) - begin),
            }
        })
        .collect()
}

#[allow(clippy::cast_precision_loss, reason = "Unix times in milliseconds are exact")]
fn incidents(record: &ServiceRecord, range: Range) -> Vec<Incident> {
    let seconds = |millis: i64| millis as f64 / 1e3;
    let (from, to) = (range.from as f64, range.to as f64);
    let mut ends = None;
    let mut found = Vec::new();
    for change in record.changes().rev() {
        let next = ends.replace(change.at);
        let until = next.map(seconds);
        let incident = Incident {
            from: seconds(change.at),
            until,
            status: change.status,
            check: change.check.clone(),
            reason: change.reason,
            in_maintenance: change.in_maintenance,
        };
        let overlaps = incident.from < to && until.is_none_or(|until| until > from);
        // Another status since the same time replaced it.
        let is_replaced = next == Some(change.at);
        if overlaps && !is_replaced && change.status != Status::Up {
            found.push(incident);
        }
    }
    found
}
