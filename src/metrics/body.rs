//! Rendered bodies, and a bound on the memory they take together.
//!
//! A body lives as long as a response sends it. Clients that read slowly could make many of them live at once; then the
//! oldest ones are taken back, and their responses break off.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;

/// The most bytes that bodies take together; the newest few are left alone even if they take more.
const MAX_LIVE_BYTES: usize = 64 * 1024 * 1024;
/// How many of the newest bodies are left alone: one of each variant.
const ALWAYS_LIVE: usize = 4;

/// Says that a body was taken back because newer ones need its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the response was read too slowly, and its memory is needed for newer ones")]
pub struct Revoked;

/// A rendered body.
#[derive(Debug)]
pub struct RenderedBody {
    body: Mutex<Option<Arc<Vec<u8>>>>,
    length: usize,
}

impl RenderedBody {
    fn new(body: Vec<u8>) -> Self {
        Self {
            length: body.len(),
            body: Mutex::new(Some(Arc::new(body))),
        }
    }

    /// Its length in bytes.
    pub const fn length(&self) -> usize {
        self.length
    }

    /// A copy of at most `most` bytes from `start` on, so that whoever sends it does not hold the whole.
    ///
    /// # Errors
    /// When the body was taken back.
    pub fn chunk(&self, start: usize, most: usize) -> Result<Bytes, Revoked> {
        let body = self.lock().clone().ok_or(Revoked)?;
        let end = start.saturating_add(most).min(body.len());
        Ok(Bytes::copy_from_slice(body.get(start..end).unwrap_or_default()))
    }

    fn revoke(&self) {
        self.lock().take();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Arc<Vec<u8>>>> {
        self.body.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bodies that live.
#[derive(Debug, Default)]
pub struct Ledger {
    live: Mutex<VecDeque<Weak<RenderedBody>>>,
}

impl Ledger {
    /// Makes a document of a body, and takes old ones back where that is needed.
    pub fn add(&self, body: Vec<u8>) -> Arc<RenderedBody> {
        let document = Arc::new(RenderedBody::new(body));
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        live.retain(|known| known.strong_count() > 0);
        live.push_back(Arc::downgrade(&document));
        let length = |known: &Weak<RenderedBody>| known.upgrade().map_or(0, |known| known.length());
        let mut bytes: usize = live.iter().map(length).sum();
        while bytes > MAX_LIVE_BYTES && live.len() > ALWAYS_LIVE {
            if let Some(oldest) = live.pop_front().and_then(|oldest| oldest.upgrade()) {
                bytes -= oldest.length();
                oldest.revoke();
            }
        }
        document
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_make_up_the_body() {
        let document = RenderedBody::new((0..=255).collect());
        let mut body = Vec::new();
        while body.len() < document.length() {
            body.extend_from_slice(&document.chunk(body.len(), 100).unwrap());
        }
        assert_eq!(body, (0..=255).collect::<Vec<u8>>());
        assert_eq!(document.chunk(256, 100), Ok(Bytes::new()));
        assert_eq!(document.chunk(999, 100), Ok(Bytes::new()));
    }

    #[test]
    fn the_oldest_bodies_are_taken_back_when_they_take_too_much() {
        let ledger = Ledger::default();
        let held: Vec<_> = (0..6).map(|_| ledger.add(vec![0; 15 << 20])).collect();
        let alive = held.iter().map(|document| document.chunk(0, 1).is_ok());
        assert_eq!(alive.collect::<Vec<_>>(), [false, false, true, true, true, true]);
    }

    #[test]
    fn bodies_nobody_reads_do_not_count() {
        let ledger = Ledger::default();
        let first = ledger.add(vec![0; 1 << 20]);
        for _ in 0..20 {
            drop(ledger.add(vec![0; 30 << 20]));
        }
        assert!(first.chunk(0, 1).is_ok());
    }
}
