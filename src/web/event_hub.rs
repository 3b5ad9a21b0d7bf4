//! What happens, told to whoever listens: `/api/events`. One task serves all listeners, and only while there are some.
//!
//! Changes of a status are numbered and the last ones are kept, so that a client that comes back gets what it missed
//! (WHATWG HTML, section 9.2.3). Updates are made once a second, for the page, of the rows that changed.

use std::collections::VecDeque;
use std::fmt::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tokio::sync::broadcast::{
    self,
    error::{RecvError, TryRecvError},
};
use tokio::time::{MissedTickBehavior, interval};

use super::State;
use super::event_stream::EventStream;
use super::html;
use super::row_diff::Rows;
use super::throttle::Peer;
use crate::slots::Slots;
use crate::store::{RecentRuns, StatusEvent};

/// The most streams at once.
pub const MAX_STREAMS: usize = 64;
/// How many changes of a status are kept for those who come back.
const MAX_KEPT: usize = 256;
/// How many updates a stream may lag behind before it is ended; its client comes back. Each may have many rows.
const MAX_UPDATES_BEHIND: usize = 16;
/// From one update to the next.
const UPDATE_INTERVAL: Duration = Duration::from_secs(1);
/// What a client waits before it comes back, in milliseconds.
const RETRY: u32 = 2000;

type Subscribe = dyn Fn() -> broadcast::Receiver<StatusEvent> + Send + Sync;
type Recent = dyn Fn(&str) -> Option<Vec<RecentRuns>> + Send + Sync;

/// What the page and its events need beside snapshots.
pub struct EventHub {
    subscribe: Box<Subscribe>,
    recent_runs: Box<Recent>,
    /// Names this process in the ids of events, which begin anew with each.
    epoch: u64,
    streams: Mutex<Streams>,
}

struct Streams {
    /// Its buffer is what keeps changes while nobody listens.
    changes: broadcast::Receiver<StatusEvent>,
    /// Changes that were told, with their numbers.
    kept: VecDeque<(u64, String)>,
    last_number: u64,
    /// `None` once the server stops.
    senders: Option<Senders>,
    /// Whose streams there are, and whether each wants updates.
    places: Slots<Peer, bool>,
    is_driven: bool,
}

/// What goes to every stream, as it goes over the wire. Many changes come at once when a machine fails, and are short; they
/// must not be lost over updates, nor the other way around.
struct Senders {
    changes: broadcast::Sender<Bytes>,
    updates: broadcast::Sender<Bytes>,
}

impl EventHub {
    /// What `recent_runs` and `subscribe` of the store give.
    pub fn new(
        recent_runs: impl Fn(&str) -> Option<Vec<RecentRuns>> + Send + Sync + 'static,
        subscribe: impl Fn() -> broadcast::Receiver<StatusEvent> + Send + Sync + 'static,
    ) -> Arc<Self> {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Arc::new(Self {
            epoch: u64::try_from(since_epoch.as_micros()).unwrap_or_default(),
            streams: Mutex::new(Streams {
                changes: subscribe(),
                kept: VecDeque::new(),
                last_number: 0,
                senders: Some(Senders {
                    changes: broadcast::Sender::new(MAX_KEPT),
                    updates: broadcast::Sender::new(MAX_UPDATES_BEHIND),
                }),
                places: Slots::default(),
                is_driven: false,
            }),
            subscribe: Box::new(subscribe),
            recent_runs: Box::new(recent_runs),
        })
    }

    /// Without a store: no runs, no changes.
    pub fn without_store() -> Arc<Self> {
        Self::new(|_| None, || broadcast::Sender::new(1).subscribe())
    }

    /// The last runs of each check of a service.
    pub(super) fn recent_runs(&self, service: &str) -> Option<Vec<RecentRuns>> {
        (self.recent_runs)(service)
    }

    /// A stream of what happens from now on and, where the client says which event it had last, of what happened since.
    /// `None` where there are too many, or the server stops.
    pub(super) fn open(
        state: &Arc<State>,
        peer: Peer,
        last_event_id: Option<&str>,
        wants_updates: bool,
    ) -> Option<EventStream> {
        let hub = &state.event_hub;
        let mut streams = hub.streams();
        // Nothing is sent between this and the subscription, for both happen under the lock.
        hub.tell_changes(&mut streams);
        let senders = streams.senders.as_ref()?;
        let changes = senders.changes.subscribe();
        let updates = wants_updates.then(|| senders.updates.subscribe());
        let (id, evicted) = streams.places.take(peer.origin(), wants_updates, MAX_STREAMS)?;
        let first = hub.missed(&streams, last_event_id);
        if !std::mem::replace(&mut streams.is_driven, true) {
            tokio::spawn(drive(Arc::clone(state)));
        }
        let slot = Slot {
            hub: Arc::clone(hub),
            id,
        };
        Some(EventStream::new(first.into(), changes, updates, evicted, slot))
    }

    /// What a stream begins with: what its client missed, if it says which event it had last.
    fn missed(&self, streams: &Streams, last_event_id: Option<&str>) -> String {
        let last = streams.last_number;
        let of_this_process = last_event_id.and_then(|id| {
            let (epoch, number) = id.split_once('-')?;
            (epoch == format!("{:x}", self.epoch)).then(|| number.parse::<u64>().ok())?
        });
        let known = match (of_this_process, last_event_id) {
            // One that there has not been yet is a slip.
            (Some(number), _) => number.min(last),
            // Of an earlier process: all that happened in this one is news.
            (None, Some(_)) => 0,
            (None, None) => last,
        };
        let mut text = format!("retry: {RETRY}\n");
        let oldest = streams.kept.front().map_or(last + 1, |(number, _)| *number);
        if known + 1 < oldest {
            text.push_str(&lost(oldest - known - 1));
        }
        for (_, event) in streams.kept.iter().filter(|(number, _)| *number > known) {
            text.push_str(event);
        }
        // An id without data is kept by the client and dispatches nothing.
        let _ = write!(text, "id: {:x}-{last}\n\n", self.epoch);
        text
    }

    /// Ends every stream, and lets none begin.
    pub(super) fn close(&self) {
        self.streams().senders = None;
    }

    fn streams(&self) -> MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Numbers the changes that have come, keeps them, and sends them all at once.
    fn tell_changes(&self, streams: &mut Streams) {
        let mut news = String::new();
        loop {
            match streams.changes.try_recv() {
                Ok(change) => {
                    streams.last_number += 1;
                    let number = streams.last_number;
                    let text = self.status_frame(number, &change);
                    news.push_str(&text);
                    if streams.kept.len() == MAX_KEPT {
                        streams.kept.pop_front();
                    }
                    streams.kept.push_back((number, text));
                }
                // They had their numbers, too: a gap shows.
                Err(TryRecvError::Lagged(gone)) => {
                    streams.last_number += gone;
                    streams.kept.clear();
                    news.push_str(&lost(gone));
                }
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        if let (false, Some(senders)) = (news.is_empty(), &streams.senders) {
            // An error says that nobody listens.
            let _ = senders.changes.send(news.into());
        }
    }

    fn status_frame(&self, number: u64, change: &StatusEvent) -> String {
        let problem = change.problem.as_deref();
        let data = serde_json::json!({
            "service": change.service.as_str(),
            "old": change.old.as_str(),
            "new": change.new.as_str(),
            "since": html::rfc3339(change.since),
            "check": change.check.as_ref().map(|check| check.as_str()),
            "reason": problem.map(|problem| problem.reason.as_str()),
            "message": problem.map(|problem| problem.message()),
        });
        format!("id: {:x}-{number}\nevent: status\ndata: {data}\n\n", self.epoch)
    }
}

/// Says that changes are not known any more.
fn lost(events: u64) -> String {
    format!("event: lost\ndata: {{\"events\":{events}}}\n\n")
}

impl fmt::Debug for EventHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventHub")
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}

/// A stream's place among the few that there are.
pub(super) struct Slot {
    hub: Arc<EventHub>,
    id: u64,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.hub.streams().places.give_back(self.id);
    }
}

/// Tells changes as they come and updates each second, until nobody listens.
async fn drive(state: Arc<State>) {
    let hub = &state.event_hub;
    let mut changes = (hub.subscribe)();
    let mut has_changes = true;
    let mut seconds = interval(UPDATE_INTERVAL);
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut rows = Rows::default();
    loop {
        tokio::select! {
            change = changes.recv(), if has_changes => {
                has_changes = !matches!(change, Err(RecvError::Closed));
                hub.tell_changes(&mut hub.streams());
            }
            _ = seconds.tick() => {
                let wants_updates = {
                    let mut streams = hub.streams();
                    if streams.places.taken() == 0 || streams.senders.is_none() {
                        streams.is_driven = false;
                        return;
                    }
                    streams.places.tags().any(|wants_updates| *wants_updates)
                };
                if !wants_updates {
                    rows = Rows::default();
                    continue;
                }
                let source = Arc::clone(&state);
                let rendered = tokio::task::spawn_blocking(move || {
                    let text = rows.update(&(source.snapshot)());
                    (rows, text)
                });
                // A panic is logged by the hook; the next second tries again.
                let (kept, text) = rendered.await.map_or_else(|_| (Rows::default(), None), |(rows, text)| (rows, Some(text)));
                rows = kept;
                if let (Some(text), Some(senders)) = (text, &hub.streams().senders) {
                    let _ = senders.updates.send(text.into());
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
    use crate::check::Shared;
    use crate::metrics::Renderer;
    use crate::store::{Snapshot, Store};
    use crate::web::Reloader;

    fn empty() -> Snapshot {
        let clock = Arc::new(crate::model::SystemClock::new());
        Store::open(clock, None).unwrap().0.snapshot()
    }

    fn state() -> Arc<State> {
        Arc::new(State {
            snapshot: Box::new(empty),
            renderer: Renderer::new(empty),
            is_ready: Box::new(|| true),
            reloader: Reloader::new(|| Box::pin(async { Ok(()) })),
            is_lifecycle_enabled: false,
            allowed_hosts: crate::web::AllowedHosts::default(),
            event_hub: EventHub::without_store(),
            telemetry_path: "/metrics".into(),
            prober: Arc::new(crate::probe::Prober::new(
                Shared::new("/proc".into()),
                Duration::ZERO,
            )),
            bodies: crate::web::BodyCache::default(),
        })
    }

    async fn piece(stream: &mut EventStream) -> Option<Bytes> {
        timeout(Duration::from_secs(60), poll_fn(|cx| stream.poll_piece(cx, 10)))
            .await
            .unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_stream_shows_that_it_lives() {
        let state = state();
        let mut stream = EventHub::open(&state, Peer::Local, None, false).unwrap();
        let mut first = Vec::new();
        while !first.ends_with(b"\n\n") {
            let piece = piece(&mut stream).await.unwrap();
            assert!(piece.len() <= 10);
            first.extend(piece);
        }
        for _ in 0..3 {
            let begun = Instant::now();
            assert_eq!(piece(&mut stream).await.unwrap(), ":\n\n");
            assert_eq!(begun.elapsed().as_secs(), 15);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_lags_ends_and_no_stream_no_work() {
        let state = state();
        let mut stream = EventHub::open(&state, Peer::Local, None, true).unwrap();
        for number in 0..=MAX_UPDATES_BEHIND {
            let streams = state.event_hub.streams();
            let updates = &streams.senders.as_ref().unwrap().updates;
            updates.send(Bytes::from(number.to_string())).unwrap();
        }
        let mut pieces = 0;
        while piece(&mut stream).await.is_some() {
            pieces += 1;
            assert!(pieces < 10, "it goes on");
        }
        assert!(state.event_hub.streams().is_driven);
        drop(stream);
        sleep(Duration::from_secs(3)).await;
        let streams = state.event_hub.streams();
        assert!(streams.places.taken() == 0 && !streams.is_driven);
    }
}
