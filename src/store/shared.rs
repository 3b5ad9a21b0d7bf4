//! The data that the store shares with the thread that saves it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::broadcast;

use super::events::StatusEvent;
use super::histogram::Lags;
use super::saved::SavedState;
use super::state::StoreState;
use crate::model::{Clock, Moment, WallAnchor};

/// How many status changes a subscriber may lag behind before it loses the oldest.
pub const STATUS_EVENTS: usize = 256;

/// The data that the store shares with the thread that saves it.
pub struct StoreShared {
    pub clock: Arc<dyn Clock>,
    state: Mutex<StoreState>,
    /// See [`super::Store::generation`].
    pub generation: AtomicU64,
    /// See [`super::Store::changes`].
    pub changes: AtomicU64,
    /// The number of runs in progress.
    pub in_flight: AtomicU64,
    pub lags: Lags,
    pub status_events: broadcast::Sender<StatusEvent>,
}

impl std::fmt::Debug for StoreShared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreShared")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl StoreShared {
    /// Creates the data, with the state that was saved.
    pub fn new(clock: Arc<dyn Clock>, wall: WallAnchor, saved: SavedState, now: Moment) -> Self {
        Self {
            state: Mutex::new(StoreState::new(wall, saved, now)),
            clock,
            generation: AtomicU64::new(0),
            changes: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            lags: Lags::default(),
            status_events: broadcast::Sender::new(STATUS_EVENTS),
        }
    }

    /// Locks the state. No change under the lock can be left incomplete, so poisoning is ignored.
    pub fn state(&self) -> MutexGuard<'_, StoreState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the generation, because a snapshot would now differ from the previous one.
    pub fn touch(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }
}
