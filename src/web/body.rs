//! The body of a response.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use super::connections::Activity;
use super::event_stream::EventStream;
use super::rendered_body::{RenderedBody, Revoked};

/// How many bytes hyper gets at once. If the client does not read, hyper buffers about as much again over HTTP/2, and 32 kB
/// over HTTP/1.1.
const CHUNK_BYTES: usize = 8 * 1024;

/// The content of a response.
#[derive(Debug)]
pub(super) enum Content {
    /// A text that is short or static.
    Text(Bytes),
    /// Rendered metrics, pages and JSON, which may be revoked.
    Rendered(Arc<RenderedBody>),
    /// A stream of events.
    Events(EventStream),
}

/// The body of a response. Its connection is busy until the body is dropped.
#[derive(Debug)]
pub(super) struct ResponseBody {
    content: Content,
    sent: usize,
    in_progress: ResponseInProgress,
}

impl ResponseBody {
    pub const fn new(content: Content, in_progress: ResponseInProgress) -> Self {
        Self {
            content,
            sent: 0,
            in_progress,
        }
    }

    /// Returns the length in bytes; unknown for events.
    fn length(&self) -> Option<usize> {
        match &self.content {
            Content::Text(text) => Some(text.len()),
            Content::Rendered(body) => Some(body.length()),
            Content::Events(_) => None,
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Revoked;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Revoked>>> {
        // The previous chunk has been sent when the next one is polled.
        self.in_progress.set_stalled(false);
        if self.is_end_stream() {
            return Poll::Ready(None);
        }
        let sent = self.sent;
        let chunk = match &mut self.content {
            Content::Events(events) => {
                let chunk = ready!(events.poll_chunk(cx, CHUNK_BYTES));
                self.in_progress.set_stalled(chunk.is_some());
                return Poll::Ready(chunk.map(|chunk| Ok(Frame::data(chunk))));
            }
            Content::Text(text) => Ok(text.slice(sent..)),
            Content::Rendered(body) => body.chunk(sent, CHUNK_BYTES),
        };
        self.in_progress.set_stalled(true);
        Poll::Ready(Some(chunk.map(|chunk| {
            self.sent += chunk.len();
            Frame::data(chunk)
        })))
    }

    fn is_end_stream(&self) -> bool {
        self.length().is_some_and(|length| self.sent >= length)
    }

    fn size_hint(&self) -> SizeHint {
        match self.length() {
            Some(length) => SizeHint::with_exact(length.saturating_sub(self.sent) as u64),
            None => SizeHint::default(),
        }
    }
}

/// Marks a connection as busy until it is dropped.
#[derive(Debug)]
pub(super) struct ResponseInProgress {
    activity: Arc<Activity>,
    is_stalled: bool,
}

impl ResponseInProgress {
    pub fn new(activity: &Arc<Activity>) -> Self {
        activity.begin_response();
        Self {
            activity: Arc::clone(activity),
            is_stalled: false,
        }
    }

    /// Sets whether a chunk of the response waits for the client.
    fn set_stalled(&mut self, is_stalled: bool) {
        match (self.is_stalled, is_stalled) {
            (false, true) => self.activity.begin_stall(),
            (true, false) => self.activity.end_stall(),
            _ => return,
        }
        self.is_stalled = is_stalled;
    }
}

impl Drop for ResponseInProgress {
    fn drop(&mut self) {
        self.set_stalled(false);
        self.activity.end_response();
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;
    use crate::web::connections::Phase;

    fn is_stalled(activity: &Activity) -> bool {
        activity.phase_and_stall().2
    }

    #[test]
    fn a_chunk_is_stalled_until_the_next_one_is_polled() {
        let activity = Activity::new();
        let text = Bytes::from_static(b"x");
        let mut body = ResponseBody::new(Content::Text(text), ResponseInProgress::new(&activity));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(!is_stalled(&activity));
        assert!(Pin::new(&mut body).poll_frame(&mut cx).is_ready());
        assert!(is_stalled(&activity) && activity.phase().0 == Phase::Busy);
        assert!(Pin::new(&mut body).poll_frame(&mut cx).is_ready());
        assert!(!is_stalled(&activity));

        let text = Bytes::from_static(b"x");
        let mut other = ResponseBody::new(Content::Text(text), ResponseInProgress::new(&activity));
        assert!(Pin::new(&mut other).poll_frame(&mut cx).is_ready());
        drop(body);
        assert!(is_stalled(&activity));
        drop(other);
        assert!(!is_stalled(&activity) && activity.phase().0 == Phase::Finishing);
    }
}
