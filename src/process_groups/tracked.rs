//! A process of a group: its last values, and the growth of its counters since the scan before.

use std::collections::HashMap;
use std::sync::Arc;

use super::counts::Counts;
use super::reading::Reading;
use crate::check::proc_scan::Identity;

/// A process of a group.
#[derive(Clone, Debug, PartialEq)]
pub struct Tracked {
    /// The name of the group.
    pub group: Arc<str>,
    /// The values at the last scan.
    pub reading: Arc<Reading>,
    /// The growth of the process's counters.
    pub growth: Counts,
    /// The growth of the counters of each of `reading.threads`.
    pub thread_growth: Vec<Counts>,
    identity: Identity,
    /// The highest values so far.
    highest: Counts,
    /// The counters of each thread at the last scan.
    threads: HashMap<Identity, Counts>,
}

impl Tracked {
    /// A process that was seen for the first time. `is_new` says that it started after the first scan, so that everything it
    /// did so far has happened since the scan before.
    pub fn new(group: Arc<str>, identity: Identity, reading: Arc<Reading>, is_new: bool) -> Self {
        let mut tracked = Self {
            group,
            growth: Counts::default(),
            thread_growth: vec![Counts::default(); reading.threads.len()],
            identity,
            highest: reading.counts.without_switches(),
            threads: HashMap::new(),
            reading,
        };
        tracked.remember_threads();
        if is_new {
            tracked.growth = tracked.highest;
            for counts in tracked.threads.values() {
                tracked.growth.add(counts.switches());
            }
        }
        tracked
    }

    /// Records the values of the next scan.
    pub fn update(&mut self, reading: Arc<Reading>) {
        let counts = reading.counts.without_switches();
        self.growth = counts.since(self.highest);
        self.highest = counts.highest(self.highest);
        self.thread_growth.clear();
        // Only the switches of a single thread are stored.
        let had_threads = !self.reading.threads.is_empty();
        for thread in &reading.threads {
            let before = self.threads.get(&thread.identity);
            // A thread that is new counts for its process, but not for its name, as in process-exporter.
            let growth = thread.counts.since(before.copied().unwrap_or_default());
            self.growth.add(growth.switches());
            let is_known = had_threads && before.is_some();
            self.thread_growth
                .push(if is_known { growth } else { Counts::default() });
        }
        if reading.threads.is_empty() {
            let before = self.threads.get(&self.identity).copied().unwrap_or_default();
            self.growth.add(reading.counts.since(before).switches());
        }
        self.reading = reading;
        self.remember_threads();
    }

    /// Records a scan that could not read the process.
    pub fn skip(&mut self) {
        self.growth = Counts::default();
        self.thread_growth.fill(Counts::default());
    }

    /// Stores the counters of the threads. The process itself stands for its only thread, which has the same id and start.
    fn remember_threads(&mut self) {
        let before = std::mem::take(&mut self.threads);
        for thread in &self.reading.threads {
            self.threads.insert(thread.identity, thread.counts);
        }
        if self.reading.threads.is_empty() {
            self.threads.insert(self.identity, self.reading.counts.switches());
        }
        // A thread's sums can fall by a tick as well.
        for (identity, counts) in &mut self.threads {
            if let Some(before) = before.get(identity) {
                *counts = counts.highest(*before);
            }
        }
    }
}
