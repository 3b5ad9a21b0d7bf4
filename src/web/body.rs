//! The body of a response.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use super::connections::Activity;
use crate::metrics::{Document, Revoked};

/// How much is handed to hyper at once, in bytes; it holds about twice as much for a client that does not read.
const CHUNK_BYTES: usize = 32 * 1024;

/// What a response consists of.
#[derive(Debug)]
pub(super) enum Content {
    /// A short text.
    Text(Bytes),
    /// Rendered metrics.
    Document(Arc<Document>),
}

/// A response's body. Its connection counts as busy until it is dropped.
#[derive(Debug)]
pub(super) struct ResponseBody {
    content: Content,
    sent: usize,
    _answering: Answering,
}

impl ResponseBody {
    pub const fn new(content: Content, answering: Answering) -> Self {
        Self {
            content,
            sent: 0,
            _answering: answering,
        }
    }

    fn length(&self) -> usize {
        match &self.content {
            Content::Text(text) => text.len(),
            Content::Document(document) => document.length(),
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Revoked;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Revoked>>> {
        if self.is_end_stream() {
            return Poll::Ready(None);
        }
        let chunk = match &self.content {
            Content::Text(text) => Ok(text.slice(self.sent..)),
            Content::Document(document) => document.chunk(self.sent, CHUNK_BYTES),
        };
        Poll::Ready(Some(chunk.map(|chunk| {
            self.sent += chunk.len();
            Frame::data(chunk)
        })))
    }

    fn is_end_stream(&self) -> bool {
        self.sent >= self.length()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length().saturating_sub(self.sent) as u64)
    }
}

/// Marks a connection as busy from its making to its drop.
#[derive(Debug)]
pub(super) struct Answering(Arc<Activity>);

impl Answering {
    pub fn new(activity: &Arc<Activity>) -> Self {
        activity.begin_answer();
        Self(Arc::clone(activity))
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.end_answer();
    }
}
