//! Rendered bodies, and their memory budget.
//!
//! A body lives as long as a response sends it. Clients that read slowly could keep many bodies alive. When these exceed the
//! budget, the oldest ones are revoked, which aborts their responses.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;

/// The maximum number of bytes that bodies take together. The newest [`MIN_LIVE`] bodies may exceed it.
const MAX_LIVE_BYTES: usize = 64 * 1024 * 1024;
/// How many of the newest bodies are never revoked: as many as `/metrics` has variants, by format and encoding.
const MIN_LIVE: usize = 4;

/// The body was revoked because newer ones need its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the client read the response too slowly, and newer responses need its memory")]
pub struct Revoked;

/// A rendered body.
#[derive(Debug)]
pub struct RenderedBody {
    /// `None` once revoked.
    bytes: Mutex<Option<Arc<Vec<u8>>>>,
    length: usize,
}

impl RenderedBody {
    fn new(bytes: Vec<u8>) -> Self {
        Self {
            length: bytes.len(),
            bytes: Mutex::new(Some(Arc::new(bytes))),
        }
    }

    /// Returns the length in bytes.
    pub const fn length(&self) -> usize {
        self.length
    }

    /// Copies at most `max` bytes from `start` on. A copy lets a response be sent without holding the whole body.
    ///
    /// # Errors
    /// When the body was revoked.
    pub fn chunk(&self, start: usize, max: usize) -> Result<Bytes, Revoked> {
        let bytes = self.lock().clone().ok_or(Revoked)?;
        let end = start.saturating_add(max).min(bytes.len());
        Ok(Bytes::copy_from_slice(bytes.get(start..end).unwrap_or_default()))
    }

    /// Reports whether the body was revoked.
    pub fn is_revoked(&self) -> bool {
        self.lock().is_none()
    }

    fn revoke(&self) {
        self.lock().take();
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Vec<u8>>>> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The live bodies, oldest first.
#[derive(Debug, Default)]
pub struct Ledger {
    live: Mutex<VecDeque<Weak<RenderedBody>>>,
}

impl Ledger {
    /// Adds a body, and revokes old ones if the budget is exceeded.
    pub fn add(&self, bytes: Vec<u8>) -> Arc<RenderedBody> {
        let body = Arc::new(RenderedBody::new(bytes));
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        live.retain(|known| known.strong_count() > 0);
        live.push_back(Arc::downgrade(&body));
        let length = |known: &Weak<RenderedBody>| known.upgrade().map_or(0, |known| known.length());
        let mut total: usize = live.iter().map(length).sum();
        while total > MAX_LIVE_BYTES && live.len() > MIN_LIVE {
            if let Some(oldest) = live.pop_front().and_then(|oldest| oldest.upgrade()) {
                total -= oldest.length();
                oldest.revoke();
            }
        }
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_make_up_the_body() {
        let body = RenderedBody::new((0..=255).collect());
        let mut bytes = Vec::new();
        while bytes.len() < body.length() {
            bytes.extend_from_slice(&body.chunk(bytes.len(), 100).unwrap());
        }
        assert_eq!(bytes, (0..=255).collect::<Vec<u8>>());
        assert_eq!(body.chunk(256, 100), Ok(Bytes::new()));
        assert_eq!(body.chunk(999, 100), Ok(Bytes::new()));
    }

    #[test]
    fn the_oldest_bodies_are_revoked_when_they_exceed_the_budget() {
        let ledger = Ledger::default();
        let bodies: Vec<_> = (0..6).map(|_| ledger.add(vec![0; 15 << 20])).collect();
        let alive = bodies.iter().map(|body| body.chunk(0, 1).is_ok());
        assert_eq!(alive.collect::<Vec<_>>(), [false, false, true, true, true, true]);
    }

    #[test]
    fn dropped_bodies_do_not_count() {
        let ledger = Ledger::default();
        let first = ledger.add(vec![0; 1 << 20]);
        for _ in 0..20 {
            drop(ledger.add(vec![0; 30 << 20]));
        }
        assert!(first.chunk(0, 1).is_ok());
    }
}
