//! Renders `/metrics`.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Exposition, Format, Input, OwnProcess};

/// Renders the current state.
pub struct Renderer {
    source: Box<dyn Fn() -> Input + Send + Sync>,
    /// An estimate of the length of the next text in bytes: that of the last text, and some more.
    capacity: AtomicUsize,
}

impl Renderer {
    /// Creates a renderer that calls `source` once per rendering.
    pub fn new<I: Into<Input>>(source: impl Fn() -> I + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            source: Box::new(move || source().into()),
            capacity: AtomicUsize::new(0),
        })
    }

    /// Renders the state at the time of the call. Blocks while it collects the state and reads `/proc`.
    pub fn render(&self, format: Format) -> Vec<u8> {
        let exposition = Exposition::new((self.source)(), OwnProcess::read().ok());
        let text = exposition.to_text(format, self.capacity.load(Ordering::Relaxed));
        self.capacity
            .store(text.len() + text.len() / 16, Ordering::Relaxed);
        text.into_bytes()
    }
}

impl fmt::Debug for Renderer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renderer").finish_non_exhaustive()
    }
}
