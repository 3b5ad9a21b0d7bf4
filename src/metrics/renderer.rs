//! Renders for scrapes: never older than the scrape, once for all that wait, and off the runtime's workers.

use std::collections::HashMap;
use std::fmt;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::sync::oneshot;

use super::body::{Ledger, RenderedBody};
use super::{OwnProcess, to_classic, to_openmetrics};
use crate::store::Snapshot;

/// An exposition format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// The classic text format, 0.0.4.
    Classic,
}

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// Not at all.
    Identity,
    /// With gzip.
    Gzip,
}

/// What a scrape asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Variant {
    /// The format.
    pub format: Format,
    /// The compression.
    pub encoding: Encoding,
}

/// Says that a rendering panicked or ended with its runtime; the log has more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("rendering the metrics failed inside the exporter; its log says why")]
pub struct RenderError;

type Waiter = (Variant, oneshot::Sender<Arc<RenderedBody>>);
type Waiters = HashMap<Variant, Vec<oneshot::Sender<Arc<RenderedBody>>>>;

#[derive(Default)]
struct Queue {
    /// Scrapes that came after the rendering under way began.
    waiting: Vec<Waiter>,
    is_running: bool,
}

/// Renders snapshots for scrapes. One rendering is under way at a time. The scrapes that arrive meanwhile share the next
/// one, so that each gets a state of affairs no older than itself.
pub struct Renderer {
    source: Box<dyn Fn() -> Snapshot + Send + Sync>,
    queue: Mutex<Queue>,
    ledger: Ledger,
    /// How long the last text was, in bytes.
    last_length: AtomicUsize,
}

impl Renderer {
    /// A renderer of what `source` returns; it is called once a rendering, on a thread that may block.
    pub fn new(source: impl Fn() -> Snapshot + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            source: Box::new(source),
            queue: Mutex::default(),
            ledger: Ledger::default(),
            last_length: AtomicUsize::new(0),
        })
    }

    /// A body whose rendering began after this call.
    ///
    /// # Errors
    /// When the rendering panicked.
    pub async fn render(self: &Arc<Self>, variant: Variant) -> Result<Arc<RenderedBody>, RenderError> {
        let (sender, receiver) = oneshot::channel();
        {
            let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
            queue.waiting.push((variant, sender));
            if !queue.is_running {
                queue.is_running = true;
                let renderer = Arc::clone(self);
                drop(tokio::task::spawn_blocking(move || renderer.run()));
            }
        }
        receiver.await.map_err(|_| RenderError)
    }

    /// Renders batch after batch until nobody waits.
    fn run(&self) {
        loop {
            let batch = {
                let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
                queue.is_running = !queue.waiting.is_empty();
                std::mem::take(&mut queue.waiting)
            };
            if batch.is_empty() {
                return;
            }
            // Senders that a panic drops tell their scrapes. The panic itself is logged by the hook.
            let rendered = catch_unwind(AssertUnwindSafe(|| self.render_batch(batch)));
            if !matches!(rendered, Ok(Ok(()))) {
                tracing::error!("rendering the metrics failed");
            }
        }
    }

    fn render_batch(&self, batch: Vec<Waiter>) -> Result<(), fmt::Error> {
        let capacity = self.last_length.load(Ordering::Relaxed);
        let text = to_openmetrics((self.source)(), OwnProcess::read().ok(), capacity)?;
        self.last_length
            .store(text.len() + text.len() / 16, Ordering::Relaxed);
        let mut waiters = Waiters::new();
        for (variant, sender) in batch {
            waiters.entry(variant).or_default().push(sender);
        }
        let plain = |format| Variant {
            format,
            encoding: Encoding::Identity,
        };
        let gzipped = |format| Variant {
            format,
            encoding: Encoding::Gzip,
        };
        self.deliver(&mut waiters, gzipped(Format::OpenMetrics), || {
            gzip(text.as_bytes())
        });
        if waiters.keys().any(|variant| variant.format == Format::Classic) {
            let classic = to_classic(&text);
            self.deliver(&mut waiters, gzipped(Format::Classic), || {
                gzip(classic.as_bytes())
            });
            self.deliver(&mut waiters, plain(Format::Classic), || classic.into_bytes());
        }
        self.deliver(&mut waiters, plain(Format::OpenMetrics), || text.into_bytes());
        Ok(())
    }

    /// Makes the body of a variant, if anybody still waits for it, and hands it to all of them.
    fn deliver(&self, waiters: &mut Waiters, variant: Variant, body: impl FnOnce() -> Vec<u8>) {
        let mut senders = waiters.remove(&variant).unwrap_or_default();
        senders.retain(|sender| !sender.is_closed());
        if senders.is_empty() {
            return;
        }
        let document = self.ledger.add(body());
        for sender in senders {
            // Who left meanwhile needs nothing.
            let _ = sender.send(Arc::clone(&document));
        }
    }
}

impl fmt::Debug for Renderer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renderer").finish_non_exhaustive()
    }
}

/// Compresses fast rather than well: metrics shrink to a tenth in any case.
pub fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 8), Compression::fast());
    let written = encoder.write_all(text);
    // Writing to a vector does not fail.
    written.and_then(|()| encoder.finish()).unwrap_or_default()
}
