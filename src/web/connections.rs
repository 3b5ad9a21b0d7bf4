//! The connections of one listener: what each is doing, and which one has to go when there are too many.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::throttle::Peer;

/// What a connection is doing. The order is the one in which connections are given up when there are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// It has sent no request yet.
    New,
    /// It sends a request after others.
    Receiving,
    /// It waits between requests.
    Idle,
    /// The last of a response is on its way.
    Finishing,
    /// A request is being answered.
    Busy,
}

/// What a connection is doing, in full.
#[derive(Debug)]
struct Doing {
    phase: Phase,
    /// When the phase began; of a busy one, when something was last written.
    since: Instant,
    /// Requests being answered; with HTTP/2 there may be several.
    answering: usize,
    /// Those of them of which a piece was handed over, and no further one asked for: what is owed to the client waits for
    /// it to read.
    owing: usize,
}

impl Doing {
    fn enter(&mut self, phase: Phase) {
        (self.phase, self.since) = (phase, Instant::now());
    }
}

/// The state of one connection, shared by its stream, its requests and the listener.
#[derive(Debug)]
pub(super) struct Activity {
    state: Mutex<Doing>,
    /// Notified when the connection has to go.
    pub evicted: Notify,
}

impl Activity {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(Doing {
                phase: Phase::New,
                since: Instant::now(),
                answering: 0,
                owing: 0,
            }),
            evicted: Notify::new(),
        })
    }

    /// The phase and since when.
    pub fn get(&self) -> (Phase, Instant) {
        let doing = self.lock();
        (doing.phase, doing.since)
    }

    /// The phase, since when, and whether something waits for the client to read.
    pub fn owes(&self) -> (Phase, Instant, bool) {
        let doing = self.lock();
        (doing.phase, doing.since, doing.owing > 0)
    }

    /// Whether some answer is being made or sent that does not wait for the client to read.
    fn is_answering(&self) -> bool {
        let doing = self.lock();
        doing.phase == Phase::Busy && doing.answering > doing.owing
    }

    /// A piece of an answer was handed over.
    pub fn begin_owing(&self) {
        let mut doing = self.lock();
        if doing.owing == 0 {
            doing.since = Instant::now();
        }
        doing.owing += 1;
    }

    /// The piece was taken, or the answer given up.
    pub fn end_owing(&self) {
        let mut doing = self.lock();
        doing.owing = doing.owing.saturating_sub(1);
    }

    /// A request is being answered from now on.
    pub fn begin_answer(&self) {
        let mut doing = self.lock();
        doing.answering += 1;
        doing.enter(Phase::Busy);
    }

    /// An answer came to its end. The connection is done when all did.
    pub fn end_answer(&self) {
        let mut doing = self.lock();
        doing.answering = doing.answering.saturating_sub(1);
        if doing.answering == 0 {
            doing.enter(Phase::Finishing);
        }
    }

    /// Enters a phase now.
    #[cfg(test)]
    pub fn enter(&self, phase: Phase) {
        self.lock().enter(phase);
    }

    /// Enters `to` if the phase is `from`.
    pub fn advance(&self, from: Phase, to: Phase) {
        let mut doing = self.lock();
        if doing.phase == from {
            doing.enter(to);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Doing> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The connections that are open.
#[derive(Debug, Default)]
pub(super) struct Connections {
    open: Mutex<HashMap<u64, Open>>,
}

/// One of them.
#[derive(Debug)]
struct Open {
    origin: Peer,
    activity: Arc<Activity>,
}

impl Connections {
    /// Registers a connection of `peer` until the guard is dropped. Where that makes more than `most`, one is closed.
    pub fn register(
        self: &Arc<Self>,
        id: u64,
        peer: Peer,
        activity: &Arc<Activity>,
        most: usize,
    ) -> Registration {
        let origin = peer.origin();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= most {
            evict_one(&mut open, Some(origin));
        }
        let activity = Arc::clone(activity);
        open.insert(id, Open { origin, activity });
        Registration {
            connections: Arc::clone(self),
            id,
        }
    }

    /// Closes the connection that can be missed best.
    pub fn make_room(&self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        evict_one(&mut open, None);
    }

    /// How many are open.
    pub fn count(&self) -> usize {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// Closes the connection that can be missed best, to make room for one of `newcomer`.
fn evict_one(open: &mut HashMap<u64, Open>, newcomer: Option<Peer>) {
    if let Some(victim) = victim(open, newcomer)
        && let Some(victim) = open.remove(&victim)
    {
        victim.activity.evicted.notify_one();
    }
}

/// The connection that can be missed best. An origin that has more than its share loses first. Of its connections those go
/// first that answer nothing, then in the order of their phases, the oldest first.
fn victim(open: &HashMap<u64, Open>, newcomer: Option<Peer>) -> Option<u64> {
    let mut held = HashMap::<Peer, usize>::new();
    let origins = open.values().map(|one| one.origin).chain(newcomer);
    origins.for_each(|origin| *held.entry(origin).or_default() += 1);
    let share = held.values().sum::<usize>().checked_div(held.len())?;
    let rank = |one: &Open| {
        let held = held.get(&one.origin).copied().unwrap_or_default();
        let has_its_share = held <= share;
        (
            has_its_share,
            one.activity.is_answering(),
            Reverse(held),
            one.activity.get(),
        )
    };
    let (id, worst) = open.iter().min_by_key(|(_, one)| rank(one))?;
    // Nobody breaks off an answer to another client who has something less important to give up.
    if worst.activity.is_answering() && newcomer != Some(worst.origin) {
        let own = open.iter().filter(|(_, one)| Some(one.origin) == newcomer);
        let own = own.min_by_key(|(_, one)| rank(one));
        if let Some((id, _)) = own.filter(|(_, one)| !one.activity.is_answering()) {
            return Some(*id);
        }
    }
    Some(*id)
}

/// An open connection's entry, removed when dropped.
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
    async fn a_connection_is_busy_until_its_last_answer_ended() {
        let activity = Activity::new();
        activity.begin_answer();
        activity.begin_answer();
        activity.end_answer();
        assert_eq!(activity.get().0, Phase::Busy);
        activity.end_answer();
        assert_eq!(activity.get().0, Phase::Finishing);
    }

    const fn ip(last: u8) -> Peer {
        Peer::Ip(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)))
    }

    /// Connections by number, each of an origin with what it does, opened one second after the other; the last one makes one
    /// too many. Which one has to go?
    async fn loser(connections: &[(u8, Phase)]) -> usize {
        let most = connections.len() - 1;
        let open = Arc::new(Connections::default());
        let mut held = Vec::new();
        for (id, (origin, phase)) in connections.iter().enumerate() {
            let activity = Activity::new();
            match phase {
                Phase::Busy => activity.begin_answer(),
                phase => activity.enter(*phase),
            }
            held.push((open.register(id as u64, ip(*origin), &activity, most), activity));
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        let mut losers = Vec::new();
        for (id, (_, activity)) in held.iter().enumerate() {
            if evicted(activity).await {
                losers.push(id);
            }
        }
        assert_eq!(losers.len(), 1, "{losers:?}");
        losers[0]
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_most_loses_first() {
        use Phase::{Busy, Finishing, Idle, New, Receiving};
        for (connections, expected) in [
            // A scraper that connects, sends, or waits, beside one that has all other connections, however busy.
            (vec![(1, New), (2, Busy), (2, Busy), (2, Busy), (2, New)], 1),
            (vec![(1, Receiving), (2, Busy), (2, Busy), (2, Busy), (2, New)], 1),
            (vec![(2, Busy), (1, Idle), (2, Finishing), (2, Idle), (2, New)], 3),
            // The newcomer is a scraper.
            (vec![(2, Busy), (2, Busy), (2, Busy), (2, Busy), (1, New)], 0),
            // Nobody has more than others.
            (vec![(1, Busy), (2, Idle), (3, New), (4, Idle), (5, New)], 2),
            // One with many answers under way loses none of them to one that has fewer, but something to give up.
            (vec![(1, Busy), (1, Busy), (1, Busy), (2, Idle), (2, New)], 3),
            (vec![(1, Busy), (1, Busy), (1, Busy), (2, Busy), (2, New)], 0),
            (vec![(1, Busy), (1, Busy), (1, Idle), (2, Busy), (2, New)], 2),
        ] {
            assert_eq!(loser(&connections).await, expected, "{connections:?}");
        }
    }

    #[tokio::test]
    async fn who_does_not_read_is_not_being_answered() {
        let activity = Activity::new();
        assert!(!activity.is_answering());
        activity.begin_answer();
        assert!(activity.is_answering());
        activity.begin_owing();
        assert!(!activity.is_answering());
        activity.begin_answer();
        assert!(activity.is_answering());
    }

    #[tokio::test(start_paused = true)]
    async fn who_never_asked_goes_first_then_who_is_idle_longest() {
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
