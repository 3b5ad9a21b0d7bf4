//! The memory budgets for stored bodies.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::model::{Problem, Shortage};

/// How many bytes the stored bodies of all checks may use. Otherwise, ten thousand targets that send as much as they may would
/// exhaust the memory.
const CHECKS_BYTES: usize = 256 << 20;
/// The same for probes: enough for twelve bodies of a module's default maximum length.
const PROBES_BYTES: usize = 128 << 20;

/// The memory budgets for bodies. Clones share them. Clients choose the targets of probes, so probes have their own budget and
/// can't use that of the checks.
#[derive(Clone, Debug)]
pub struct BodyBudgets {
    checks: Arc<BodyBudget>,
    probes: Arc<BodyBudget>,
}

impl Default for BodyBudgets {
    fn default() -> Self {
        Self {
            checks: Arc::new(BodyBudget::new("checks", CHECKS_BYTES)),
            probes: Arc::new(BodyBudget::new("probes", PROBES_BYTES)),
        }
    }
}

impl BodyBudgets {
    /// The budget of a run.
    pub fn budget(&self, is_probe: bool) -> &Arc<BodyBudget> {
        if is_probe { &self.probes } else { &self.checks }
    }
}

/// The memory budget for all bodies of one kind of runs.
#[derive(Debug)]
pub struct BodyBudget {
    used: AtomicUsize,
    limit: usize,
    runs: &'static str,
}

impl BodyBudget {
    fn new(runs: &'static str, limit: usize) -> Self {
        Self {
            used: AtomicUsize::new(0),
            limit,
            runs,
        }
    }

    /// The bytes in use.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}

/// A stored body. It returns its memory to the budget when it is dropped.
#[derive(Debug)]
pub struct StoredBody {
    bytes: Vec<u8>,
    /// How many bytes the decoder of the body uses.
    reserved: usize,
    total: u64,
    budget: Arc<BodyBudget>,
}

impl StoredBody {
    /// Creates an empty body.
    pub fn new(budget: &Arc<BodyBudget>) -> Self {
        Self {
            bytes: Vec::new(),
            reserved: 0,
            total: 0,
            budget: budget.clone(),
        }
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// A shortage if the budget is exhausted.
    pub fn push(&mut self, data: &[u8]) -> Result<(), Problem> {
        self.use_bytes(data.len())?;
        self.bytes.extend_from_slice(data);
        Ok(())
    }

    /// Counts bytes that the decoder of this body uses. `bytes` includes those of earlier calls.
    ///
    /// # Errors
    /// A shortage if the budget is exhausted.
    pub fn reserve(&mut self, bytes: usize) -> Result<(), Problem> {
        let more = bytes.saturating_sub(self.reserved);
        self.use_bytes(more)?;
        self.reserved += more;
        Ok(())
    }

    /// Returns the bytes of [`Self::reserve`] to the budget.
    pub fn release(&mut self) {
        self.budget.used.fetch_sub(self.reserved, Ordering::Relaxed);
        self.reserved = 0;
    }

    fn use_bytes(&self, bytes: usize) -> Result<(), Problem> {
        let BodyBudget { used, limit, runs } = &*self.budget;
        if used.fetch_add(bytes, Ordering::Relaxed) + bytes > *limit {
            used.fetch_sub(bytes, Ordering::Relaxed);
            let message = format!("the bodies of all {runs} together take more than {limit} bytes");
            return Err(Problem::from_shortage(Shortage::Memory, message));
        }
        Ok(())
    }

    /// Takes the stored bytes of a body that had `total` bytes. Leaves an empty body.
    pub fn take(&mut self, total: u64) -> Self {
        let empty = Self::new(&self.budget);
        let mut body = std::mem::replace(self, empty);
        body.total = total;
        body
    }

    /// The stored bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many bytes the body had, whether stored or not.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// How many bytes are stored.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }
}

impl Drop for StoredBody {
    fn drop(&mut self) {
        let bytes = self.bytes.len() + self.reserved;
        self.budget.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}
