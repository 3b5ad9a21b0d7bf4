//! A limited number of slots that clients share fairly, by origin: for event streams and probes.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::Arc;

use tokio::sync::Notify;

/// The taken slots. `O` is an origin: all clients of an origin count as one. `T` is the data of a slot.
#[derive(Debug)]
pub struct Slots<O, T = ()> {
    taken: BTreeMap<u64, Slot<O, T>>,
    /// The number of slots by origin.
    held: HashMap<O, usize>,
    last_id: u64,
}

#[derive(Debug)]
struct Slot<O, T> {
    origin: O,
    /// The data of the slot.
    tag: T,
    evicted: Arc<Notify>,
}

impl<O, T> Default for Slots<O, T> {
    fn default() -> Self {
        Self {
            taken: BTreeMap::new(),
            held: HashMap::new(),
            last_id: 0,
        }
    }
}

impl<O: Copy + Eq + Hash, T> Slots<O, T> {
    /// Takes a slot for a client of `origin`. Returns its id, and a notification of its eviction. If `max` slots are taken, evicts
    /// the newest slot of the origin with the most slots. Returns `None` if `origin` would then have more slots than that one.
    pub fn acquire(&mut self, origin: O, tag: T, max: usize) -> Option<(u64, Arc<Notify>)> {
        if self.taken.len() >= max {
            let own = self.held.get(&origin).copied().unwrap_or_default();
            let (largest, held) = self.held.iter().max_by_key(|(_, held)| **held)?;
            if *held <= own + 1 {
                return None;
            }
            let largest = *largest;
            let newest = self.taken.iter().rev().find(|(_, slot)| slot.origin == largest);
            let (id, newest) = newest?;
            newest.evicted.notify_one();
            self.release(*id);
        }
        self.last_id += 1;
        let evicted = Arc::new(Notify::new());
        self.taken.insert(
            self.last_id,
            Slot {
                origin,
                tag,
                evicted: Arc::clone(&evicted),
            },
        );
        *self.held.entry(origin).or_default() += 1;
        Some((self.last_id, evicted))
    }

    /// Releases a slot. Does nothing if it was evicted.
    pub fn release(&mut self, id: u64) {
        if let Some(slot) = self.taken.remove(&id)
            && let Some(held) = self.held.get_mut(&slot.origin)
        {
            *held -= 1;
            if *held == 0 {
                self.held.remove(&slot.origin);
            }
        }
    }

    /// Returns the number of taken slots.
    pub fn taken(&self) -> usize {
        self.taken.len()
    }

    /// Returns the data of each slot.
    pub fn tags(&self) -> impl Iterator<Item = &T> {
        self.taken.values().map(|slot| &slot.tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_origin_with_the_most_slots_loses_one() {
        let mut slots = Slots::default();
        let greedy: Vec<_> = (0..4).map(|_| slots.acquire(1, "greedy", 4).unwrap()).collect();
        assert!(slots.acquire(1, "greedy", 4).is_none());
        let other = slots.acquire(2, "other", 4).unwrap();
        // Its newest slot was evicted.
        greedy[3].1.notified().await;
        slots.release(greedy[3].0);
        let another = slots.acquire(2, "other", 4).unwrap();
        greedy[2].1.notified().await;
        // Both origins have two slots now.
        assert!(slots.acquire(1, "greedy", 4).is_none() && slots.acquire(2, "other", 4).is_none());
        assert_eq!(slots.taken(), 4);
        for (id, _) in &greedy {
            slots.release(*id);
        }
        assert_eq!(slots.tags().copied().collect::<Vec<_>>(), ["other"; 2]);
        slots.release(other.0);
        slots.release(another.0);
        assert_eq!((slots.taken(), slots.held.len()), (0, 0));
    }

    #[test]
    fn a_single_slot_is_not_evicted() {
        let mut slots = Slots::default();
        let (id, _) = slots.acquire(1, (), 1).unwrap();
        assert!(slots.acquire(2, (), 1).is_none());
        slots.release(id);
        assert!(slots.acquire(2, (), 1).is_some());
    }
}
