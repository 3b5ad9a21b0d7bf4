//! The connections of one listener: what each is doing, and which one has to go when there are too many.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

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
    open: Mutex<HashMap<u64, Arc<Activity>>>,
}

impl Connections {
    /// Registers a connection until the guard is dropped. Where that makes more than `most`, the one that can be missed
    /// best is evicted: first those that never asked for anything, then idle ones, the oldest first.
    pub fn register(self: &Arc<Self>, id: u64, activity: &Arc<Activity>, most: usize) -> Registration {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= most
            && let Some(victim) = open
                .iter()
                .min_by_key(|(_, activity)| activity.get())
                .map(|(id, _)| *id)
            && let Some(activity) = open.remove(&victim)
        {
            activity.evicted.notify_one();
        }
        open.insert(id, Arc::clone(activity));
        Registration {
            connections: Arc::clone(self),
            id,
        }
    }

    /// How many are open.
    pub fn count(&self) -> usize {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
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
            held.push((connections.register(id, &activity, 5), activity));
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        for (round, victim) in [2, 4, 1, 3, 0].into_iter().enumerate() {
            let activity = Activity::new();
            activity.enter(Phase::Busy);
            let id = 10 + round as u64;
            held.push((connections.register(id, &activity, 5), activity));
            assert_eq!(connections.count(), 5);
            for (id, (_, activity)) in held.iter().enumerate() {
                assert_eq!(evicted(activity).await, id == victim, "round {round}: {id}");
            }
        }
        drop(held);
        assert_eq!(connections.count(), 0);
    }
}
