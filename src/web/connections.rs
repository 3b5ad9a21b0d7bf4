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

/// The state of one connection, shared by its stream, its requests and the listener.
#[derive(Debug)]
pub(super) struct Activity {
    /// The phase and when it began; of a busy one, when something was last written.
    state: Mutex<(Phase, Instant)>,
    /// Notified when the connection has to go.
    pub evicted: Notify,
}

impl Activity {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new((Phase::New, Instant::now())),
            evicted: Notify::new(),
        })
    }

    /// The phase and since when.
    pub fn get(&self) -> (Phase, Instant) {
        *self.lock()
    }

    /// Enters a phase now.
    pub fn enter(&self, phase: Phase) {
        *self.lock() = (phase, Instant::now());
    }

    /// Enters `to` if the phase is `from`.
    pub fn advance(&self, from: Phase, to: Phase) {
        let mut state = self.lock();
        if state.0 == from {
            *state = (to, Instant::now());
        }
    }

    fn lock(&self) -> MutexGuard<'_, (Phase, Instant)> {
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
