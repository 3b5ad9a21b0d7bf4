//! Renders `/metrics`.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Exposition, Format, Input, OwnProcess};

/// Renders the current state.
pub struct Renderer {
    source: Box<dyn Fn() -> Input + Send + Sync>,
    /// An estimate of the length of the next body of each format in bytes: that of the last one, and some more.
    capacities: [AtomicUsize; 3],
}

impl Renderer {
    /// Creates a renderer that calls `source` once per rendering.
    pub fn new<I: Into<Input>>(source: impl Fn() -> I + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            source: Box::new(move || source().into()),
            capacities: Default::default(),
        })
    }

    /// Renders the state at the time of the call. Blocks while it collects the state and reads `/proc`.
    pub fn render(&self, format: Format) -> Vec<u8> {
        let capacity = &self.capacities[format as usize];
        let body = self
            .exposition()
            .to_bytes(format, capacity.load(Ordering::Relaxed));
        capacity.store(body.len() + body.len() / 16, Ordering::Relaxed);
        body
    }

    /// Renders like [`Self::render`], but passes the result on to `sink` in pieces, so that it is not in memory as a whole.
    pub fn render_in_pieces(&self, format: Format, sink: &mut dyn FnMut(&[u8])) {
        self.exposition().to_pieces(format, sink);
    }

    fn exposition(&self) -> Exposition {
        Exposition::new((self.source)(), OwnProcess::read().ok())
    }
}

impl fmt::Debug for Renderer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renderer").finish_non_exhaustive()
    }
}
