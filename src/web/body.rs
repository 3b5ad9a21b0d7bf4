//! The body of a response.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use super::connections::Activity;
use super::event_stream::EventStream;
use super::rendered_body::{RenderedBody, Revoked};

/// How much is handed to hyper at once, in bytes. For a client that does not read, it holds about as much again over HTTP/2,
/// and 32 kB over HTTP/1.1.
const CHUNK_BYTES: usize = 8 * 1024;

/// What a response consists of.
#[derive(Debug)]
pub(super) enum Content {
    /// A text that is short or always there.
    Text(Bytes),
    /// Rendered metrics, pages and JSON, which may be taken back.
    Rendered(Arc<RenderedBody>),
    /// Events, as they come.
    Events(EventStream),
}

/// A response's body. Its connection counts as busy until it is dropped.
#[derive(Debug)]
pub(super) struct ResponseBody {
    content: Content,
    sent: usize,
    answering: Answering,
}

impl ResponseBody {
    pub const fn new(content: Content, answering: Answering) -> Self {
        Self {
            content,
            sent: 0,
            answering,
        }
    }

    /// How long it is; nobody knows that of events.
    fn length(&self) -> Option<usize> {
        match &self.content {
            Content::Text(text) => Some(text.len()),
            Content::Rendered(document) => Some(document.length()),
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
        // Who asks for a piece took the one before.
        self.answering.owe(false);
        if self.is_end_stream() {
            return Poll::Ready(None);
        }
        let sent = self.sent;
        let chunk = match &mut self.content {
            Content::Events(events) => {
                let piece = ready!(events.poll_piece(cx, CHUNK_BYTES));
                self.answering.owe(piece.is_some());
                return Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))));
            }
            Content::Text(text) => Ok(text.slice(sent..)),
            Content::Rendered(document) => document.chunk(sent, CHUNK_BYTES),
        };
        self.answering.owe(true);
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

/// Marks a connection as busy from its making to its drop.
#[derive(Debug)]
pub(super) struct Answering {
    activity: Arc<Activity>,
    is_owing: bool,
}

impl Answering {
    pub fn new(activity: &Arc<Activity>) -> Self {
        activity.begin_answer();
        Self {
            activity: Arc::clone(activity),
            is_owing: false,
        }
    }

    /// Whether a piece of the answer waits for the client from now on.
    fn owe(&mut self, is_owing: bool) {
        match (self.is_owing, is_owing) {
            (false, true) => self.activity.begin_owing(),
            (true, false) => self.activity.end_owing(),
            _ => return,
        }
        self.is_owing = is_owing;
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.owe(false);
        self.activity.end_answer();
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;
    use crate::web::connections::Phase;

    fn owes(activity: &Activity) -> bool {
        activity.owes().2
    }

    #[test]
    fn a_piece_is_owed_until_the_next_one_is_asked_for() {
        let activity = Activity::new();
        let text = Bytes::from_static(b"x");
        let mut body = ResponseBody::new(Content::Text(text), Answering::new(&activity));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(!owes(&activity));
        assert!(Pin::new(&mut body).poll_frame(&mut cx).is_ready());
        assert!(owes(&activity) && activity.get().0 == Phase::Busy);
        assert!(Pin::new(&mut body).poll_frame(&mut cx).is_ready());
        assert!(!owes(&activity));

        let text = Bytes::from_static(b"x");
        let mut other = ResponseBody::new(Content::Text(text), Answering::new(&activity));
        assert!(Pin::new(&mut other).poll_frame(&mut cx).is_ready());
        drop(body);
        assert!(owes(&activity));
        drop(other);
        assert!(!owes(&activity) && activity.get().0 == Phase::Finishing);
    }
}
