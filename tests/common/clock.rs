//! A clock that follows tokio's time.

use std::sync::Arc;

use tokio::time::Instant;
use upkeep_exporter::model::{Clock, Moment};

/// A clock whose monotonic and wall time follow tokio's time, which a test may pause.
pub struct TokioClock {
    zero: Instant,
}

impl TokioClock {
    /// A clock that starts now, at the Unix time 1,700,000,000.
    pub fn new() -> Arc<Self> {
        Arc::new(Self { zero: Instant::now() })
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Moment {
        self.moment(Instant::now())
    }

    fn wall_nanos(&self) -> i64 {
        1_700_000_000_000_000_000 + self.now().as_nanos()
    }

    fn moment(&self, instant: Instant) -> Moment {
        Moment::default() + instant.duration_since(self.zero)
    }
}
