//! Renders `/metrics`.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{OwnProcess, to_classic, to_openmetrics};
use crate::store::Snapshot;

/// An exposition format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// The classic text format, 0.0.4.
    Classic,
}

/// Renders the current snapshot.
pub struct Renderer {
    source: Box<dyn Fn() -> Snapshot + Send + Sync>,
    /// An estimate of the next text's length in bytes: that of the last one, and some more.
    capacity: AtomicUsize,
}

impl Renderer {
    /// Creates a renderer that takes one snapshot from `source` per rendering.
    pub fn new(source: impl Fn() -> Snapshot + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            source: Box::new(source),
            capacity: AtomicUsize::new(0),
        })
    }

    /// Renders a snapshot taken now. Blocks while it takes the snapshot and reads `/proc`.
    ///
    /// # Errors
    /// When a value can't be formatted.
    pub fn render(&self, format: Format) -> Result<Vec<u8>, fmt::Error> {
        let capacity = self.capacity.load(Ordering::Relaxed);
        let text = to_openmetrics((self.source)(), OwnProcess::read().ok(), capacity)?;
        self.capacity
            .store(text.len() + text.len() / 16, Ordering::Relaxed);
        Ok(match format {
            Format::OpenMetrics => text,
            Format::Classic => to_classic(&text),
        }
        .into_bytes())
    }
}

impl fmt::Debug for Renderer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renderer").finish_non_exhaustive()
    }
}
