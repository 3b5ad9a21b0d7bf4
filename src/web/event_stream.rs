//! One client's stream of server-sent events, piece by piece.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::sync::broadcast::Receiver;
use tokio::time::{Instant, sleep_until};

use super::live::{Frame, Slot};

/// How long a stream is silent at most, so that neither side takes the other for gone.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// A comment, which clients ignore.
const COMMENT: &[u8] = b":\n\n";

/// The events for one client. It ends when the server stops, and when the client lags too far behind.
pub(super) struct EventStream {
    events: Pin<Box<dyn Stream<Item = Bytes> + Send>>,
    /// What is left of the event that is being sent; shared with all other streams.
    left: Bytes,
}

impl EventStream {
    pub fn new(first: Bytes, frames: Receiver<Frame>, slot: Slot) -> Self {
        let due = Instant::now() + HEARTBEAT;
        let events = unfold((frames, slot, due), |(mut frames, slot, due)| async move {
            loop {
                let text = tokio::select! {
                    frame = frames.recv() => match frame {
                        Ok(frame) if frame.is_update && !slot.wants_updates => continue,
                        Ok(frame) => frame.text,
                        // It lags, or the server stops. It comes back, and gets what it missed.
                        Err(_) => return None,
                    },
                    () = sleep_until(due) => Bytes::from_static(COMMENT),
                };
                let due = Instant::now() + HEARTBEAT;
                return Some((text, (frames, slot, due)));
            }
        });
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

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream")
            .field("left", &self.left.len())
            .finish_non_exhaustive()
    }
}
