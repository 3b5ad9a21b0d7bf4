//! Bounds how many bytes a run reads from its connections.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The number of bytes that a run may still read. The check renews it at the start of a run, and its streams count it
/// down. Clones share the count.
#[derive(Clone, Debug)]
pub struct ReadBudget {
    left: Arc<AtomicU64>,
    per_run: u64,
}

/// The peer sent more in one run than the budget allows.
#[derive(Debug, thiserror::Error)]
#[error("it sent more than {per_run} bytes")]
pub struct ReadLimitExceeded {
    per_run: u64,
}

impl ReadBudget {
    /// A budget of `per_run` bytes for every run.
    pub fn new(per_run: u64) -> Self {
        Self {
            left: Arc::new(AtomicU64::new(per_run)),
            per_run,
        }
    }

    /// Restores the full budget at the start of a run.
    pub fn renew(&self) {
        self.left.store(self.per_run, Ordering::Relaxed);
    }

    pub(super) fn spend(&self, bytes: usize) -> io::Result<()> {
        let bytes = bytes as u64;
        let left = self.left.load(Ordering::Relaxed);
        if bytes > left {
            let exceeded = ReadLimitExceeded {
                per_run: self.per_run,
            };
            return Err(io::Error::new(io::ErrorKind::InvalidData, exceeded));
        }
        self.left.store(left - bytes, Ordering::Relaxed);
        Ok(())
    }
}
