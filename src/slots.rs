//! Slots that are few, and shared fairly among the origins of those who take them: streams of events, probes.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::Arc;

use tokio::sync::Notify;

/// The slots, and who has them. `O` is an origin: clients of one origin count as one. `T` is what is known of a slot.
#[derive(Debug)]
pub struct Slots<O, T = ()> {
    taken: BTreeMap<u64, Slot<O, T>>,
    held: HashMap<O, usize>,
    last_id: u64,
}

#[derive(Debug)]
struct Slot<O, T> {
    origin: O,
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
    /// A slot for a client of `origin`: its id, and what tells when it has to be given up. Where `most` are taken, the origin
    /// that has the most gives up its newest one to an origin that then still has less; `None` where there is none like that.
    pub fn take(&mut self, origin: O, tag: T, most: usize) -> Option<(u64, Arc<Notify>)> {
        if self.taken.len() >= most {
            let own = self.held.get(&origin).copied().unwrap_or_default();
            let (greediest, held) = self.held.iter().max_by_key(|(_, held)| **held)?;
            if *held <= own + 1 {
                return None;
            }
            let greediest = *greediest;
            let newest = self.taken.iter().rev().find(|(_, slot)| slot.origin == greediest);
            let (id, newest) = newest?;
            newest.evicted.notify_one();
            self.give_back(*id);
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

    /// Gives a slot back, if it still is one.
    pub fn give_back(&mut self, id: u64) {
        if let Some(slot) = self.taken.remove(&id)
            && let Some(held) = self.held.get_mut(&slot.origin)
        {
            *held -= 1;
            if *held == 0 {
                self.held.remove(&slot.origin);
            }
        }
    }

    /// How many are taken.
    pub fn taken(&self) -> usize {
        self.taken.len()
    }

    /// What is known of each slot.
    pub fn tags(&self) -> impl Iterator<Item = &T> {
        self.taken.values().map(|slot| &slot.tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_has_most_makes_room_for_others() {
        let mut slots = Slots::default();
        let greedy: Vec<_> = (0..4).map(|_| slots.take(1, "greedy", 4).unwrap()).collect();
        assert!(slots.take(1, "greedy", 4).is_none());
        let other = slots.take(2, "other", 4).unwrap();
        // The newest one went.
        greedy[3].1.notified().await;
        slots.give_back(greedy[3].0);
        let another = slots.take(2, "other", 4).unwrap();
        greedy[2].1.notified().await;
        // Both have two now.
        assert!(slots.take(1, "greedy", 4).is_none() && slots.take(2, "other", 4).is_none());
        assert_eq!(slots.taken(), 4);
        for (id, _) in &greedy {
            slots.give_back(*id);
        }
        assert_eq!(slots.tags().copied().collect::<Vec<_>>(), ["other"; 2]);
        slots.give_back(other.0);
        slots.give_back(another.0);
        assert_eq!((slots.taken(), slots.held.len()), (0, 0));
    }

    #[test]
    fn a_single_place_is_given_up_to_nobody() {
        let mut slots = Slots::default();
        let (id, _) = slots.take(1, (), 1).unwrap();
        assert!(slots.take(2, (), 1).is_none());
        slots.give_back(id);
        assert!(slots.take(2, (), 1).is_some());
    }
}
