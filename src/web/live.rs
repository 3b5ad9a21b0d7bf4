//! What happens, told to whoever listens: `/api/events`. One task serves all listeners, and only while there are some.
//!
//! Changes of a status are numbered and the last ones are kept, so that a client that comes back gets what it missed
//! (WHATWG HTML, section 9.2.3). Updates are made once a second, for the page, of the rows that changed.

use std::collections::VecDeque;
use std::fmt::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tokio::sync::broadcast::{self, error::TryRecvError};
use tokio::sync::{Semaphore, broadcast::error::RecvError};
use tokio::time::{MissedTickBehavior, interval};

use super::State;
use super::event_stream::EventStream;
use super::page;
use super::update::Rows;
use crate::store::{RecentRuns, StatusEvent};

/// The most streams at once.
pub const MAX_STREAMS: usize = 64;
/// How many changes of a status are kept for those who come back.
const MAX_KEPT: usize = 256;
/// How many frames a stream may lag behind before it is ended; its client comes back for what is kept.
const MAX_LAG: usize = 16;
/// From one update to the next.
const UPDATE_INTERVAL: Duration = Duration::from_secs(1);
/// How many pages are rendered at once; more wait.
const MAX_RENDERINGS: usize = 4;
/// What a client waits before it comes back, in milliseconds.
const RETRY: u32 = 2000;

/// Something to send to every stream, as it goes over the wire.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    /// It is for those only who want updates.
    pub is_update: bool,
    pub text: Bytes,
}

type Subscribe = dyn Fn() -> broadcast::Receiver<StatusEvent> + Send + Sync;
type Recent = dyn Fn(&str) -> Option<Vec<RecentRuns>> + Send + Sync;

/// What the page and its events need beside snapshots.
pub struct Live {
    subscribe: Box<Subscribe>,
    recent_runs: Box<Recent>,
    /// Names this process in the ids of events, which begin anew with each.
    epoch: u64,
    streams: Mutex<Streams>,
    /// A turn to render a page.
    pub(super) renderings: Semaphore,
}

struct Streams {
    /// Its buffer is what keeps changes while nobody listens.
    changes: broadcast::Receiver<StatusEvent>,
    /// Changes that were told, with their numbers.
    kept: VecDeque<(u64, Bytes)>,
    last_number: u64,
    /// `None` once the server stops.
    frames: Option<broadcast::Sender<Frame>>,
    open: usize,
    want_updates: usize,
    is_driven: bool,
}

impl Live {
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
                frames: Some(broadcast::Sender::new(MAX_LAG)),
                open: 0,
                want_updates: 0,
                is_driven: false,
            }),
            subscribe: Box::new(subscribe),
            recent_runs: Box::new(recent_runs),
            renderings: Semaphore::new(MAX_RENDERINGS),
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
        last_event_id: Option<&str>,
        wants_updates: bool,
    ) -> Option<EventStream> {
        let live = &state.live;
        let mut streams = live.streams();
        if streams.open >= MAX_STREAMS {
            return None;
        }
        // Nothing is sent between this and the subscription, for both happen under the lock.
        live.tell_changes(&mut streams);
        let frames = streams.frames.as_ref()?.subscribe();
        let mut first = format!("retry: {RETRY}\n");
        let known = last_event_id.and_then(|id| {
            let (epoch, number) = id.split_once('-')?;
            (epoch == format!("{:x}", live.epoch)).then(|| number.parse::<u64>().ok())?
        });
        let known = known.unwrap_or(match last_event_id {
            // Of an earlier process: all that happened in this one is news.
            Some(_) => 0,
            None => streams.last_number,
        });
        let oldest = streams
            .kept
            .front()
            .map_or(streams.last_number + 1, |(number, _)| *number);
        if known + 1 < oldest {
            let _ = write!(
                first,
                "event: lost\ndata: {{\"events\":{}}}\n\n",
                oldest - known - 1
            );
        }
        for (_, text) in streams.kept.iter().filter(|(number, _)| *number > known) {
            first.push_str(&String::from_utf8_lossy(text));
        }
        // An id without data is kept by the client and dispatches nothing.
        let _ = write!(first, "id: {:x}-{}\n\n", live.epoch, streams.last_number);
        streams.open += 1;
        streams.want_updates += usize::from(wants_updates);
        if !std::mem::replace(&mut streams.is_driven, true) {
            tokio::spawn(drive(Arc::clone(state)));
        }
        let slot = Slot {
            live: Arc::clone(live),
            wants_updates,
        };
        Some(EventStream::new(first.into(), frames, slot))
    }

    /// Ends every stream, and lets none begin.
    pub(super) fn close(&self) {
        self.streams().frames = None;
    }

    fn streams(&self) -> MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Numbers the changes that have come, keeps them, and sends them.
    fn tell_changes(&self, streams: &mut Streams) {
        loop {
            match streams.changes.try_recv() {
                Ok(change) => {
                    streams.last_number += 1;
                    let number = streams.last_number;
                    let text = Bytes::from(self.status_frame(number, &change));
                    if streams.kept.len() == MAX_KEPT {
                        streams.kept.pop_front();
                    }
                    streams.kept.push_back((number, text.clone()));
                    streams.send(Frame {
                        is_update: false,
                        text,
                    });
                }
                // They had their numbers, too: a gap shows.
                Err(TryRecvError::Lagged(lost)) => {
                    streams.last_number += lost;
                    streams.kept.clear();
                }
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
            }
        }
    }

    fn status_frame(&self, number: u64, change: &StatusEvent) -> String {
        let problem = change.problem.as_deref();
        let data = serde_json::json!({
            "service": change.service.as_str(),
            "old": change.old.as_str(),
            "new": change.new.as_str(),
            "since": page::rfc3339(change.since),
            "check": change.check.as_ref().map(|check| check.as_str()),
            "reason": problem.map(|problem| problem.reason.as_str()),
            "message": problem.map(|problem| problem.message()),
        });
        format!("id: {:x}-{number}\nevent: status\ndata: {data}\n\n", self.epoch)
    }
}

impl Streams {
    fn send(&self, frame: Frame) {
        if let Some(frames) = &self.frames {
            // An error says that nobody listens.
            let _ = frames.send(frame);
        }
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live")
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}

/// A stream's place among the few that there are.
pub(super) struct Slot {
    live: Arc<Live>,
    pub wants_updates: bool,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut streams = self.live.streams();
        streams.open -= 1;
        streams.want_updates -= usize::from(self.wants_updates);
    }
}

/// Tells changes as they come and updates each second, until nobody listens.
async fn drive(state: Arc<State>) {
    let live = &state.live;
    let mut changes = (live.subscribe)();
    let mut has_changes = true;
    let mut seconds = interval(UPDATE_INTERVAL);
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut rows = Rows::default();
    loop {
        tokio::select! {
            change = changes.recv(), if has_changes => {
                has_changes = !matches!(change, Err(RecvError::Closed));
                live.tell_changes(&mut live.streams());
            }
            _ = seconds.tick() => {
                let wants_updates = {
                    let mut streams = live.streams();
                    if streams.open == 0 || streams.frames.is_none() {
                        streams.is_driven = false;
                        return;
                    }
                    streams.want_updates > 0
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
                if let Some(text) = text {
                    live.streams().send(Frame { is_update: true, text: text.into() });
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
            live: Live::without_store(),
            telemetry_path: "/metrics".into(),
            prober: Arc::new(crate::probe::Prober::new(
                Shared::new("/proc".into()),
                Duration::ZERO,
            )),
            bodies: crate::web::Bodies::default(),
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
        let mut stream = Live::open(&state, None, false).unwrap();
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
        let mut stream = Live::open(&state, None, true).unwrap();
        for number in 0..=MAX_LAG {
            let text = Bytes::from(number.to_string());
            state.live.streams().send(Frame {
                is_update: true,
                text,
            });
        }
        let mut pieces = 0;
        while piece(&mut stream).await.is_some() {
            pieces += 1;
            assert!(pieces < 10, "it goes on");
        }
        assert!(state.live.streams().is_driven);
        drop(stream);
        sleep(Duration::from_secs(3)).await;
        let streams = state.live.streams();
        assert_eq!(
            (streams.open, streams.want_updates, streams.is_driven),
            (0, 0, false)
        );
    }
}
