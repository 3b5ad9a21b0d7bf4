//! One client's stream of server-sent events, piece by piece.

use std::fmt;
use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::sync::Notify;
use tokio::sync::broadcast::Receiver;
use tokio::time::{Instant, sleep_until};

use super::event_hub::Slot;

/// How long a stream is silent at most, so that neither side takes the other for gone.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// A comment, which clients ignore.
const COMMENT: &[u8] = b":\n\n";

/// The events for one client. It ends when the server stops, when the client lags too far behind, and when its place is needed.
pub(super) struct EventStream {
    events: Pin<Box<dyn Stream<Item = Bytes> + Send>>,
    /// What is left of the event that is being sent; shared with all other streams.
    left: Bytes,
}

impl EventStream {
    /// The stream that begins with `first`, until it is evicted.
    pub fn new(
        first: Bytes,
        changes: Receiver<Bytes>,
        updates: Option<Receiver<Bytes>>,
        evicted: Arc<Notify>,
        slot: Slot,
    ) -> Self {
        let due = Instant::now() + HEARTBEAT;
        let state = (changes, updates, evicted, slot, due);
        let events = unfold(
            state,
            |(mut changes, mut updates, evicted, slot, due)| async move {
                let text = tokio::select! {
                    // It lags, or the server stops: it ends, and its client comes back for what it missed.
                    text = changes.recv() => text.ok()?,
                    text = next(&mut updates) => text?,
                    () = evicted.notified() => return None,
                    () = sleep_until(due) => Bytes::from_static(COMMENT),
                };
                let due = Instant::now() + HEARTBEAT;
                Some((text, (changes, updates, evicted, slot, due)))
            },
        );
        Self {
            events: Box::pin(events),
            left: first,
        }
    }

    /// The next piece, of at most `most` bytes.
    pub fn poll_piece(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<Option<Bytes>> {
        if self.left.is_empty() {
            match ready!(self.events.as_mut().poll_next(cx)) {
                Some(text) => self.left = text,
                None => return Poll::Ready(None),
            }
        }
        let length = self.left.len().min(most);
        Poll::Ready(Some(self.left.split_to(length)))
    }
}

/// The next update, where they are wanted.
async fn next(updates: &mut Option<Receiver<Bytes>>) -> Option<Bytes> {
    match updates {
        Some(updates) => updates.recv().await.ok(),
        None => pending().await,
    }
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream")
            .field("left", &self.left.len())
            .finish_non_exhaustive()
    }
}
