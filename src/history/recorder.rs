//! The history of all services, and how observations extend it. Pure: it has no clock and no file.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use super::bucket::Step;
use super::budget::{Capacity, MAX_BYTES};
use super::live::Period;
use super::record::{ServiceRecord, Unsaved};
use crate::model::{Moment, ServiceKey, WallAnchor};
use crate::store::Observation;

/// After a longer time without an observation, nothing is known about that time: the machine was suspended, or the process was stopped.
/// Observations are a second apart.
pub const MAX_GAP: Duration = Duration::from_secs(15);

/// The history of all services.
#[derive(Clone, Debug)]
pub struct Recorder {
    services: BTreeMap<ServiceKey, ServiceRecord>,
    /// The keys of the configured services are those of the last observation.
    configured: usize,
    last: Option<(Moment, WallAnchor)>,
    max_bytes: usize,
    capacity: Capacity,
}

impl Default for Recorder {
    fn default() -> Self {
        Self {
            services: BTreeMap::new(),
            configured: 0,
            last: None,
            max_bytes: MAX_BYTES,
            capacity: Capacity::complete(),
        }
    }
}

impl Recorder {
    /// Records what happened since the last observation.
    pub fn record(&mut self, observation: &Observation) {
        let Observation { now, wall, services } = observation;
        let period = Period {
            last: self
                .last
                .map(|(last, _)| last)
                .filter(|last| now.since(*last) <= MAX_GAP),
            now: *now,
            wall: *wall,
            was_set: self.last.is_some_and(|(_, before)| before != *wall),
        };
        let known = self.services.len();
        for observed in services {
            if !self.services.contains_key(&observed.key) {
                self.services
                    .insert(observed.key.clone(), ServiceRecord::default());
            }
            if let Some(record) = self.services.get_mut(&observed.key) {
                record.observe(observed, &period, &self.capacity);
            }
        }
        self.last = Some((*now, *wall));
        if self.services.len() != known || self.configured != services.len() {
            self.configured = services.len();
            let keys = services.iter().map(|observed| &observed.key).collect();
            self.fit(&keys, wall.nanos(*now) / 1_000_000);
        }
    }

    /// Makes room for the services that are configured. Removed services go first, the longest removed one before the others. Then all
    /// services get the same room.
    fn fit(&mut self, configured: &HashSet<&ServiceKey>, at: i64) {
        for (key, record) in &mut self.services {
            if !configured.contains(key) {
                record.live = None;
            }
        }
        let complete = Capacity::complete().bytes();
        let most = self.max_bytes / complete;
        let mut removed: Vec<(Option<u32>, ServiceKey)> = self
            .services
            .iter()
            .filter(|(key, _)| !configured.contains(key))
            .map(|(key, record)| (record.newest_day(), key.clone()))
            .collect();
        removed.sort();
        let surplus = self.services.len().saturating_sub(most);
        for (_, key) in removed.into_iter().take(surplus) {
            self.services.remove(&key);
        }
        self.set_capacity(at);
    }

    fn set_capacity(&mut self, at: i64) {
        let capacity = Capacity::of(self.services.len(), self.max_bytes);
        if capacity != self.capacity {
            self.capacity = capacity;
            for record in self.services.values_mut() {
                record.shrink(at, &self.capacity);
            }
        }
    }

    /// Reduces the budget by an eighth, because the file would be too large. Returns whether that was possible.
    pub fn reduce(&mut self, at: i64) -> bool {
        let reduced = self.max_bytes / 8 * 7;
        let is_possible = reduced < self.max_bytes;
        self.max_bytes = reduced;
        self.set_capacity(at);
        is_possible
    }

    /// Drops services that were removed, and whose last day is older than days are kept.
    pub fn forget_old(&mut self, at: i64) {
        let oldest = Step::Day.index(at - Step::Day.kept_seconds() * 1000);
        self.services.retain(|_, record| {
            record.live.is_some() || record.newest_day().is_some_and(|day| day >= oldest)
        });
    }

    /// A service, which is created if it is missing. For reading a file.
    pub fn restore(&mut self, key: ServiceKey) -> (&mut ServiceRecord, &Capacity) {
        (self.services.entry(key).or_default(), &self.capacity)
    }

    /// The services with their histories, by key.
    pub const fn services(&self) -> &BTreeMap<ServiceKey, ServiceRecord> {
        &self.services
    }

    /// Ends the reading of files.
    pub fn loaded(&mut self, at: i64) {
        self.forget_old(at);
        self.set_capacity(at);
    }

    /// Takes what is not saved, as if it were.
    pub fn take_unsaved(&mut self) -> Vec<(ServiceKey, Unsaved)> {
        let services = self.services.iter_mut();
        let unsaved = services.map(|(key, record)| (key.clone(), record.take_unsaved()));
        unsaved.filter(|(_, unsaved)| !unsaved.is_empty()).collect()
    }

    /// Returns what was taken, since saving it failed.
    pub fn return_unsaved(&mut self, unsaved: &[(ServiceKey, Unsaved)]) {
        for (key, unsaved) in unsaved {
            if let Some(record) = self.services.get_mut(key) {
                record.return_unsaved(unsaved, &self.capacity);
            }
        }
    }
}
