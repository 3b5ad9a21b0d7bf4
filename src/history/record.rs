//! What is kept of one service: buckets of three lengths, and its latest changes of status.

use std::collections::VecDeque;

use super::bucket::{Bucket, Step};
use super::budget::Capacity;
use super::change::Change;
use super::live::Live;
use super::series::Series;
use crate::model::{PastStatus, Status};
use crate::store::ResponseTotals;

/// What is kept of one service.
#[derive(Clone, Debug, Default)]
pub struct ServiceRecord {
    /// In the order of `Step::ALL`.
    series: [Series; Step::ALL.len()],
    changes: VecDeque<Change>,
    /// The five-minute buckets that are not saved.
    dirty: Vec<u32>,
    /// How many of the latest changes are not saved.
    unsaved_changes: usize,
    /// What the recorder knows about the present. `None` before the first observation.
    pub live: Option<Live>,
}

/// The begin of 2020 as a Unix time in milliseconds. A clock that says an earlier time is not set yet: a machine without a battery boots in
/// 1970. Its buckets would displace the newest ones.
const EARLIEST: i64 = 1_577_836_800_000;

/// A part of a span of time, in one five-minute bucket.
struct Part {
    index: u32,
    millis: i64,
}

/// Splits a span at the ends of five-minute buckets. Times are Unix times in milliseconds.
fn parts(from: i64, until: i64) -> impl Iterator<Item = Part> {
    let mut from = from.max(EARLIEST);
    std::iter::from_fn(move || {
        (from < until).then(|| {
            let index = Step::FiveMinutes.index(from);
            let end = Step::FiveMinutes
                .begin(index.saturating_add(1))
                .clamp(from + 1, until);
            let millis = end - from;
            from = end;
            Part { index, millis }
        })
    })
}

impl ServiceRecord {
    /// Adds a span of time with one status.
    pub fn add(&mut self, status: PastStatus, from: i64, until: i64, capacity: &Capacity) {
        for part in parts(from, until) {
            let [fine, longer @ ..] = &mut self.series;
            let bucket = fine.bucket(part.index, capacity.buckets[0]);
            let added = bucket.add(status, part.millis, Step::FiveMinutes);
            if added == 0 {
                continue;
            }
            for ((series, step), capacity) in longer.iter_mut().zip(LONGER).zip(&capacity.buckets[1..]) {
                let bucket = series.bucket(step.containing(part.index), *capacity);
                bucket.add(status, added.into(), step);
            }
            self.mark_dirty(part.index, capacity);
        }
    }

    /// Changes the status of a span of time that was added before.
    pub fn change(&mut self, old: PastStatus, new: PastStatus, from: i64, until: i64, capacity: &Capacity) {
        for part in parts(from, until) {
            let [fine, longer @ ..] = &mut self.series;
            if fine.get(part.index).is_none() {
                continue;
            }
            let bucket = fine.bucket(part.index, capacity.buckets[0]);
            let changed = bucket.change(old, new, part.millis);
            for ((series, step), capacity) in longer.iter_mut().zip(LONGER).zip(&capacity.buckets[1..]) {
                let bucket = series.bucket(step.containing(part.index), *capacity);
                bucket.change(old, new, changed.into());
            }
            self.mark_dirty(part.index, capacity);
        }
    }

    /// Adds response times at a Unix time in milliseconds.
    pub fn add_responses(&mut self, responses: &ResponseTotals, at: i64, capacity: &Capacity) {
        if responses.count == 0 || at < EARLIEST {
            return;
        }
        for ((series, step), capacity) in self.series.iter_mut().zip(Step::ALL).zip(&capacity.buckets) {
            series.bucket(step.index(at), *capacity).add_responses(responses);
        }
        self.mark_dirty(Step::FiveMinutes.index(at), capacity);
    }

    /// Adds a change, unless the last known status is the same: the exporter was away meanwhile.
    pub fn add_change(&mut self, change: Change, capacity: &Capacity) {
        if self.is_last_status(change.status) {
            return;
        }
        self.push_change(change, capacity);
    }

    /// Adds a change that is not saved.
    pub fn push_change(&mut self, change: Change, capacity: &Capacity) {
        self.append_change(change, capacity);
        self.unsaved_changes = (self.unsaved_changes + 1).min(self.changes.len());
    }

    /// Adds a change that is saved. Ignores one that is there already: a record of the log may repeat changes of the copy.
    pub fn restore_change(&mut self, change: Change, capacity: &Capacity) {
        let is_last =
            |last: &Change| (last.status, last.in_maintenance) == (change.status, change.in_maintenance);
        if !self.changes.back().is_some_and(is_last) && !self.changes.contains(&change) {
            self.append_change(change, capacity);
        }
    }

    fn is_last_status(&self, status: Status) -> bool {
        self.changes.back().is_some_and(|last| last.status == status)
    }

    fn append_change(&mut self, change: Change, capacity: &Capacity) {
        if self.changes.len() == self.changes.capacity() {
            self.changes.reserve_exact(self.changes.len() / 8 + 2);
        }
        self.changes.push_back(change);
        while self.changes.len() > capacity.changes {
            self.changes.pop_front();
        }
        self.unsaved_changes = self.unsaved_changes.min(self.changes.len());
    }

    /// Replaces a five-minute bucket by a later state of it, and updates the longer ones.
    pub fn restore_bucket(&mut self, bucket: Bucket, capacity: &Capacity) {
        let [fine, longer @ ..] = &mut self.series;
        let old = std::mem::replace(fine.bucket(bucket.index, capacity.buckets[0]), bucket);
        for ((series, step), capacity) in longer.iter_mut().zip(LONGER).zip(&capacity.buckets[1..]) {
            let longer = series.bucket(step.containing(bucket.index), *capacity);
            longer.apply_difference(&old, &bucket);
        }
    }

    /// Adds a bucket of any length.
    pub fn restore(&mut self, step: Step, bucket: Bucket, capacity: &Capacity) {
        *self.series[step as usize].bucket(bucket.index, capacity.buckets[step as usize]) = bucket;
    }

    fn mark_dirty(&mut self, index: u32, capacity: &Capacity) {
        // Almost always the last one.
        if self.dirty.iter().rev().any(|dirty| *dirty == index) {
            return;
        }
        // Nothing is ever saved without a state directory. The oldest buckets are dropped by then.
        if self.dirty.len() >= capacity.buckets[0] {
            self.dirty.remove(0);
        }
        self.dirty.push(index);
    }

    /// The buckets of one length.
    pub fn series(&self, step: Step) -> &Series {
        &self.series[step as usize]
    }

    /// The changes, oldest first.
    pub fn changes(&self) -> impl DoubleEndedIterator<Item = &Change> + ExactSizeIterator {
        self.changes.iter()
    }

    /// Takes what is not saved, as if it were.
    pub fn take_unsaved(&mut self) -> Unsaved {
        Unsaved {
            buckets: std::mem::take(&mut self.dirty),
            changes: std::mem::take(&mut self.unsaved_changes),
        }
    }

    /// Returns what was taken, since saving it failed.
    pub fn return_unsaved(&mut self, unsaved: &Unsaved, capacity: &Capacity) {
        let later = std::mem::take(&mut self.dirty);
        for index in unsaved.buckets.iter().chain(&later) {
            self.mark_dirty(*index, capacity);
        }
        self.unsaved_changes = (self.unsaved_changes + unsaved.changes).min(self.changes.len());
    }

    /// The buckets and changes of `unsaved`.
    pub fn unsaved<'a>(
        &'a self,
        unsaved: &'a Unsaved,
    ) -> (impl Iterator<Item = &'a Bucket>, impl Iterator<Item = &'a Change>) {
        let fine = &self.series[0];
        let buckets = unsaved.buckets.iter().filter_map(|index| fine.get(*index));
        let changes = self.changes.len().saturating_sub(unsaved.changes);
        (buckets, self.changes.iter().skip(changes))
    }

    /// Drops what exceeds the capacity.
    pub fn shrink(&mut self, at: i64, capacity: &Capacity) {
        for ((series, step), capacity) in self.series.iter_mut().zip(Step::ALL).zip(&capacity.buckets) {
            series.shrink(step.index(at), *capacity);
        }
        let surplus = self.changes.len().saturating_sub(capacity.changes);
        self.changes.drain(..surplus);
        self.changes.shrink_to(capacity.changes);
        self.unsaved_changes = self.unsaved_changes.min(self.changes.len());
    }

    /// The number of the newest day with data, in days since 1970.
    pub fn newest_day(&self) -> Option<u32> {
        self.series[Step::Day as usize].newest()
    }
}

/// The lengths that contain five-minute buckets.
const LONGER: [Step; 2] = [Step::Hour, Step::Day];

/// What of a service is not saved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unsaved {
    /// The numbers of five-minute buckets.
    pub buckets: Vec<u32>,
    /// The number of changes, from the latest one.
    pub changes: usize,
}

impl Unsaved {
    /// Whether everything is saved.
    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty() && self.changes == 0
    }
}
