//! `/api/events`: sends status changes as they happen, and updates for the overview every second. One task serves all streams,
//! and runs only while streams are open.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::broadcast::{
    self,
    error::{RecvError, TryRecvError},
};
use tokio::time::{MissedTickBehavior, interval};

use super::event_log::{EventLog, MAX_STORED};
use super::event_stream::EventStream;
use super::peer::Peer;
use super::row_diff::RowDiff;
use crate::slots::Slots;
use crate::store::{RecentRuns, Snapshot, StatusEvent};

/// The maximum number of streams at once.
pub const MAX_STREAMS: usize = 64;
/// How many updates a stream may lag behind before it is closed. Its client then reconnects. An update may have many rows.
const MAX_UPDATES_BEHIND: usize = 16;
/// The time between two updates.
const UPDATE_INTERVAL: Duration = Duration::from_secs(1);

type Subscribe = dyn Fn() -> broadcast::Receiver<StatusEvent> + Send + Sync;
type Recent = dyn Fn(&str) -> Option<Vec<RecentRuns>> + Send + Sync;
/// Takes a snapshot. May block.
pub(super) type TakeSnapshot = Arc<dyn Fn() -> Snapshot + Send + Sync>;

/// Sends events to all streams.
pub struct EventHub {
    subscribe: Box<Subscribe>,
    recent_runs: Box<Recent>,
    streams: Mutex<Streams>,
}

struct Streams {
    /// Its buffer holds the changes that happen while no stream is open.
    changes: broadcast::Receiver<StatusEvent>,
    log: EventLog,
    /// `None` once the server stops.
    senders: Option<Senders>,
    /// The open streams by origin, and whether each wants updates.
    slots: Slots<Peer, bool>,
    is_driven: bool,
}

/// Sends encoded events to every stream. Changes and updates have separate buffers, so that neither displaces the other: when a
/// machine fails, many short changes come at once.
struct Senders {
    changes: broadcast::Sender<Bytes>,
    updates: broadcast::Sender<Bytes>,
}

impl EventHub {
    /// Creates a hub on `recent_runs` and `subscribe` of the store.
    pub fn new(
        recent_runs: impl Fn(&str) -> Option<Vec<RecentRuns>> + Send + Sync + 'static,
        subscribe: impl Fn() -> broadcast::Receiver<StatusEvent> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            streams: Mutex::new(Streams {
                changes: subscribe(),
                log: EventLog::new(),
                senders: Some(Senders {
                    changes: broadcast::Sender::new(MAX_STORED),
                    updates: broadcast::Sender::new(MAX_UPDATES_BEHIND),
                }),
                slots: Slots::default(),
                is_driven: false,
            }),
            subscribe: Box::new(subscribe),
            recent_runs: Box::new(recent_runs),
        })
    }

    /// Creates a hub without a store: it has no runs and no changes.
    pub fn without_store() -> Arc<Self> {
        Self::new(|_| None, || broadcast::Sender::new(1).subscribe())
    }

    /// Returns the latest runs of each check of a service.
    pub(super) fn recent_runs(&self, service: &str) -> Option<Vec<RecentRuns>> {
        (self.recent_runs)(service)
    }

    /// Opens a stream of future events. If the client sends the id of its last event, the stream begins with what it missed.
    /// Returns `None` if too many streams are open, or the server stops.
    pub(super) fn open(
        self: &Arc<Self>,
        take_snapshot: &TakeSnapshot,
        peer: Peer,
        last_event_id: Option<&str>,
        wants_updates: bool,
    ) -> Option<EventStream> {
        let mut streams = self.lock();
        // Sent under the lock, so that no change gets lost between this and the subscription.
        streams.send_changes();
        let senders = streams.senders.as_ref()?;
        let changes = senders.changes.subscribe();
        let updates = wants_updates.then(|| senders.updates.subscribe());
        let (id, evicted) = streams.slots.acquire(peer.origin(), wants_updates, MAX_STREAMS)?;
        let missed = streams.log.render_missed(last_event_id);
        if !std::mem::replace(&mut streams.is_driven, true) {
            tokio::spawn(drive(Arc::clone(self), Arc::clone(take_snapshot)));
        }
        let slot = Slot {
            hub: Arc::clone(self),
            id,
        };
        Some(EventStream::new(missed.into(), changes, updates, evicted, slot))
    }

    /// Ends every stream, and opens no more.
    pub(super) fn close(&self) {
        self.lock().senders = None;
    }

    fn lock(&self) -> MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for EventHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventHub").finish_non_exhaustive()
    }
}

impl Streams {
    /// Records the changes that have happened, and sends all of them at once.
    fn send_changes(&mut self) {
        let mut events = String::new();
        loop {
            match self.changes.try_recv() {
                Ok(change) => events.push_str(self.log.record(&change)),
                Err(TryRecvError::Lagged(count)) => events.push_str(&self.log.record_lost(count)),
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        if let (false, Some(senders)) = (events.is_empty(), &self.senders) {
            // Fails if no stream is open.
            let _ = senders.changes.send(events.into());
        }
    }
}

/// Releases the slot of a stream when dropped.
struct Slot {
    hub: Arc<EventHub>,
    id: u64,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.hub.lock().slots.release(self.id);
    }
}

/// Sends changes as they happen and updates every second, until no stream is open.
async fn drive(hub: Arc<EventHub>, take_snapshot: TakeSnapshot) {
    let mut changes = (hub.subscribe)();
    let mut has_changes = true;
    let mut seconds = interval(UPDATE_INTERVAL);
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut diff = RowDiff::default();
    loop {
        tokio::select! {
            change = changes.recv(), if has_changes => {
                has_changes = !matches!(change, Err(RecvError::Closed));
                hub.lock().send_changes();
            }
            _ = seconds.tick() => {
                let wants_updates = {
                    let mut streams = hub.lock();
                    if streams.slots.taken() == 0 || streams.senders.is_none() {
                        streams.is_driven = false;
                        return;
                    }
                    streams.slots.tags().any(|wants_updates| *wants_updates)
                };
                if !wants_updates {
                    diff = RowDiff::default();
                    continue;
                }
                let take_snapshot = Arc::clone(&take_snapshot);
                let rendering = tokio::task::spawn_blocking(move || {
                    let update = diff.render_update(&take_snapshot());
                    (diff, update)
                });
                // The panic hook logs a panic. The next second tries again.
                let Ok((next, update)) = rendering.await else {
                    diff = RowDiff::default();
                    continue;
                };
                diff = next;
                if let Some(senders) = &hub.lock().senders {
                    let _ = senders.updates.send(update.into());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::time::{Instant, sleep, timeout};

    use super::*;
    use crate::store::Store;

    fn open(hub: &Arc<EventHub>, wants_updates: bool) -> EventStream {
        let clock = Arc::new(crate::model::SystemClock::new());
        let take_snapshot: TakeSnapshot =
            Arc::new(move || Store::open(Arc::clone(&clock) as _, None).unwrap().0.snapshot());
        hub.open(&take_snapshot, Peer::Local, None, wants_updates)
            .unwrap()
    }

    async fn next_chunk(stream: &mut EventStream) -> Option<Bytes> {
        timeout(Duration::from_secs(60), poll_fn(|cx| stream.poll_chunk(cx, 10)))
            .await
            .unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_stream_sends_heartbeats() {
        let hub = EventHub::without_store();
        let mut stream = open(&hub, false);
        let mut first = Vec::new();
        while !first.ends_with(b"\n\n") {
            let chunk = next_chunk(&mut stream).await.unwrap();
            assert!(chunk.len() <= 10);
            first.extend(chunk);
        }
        for _ in 0..3 {
            let begun = Instant::now();
            assert_eq!(next_chunk(&mut stream).await.unwrap(), ":\n\n");
            assert_eq!(begun.elapsed().as_secs(), 15);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lagging_stream_ends_and_the_task_ends_with_the_last_stream() {
        let hub = EventHub::without_store();
        let mut stream = open(&hub, true);
        for number in 0..=MAX_UPDATES_BEHIND {
            let streams = hub.lock();
            let updates = &streams.senders.as_ref().unwrap().updates;
            updates.send(Bytes::from(number.to_string())).unwrap();
        }
        let mut chunks = 0;
        while next_chunk(&mut stream).await.is_some() {
            chunks += 1;
            assert!(chunks < 10, "the stream does not end");
        }
        assert!(hub.lock().is_driven);
        drop(stream);
        sleep(Duration::from_secs(3)).await;
        let streams = hub.lock();
        assert!(streams.slots.taken() == 0 && !streams.is_driven);
    }
}
