//! The rendered bodies of all documents.

use std::sync::Arc;

use super::rendered_body::Ledger;
use super::single_flight::SingleFlight;

/// Renders bodies and shares them among requests. All bodies together have one memory budget.
#[derive(Debug)]
pub struct BodyCache {
    /// Renders metrics. Apart from the other documents, so that no number of requests for those delays a scrape.
    pub(super) metrics: SingleFlight,
    /// Renders metrics of processes. Apart from the others, because a scan can be stuck.
    pub(super) processes: SingleFlight,
    /// Renders pages and JSON.
    pub(super) documents: SingleFlight,
}

impl Default for BodyCache {
    fn default() -> Self {
        let ledger = Arc::<Ledger>::default();
        Self {
            metrics: SingleFlight::new(Arc::clone(&ledger)),
            processes: SingleFlight::new(Arc::clone(&ledger)),
            documents: SingleFlight::new(ledger),
        }
    }
}
