//! Facts about a kind of check, implemented by its settings.

/// Facts about a kind that other parts of the exporter need, so that those parts do not name kinds.
pub trait KindFacts {
    /// Whether checks of this kind with the same interval run at the same time, so that they share work.
    const SHARES_PHASE: bool = false;

    /// Whether the target is a database, broker or store, which healing must not touch without permission.
    const IS_STORE: bool = false;

    /// Whether a run can fail with the reason `missing` because the exporter did not run in time to receive responses.
    const MISSES_WHEN_LATE: bool = false;

    /// The maximum number of values that this label has at the same time: one per configured item, or the limit for values
    /// from the target. `None` for labels that the kind does not have.
    fn values_at_once(&self, label: &str) -> Option<u64> {
        let _ = label;
        None
    }

    /// Whether the check uses more than its target shows, such as a query or credentials.
    fn is_target_shortened(&self) -> bool {
        false
    }
}
