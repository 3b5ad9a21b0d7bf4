//! A stream of server-sent events to one client, in chunks.

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

/// After this time without an event, a comment is sent, so that either side detects when the other one is gone.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(15);
/// A comment, which clients ignore.
const COMMENT: &[u8] = b":\n\n";

/// The events for one client. Ends when the server stops, the client lags too far behind, or the stream is evicted.
pub(super) struct EventStream {
    events: Pin<Box<dyn Stream<Item = Bytes> + Send>>,
    /// The rest of the event that is being sent. The memory is shared with all other streams.
    rest: Bytes,
}

impl EventStream {
    /// Creates a stream that begins with `first`. Status `changes` follow, and `updates` of the overview if the client wants them.
    /// Drops `slot` when it ends.
    pub fn new(
        first: Bytes,
        changes: Receiver<Bytes>,
        updates: Option<Receiver<Bytes>>,
        evicted: Arc<Notify>,
        slot: impl Send + 'static,
    ) -> Self {
        let due = Instant::now() + KEEP_ALIVE_INTERVAL;
        let state = (changes, updates, evicted, slot, due);
        let events = unfold(
            state,
            |(mut changes, mut updates, evicted, slot, due)| async move {
                let text = tokio::select! {
                    // An error means that the stream lags or the server stops. The client reconnects and gets what it missed.
                    text = changes.recv() => text.ok()?,
                    text = next(&mut updates) => text?,
                    () = evicted.notified() => return None,
                    () = sleep_until(due) => Bytes::from_static(COMMENT),
                };
                let due = Instant::now() + KEEP_ALIVE_INTERVAL;
                Some((text, (changes, updates, evicted, slot, due)))
            },
        );
        Self {
            events: Box::pin(events),
            rest: first,
        }
    }

    /// Returns the next chunk, of at most `max` bytes.
    pub fn poll_chunk(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<Option<Bytes>> {
        if self.rest.is_empty() {
            match ready!(self.events.as_mut().poll_next(cx)) {
                Some(text) => self.rest = text,
                None => return Poll::Ready(None),
            }
        }
        let length = self.rest.len().min(max);
        Poll::Ready(Some(self.rest.split_to(length)))
    }
}

/// Waits for the next update; forever on a stream without updates.
async fn next(updates: &mut Option<Receiver<Bytes>>) -> Option<Bytes> {
    match updates {
        Some(updates) => updates.recv().await.ok(),
        None => pending().await,
    }
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream")
            .field("rest", &self.rest.len())
            .finish_non_exhaustive()
    }
}
