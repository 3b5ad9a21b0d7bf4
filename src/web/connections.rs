//! The connections of one listener: what each is doing, and which one is evicted when there are too many.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::peer::Peer;

/// The phase of a connection. Connections are evicted in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Has not sent a request yet.
    New,
    /// Sends a further request.
    Receiving,
    /// Waits between requests.
    Idle,
    /// The end of a response is being sent.
    Finishing,
    /// A request is in progress.
    Busy,
}

/// The phase of a connection with its details.
#[derive(Debug)]
struct Progress {
    phase: Phase,
    /// When the phase began. For a busy connection: when something was last written.
    since: Instant,
    /// The number of requests in progress. HTTP/2 allows several.
    responses: usize,
    /// How many of these have a chunk that the client has not read yet.
    stalled: usize,
}

impl Progress {
    fn enter(&mut self, phase: Phase) {
        (self.phase, self.since) = (phase, Instant::now());
    }
}

/// The state of one connection, shared by its stream, its requests and the listener.
#[derive(Debug)]
pub(super) struct Activity {
    state: Mutex<Progress>,
    /// Notified when the connection is evicted.
    pub evicted: Notify,
}

impl Activity {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(Progress {
                phase: Phase::New,
                since: Instant::now(),
                responses: 0,
                stalled: 0,
            }),
            evicted: Notify::new(),
        })
    }

    /// Returns the phase, and when it began.
    pub fn phase(&self) -> (Phase, Instant) {
        let progress = self.lock();
        (progress.phase, progress.since)
    }

    /// Returns the phase, when it began, and whether a chunk waits for the client to read it.
    pub fn phase_and_stall(&self) -> (Phase, Instant, bool) {
        let progress = self.lock();
        (progress.phase, progress.since, progress.stalled > 0)
    }

    /// Reports whether a response is in progress that does not wait for the client to read.
    fn is_responding(&self) -> bool {
        let progress = self.lock();
        progress.phase == Phase::Busy && progress.responses > progress.stalled
    }

    /// Records that a chunk of a response waits for the client.
    pub fn begin_stall(&self) {
        let mut progress = self.lock();
        if progress.stalled == 0 {
            progress.since = Instant::now();
        }
        progress.stalled += 1;
    }

    /// Records that the chunk was sent, or its response aborted.
    pub fn end_stall(&self) {
        let mut progress = self.lock();
        progress.stalled = progress.stalled.saturating_sub(1);
    }

    /// Records that a request is in progress from now on.
    pub fn begin_response(&self) {
        let mut progress = self.lock();
        progress.responses += 1;
        progress.enter(Phase::Busy);
    }

    /// Records the end of a response. After the last one the connection is no longer busy.
    pub fn end_response(&self) {
        let mut progress = self.lock();
        progress.responses = progress.responses.saturating_sub(1);
        if progress.responses == 0 {
            progress.enter(Phase::Finishing);
        }
    }

    /// Enters a phase now.
    #[cfg(test)]
    pub fn enter(&self, phase: Phase) {
        self.lock().enter(phase);
    }

    /// Enters `to` if the current phase is `from`.
    pub fn advance(&self, from: Phase, to: Phase) {
        let mut progress = self.lock();
        if progress.phase == from {
            progress.enter(to);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The open connections.
#[derive(Debug, Default)]
pub(super) struct Connections {
    open: Mutex<HashMap<u64, Open>>,
}

/// An open connection.
#[derive(Debug)]
struct Open {
    origin: Peer,
    activity: Arc<Activity>,
}

impl Connections {
    /// Registers a connection of `peer` until the guard is dropped. If `max` are open already, evicts one.
    pub fn register(
        self: &Arc<Self>,
        id: u64,
        peer: Peer,
        activity: &Arc<Activity>,
        max: usize,
    ) -> Registration {
        let origin = peer.origin();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= max {
            evict_one(&mut open, Some(origin));
        }
        let activity = Arc::clone(activity);
        open.insert(id, Open { origin, activity });
        Registration {
            connections: Arc::clone(self),
            id,
        }
    }

    /// Evicts the least important connection.
    pub fn evict(&self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        evict_one(&mut open, None);
    }

    /// Returns the number of open connections.
    pub fn count(&self) -> usize {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// Evicts the least important connection, to make room for one of `newcomer`.
fn evict_one(open: &mut HashMap<u64, Open>, newcomer: Option<Peer>) {
    if let Some(victim) = choose_victim(open, newcomer)
        && let Some(victim) = open.remove(&victim)
    {
        victim.activity.evicted.notify_one();
    }
}

/// Chooses the connection to evict. An origin with more than its share loses one first. Among its connections, those
/// that send no response go first, then by phase, then the oldest.
fn choose_victim(open: &HashMap<u64, Open>, newcomer: Option<Peer>) -> Option<u64> {
    let mut held = HashMap::<Peer, usize>::new();
    let origins = open.values().map(|one| one.origin).chain(newcomer);
    origins.for_each(|origin| *held.entry(origin).or_default() += 1);
    let share = held.values().sum::<usize>().checked_div(held.len())?;
    let rank = |one: &Open| {
        let held = held.get(&one.origin).copied().unwrap_or_default();
        let has_its_share = held <= share;
        (
            has_its_share,
            one.activity.is_responding(),
            Reverse(held),
            one.activity.phase(),
        )
    };
    let (id, worst) = open.iter().min_by_key(|(_, one)| rank(one))?;
    // If the origin of the newcomer has a less important connection, evict that instead of aborting the response to another
    // client.
    if worst.activity.is_responding() && newcomer != Some(worst.origin) {
        let own = open.iter().filter(|(_, one)| Some(one.origin) == newcomer);
        let own = own.min_by_key(|(_, one)| rank(one));
        if let Some((id, _)) = own.filter(|(_, one)| !one.activity.is_responding()) {
            return Some(*id);
        }
    }
    Some(*id)
}

/// Removes the entry of an open connection when dropped.
#[derive(Debug)]
pub(super) struct Registration {
    connections: Arc<Connections>,
    id: u64,
}

impl Drop for Registration {
    fn drop(&mut self) {
        let open = &self.connections.open;
        open.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::time::Duration;

    use super::*;

    async fn evicted(activity: &Activity) -> bool {
        tokio::time::timeout(Duration::from_millis(1), activity.evicted.notified())
            .await
            .is_ok()
    }

    #[tokio::test]
    async fn a_connection_is_busy_until_its_last_response_ends() {
        let activity = Activity::new();
        activity.begin_response();
        activity.begin_response();
        activity.end_response();
        assert_eq!(activity.phase().0, Phase::Busy);
        activity.end_response();
        assert_eq!(activity.phase().0, Phase::Finishing);
    }

    const fn ip(last: u8) -> Peer {
        Peer::Ip(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)))
    }

    /// Opens connections one second apart, each with an origin and a phase. The last one is one too many. Returns the index of
    /// the evicted one.
    async fn evict_one_of(connections: &[(u8, Phase)]) -> usize {
        let max = connections.len() - 1;
        let open = Arc::new(Connections::default());
        let mut held = Vec::new();
        for (id, (origin, phase)) in connections.iter().enumerate() {
            let activity = Activity::new();
            match phase {
                Phase::Busy => activity.begin_response(),
                phase => activity.enter(*phase),
            }
            held.push((open.register(id as u64, ip(*origin), &activity, max), activity));
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        let mut victims = Vec::new();
        for (id, (_, activity)) in held.iter().enumerate() {
            if evicted(activity).await {
                victims.push(id);
            }
        }
        assert_eq!(victims.len(), 1, "{victims:?}");
        victims[0]
    }

    #[tokio::test(start_paused = true)]
    async fn the_origin_with_the_most_connections_loses_one_first() {
        use Phase::{Busy, Finishing, Idle, New, Receiving};
        for (connections, expected) in [
            // A scraper keeps its connection while one client has all others, however busy they are.
            (vec![(1, New), (2, Busy), (2, Busy), (2, Busy), (2, New)], 1),
            (vec![(1, Receiving), (2, Busy), (2, Busy), (2, Busy), (2, New)], 1),
            (vec![(2, Busy), (1, Idle), (2, Finishing), (2, Idle), (2, New)], 3),
            // The newcomer is a scraper.
            (vec![(2, Busy), (2, Busy), (2, Busy), (2, Busy), (1, New)], 0),
            // No origin has more than the others.
            (vec![(1, Busy), (2, Idle), (3, New), (4, Idle), (5, New)], 2),
            // A response in progress is not aborted for a newcomer that has an idle connection.
            (vec![(1, Busy), (1, Busy), (1, Busy), (2, Idle), (2, New)], 3),
            (vec![(1, Busy), (1, Busy), (1, Busy), (2, Busy), (2, New)], 0),
            (vec![(1, Busy), (1, Busy), (1, Idle), (2, Busy), (2, New)], 2),
        ] {
            assert_eq!(evict_one_of(&connections).await, expected, "{connections:?}");
        }
    }

    #[tokio::test]
    async fn a_connection_with_a_stalled_response_is_not_responding() {
        let activity = Activity::new();
        assert!(!activity.is_responding());
        activity.begin_response();
        assert!(activity.is_responding());
        activity.begin_stall();
        assert!(!activity.is_responding());
        activity.begin_response();
        assert!(activity.is_responding());
    }

    #[tokio::test(start_paused = true)]
    async fn new_connections_are_evicted_first_then_the_longest_idle() {
        let connections = Arc::new(Connections::default());
        let mut held = Vec::new();
        for (id, phase) in [
            (0, Phase::Busy),
            (1, Phase::Idle),
            (2, Phase::New),
            (3, Phase::Idle),
            (4, Phase::New),
        ] {
            let activity = Activity::new();
            activity.enter(phase);
            held.push((connections.register(id, ip(1), &activity, 5), activity));
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        for (round, victim) in [2, 4, 1, 3, 0].into_iter().enumerate() {
            let activity = Activity::new();
            activity.enter(Phase::Busy);
            let id = 10 + round as u64;
            held.push((connections.register(id, ip(1), &activity, 5), activity));
            assert_eq!(connections.count(), 5);
            for (id, (_, activity)) in held.iter().enumerate() {
                assert_eq!(evicted(activity).await, id == victim, "round {round}: {id}");
            }
        }
        drop(held);
        assert_eq!(connections.count(), 0);
    }
}
