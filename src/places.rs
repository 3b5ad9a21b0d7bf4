//! The places of streams of events: few, and shared fairly among those they go to.

use std::sync::Arc;

use tokio::sync::Notify;

use super::throttle::Peer;

/// The places, and who has them.
#[derive(Debug, Default)]
pub(super) struct Places {
    taken: Vec<Place>,
    last_id: u64,
}

#[derive(Debug)]
struct Place {
    id: u64,
    origin: Peer,
    wants_updates: bool,
    evicted: Arc<Notify>,
}

impl Places {
    /// A place for `peer`: its id, and what tells when it has to be given up. Where all `most` are taken, whoever has the most
    /// gives up the newest one to who then still has less; `None` where there is nobody like that.
    pub fn take(&mut self, peer: Peer, wants_updates: bool, most: usize) -> Option<(u64, Arc<Notify>)> {
        let origin = peer.origin();
        if self.taken.len() >= most {
            let held = |origin: Peer| self.taken.iter().filter(|place| place.origin == origin).count();
            let greediest = self
                .taken
                .iter()
                .max_by_key(|place| (held(place.origin), place.id))?;
            if held(greediest.origin) <= held(origin) + 1 {
                return None;
            }
            greediest.evicted.notify_one();
            let id = greediest.id;
            self.give_back(id);
        }
        self.last_id += 1;
        let evicted = Arc::new(Notify::new());
        self.taken.push(Place {
            id: self.last_id,
            origin,
            wants_updates,
            evicted: Arc::clone(&evicted),
        });
        Some((self.last_id, evicted))
    }

    /// Gives a place back, if it still is one.
    pub fn give_back(&mut self, id: u64) {
        self.taken.retain(|place| place.id != id);
    }

    /// Whether nobody has a place.
    pub const fn is_empty(&self) -> bool {
        self.taken.is_empty()
    }

    /// Whether anybody wants updates.
    pub fn want_updates(&self) -> bool {
        self.taken.iter().any(|place| place.wants_updates)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use super::*;

    const fn v4(last: u8) -> Peer {
        Peer::Ip(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)))
    }

    #[tokio::test]
    async fn whoever_has_most_makes_room_for_others() {
        let mut places = Places::default();
        let greedy: Vec<_> = (0..4).map(|_| places.take(v4(1), true, 4).unwrap()).collect();
        assert!(places.take(v4(1), true, 4).is_none());
        let other = places.take(v4(2), false, 4).unwrap();
        // The newest one went.
        greedy[3].1.notified().await;
        places.give_back(greedy[3].0);
        let another = places.take(v4(2), false, 4).unwrap();
        greedy[2].1.notified().await;
        // Both have two now.
        assert!(places.take(v4(1), true, 4).is_none() && places.take(v4(2), true, 4).is_none());
        for (id, _) in &greedy {
            places.give_back(*id);
        }
        assert!(!places.want_updates() && !places.is_empty());
        places.give_back(other.0);
        places.give_back(another.0);
        assert!(places.is_empty());
    }

    #[test]
    fn the_addresses_of_one_network_are_one_client() {
        let mut places = Places::default();
        let v6 = |last| Peer::Ip(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last)));
        assert!((1..=4).all(|last| places.take(v6(last), true, 4).is_some()));
        assert!(places.take(v6(5), true, 4).is_none());
        assert!(places.take(v4(1), true, 4).is_some());
    }
}
