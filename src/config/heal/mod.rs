//! The configuration of healing: when a failed service is restarted, and how often at most.

mod levels;
mod options;
mod resolve;
mod settings;
mod stateful;
mod target;

pub use levels::{Inherited, MAX_AFTER};
pub use options::HealOptions;
pub use settings::{
    Backoff, DEFAULT_REASONS, DEFAULT_TOTAL_BUDGET, HealAction, HealLimits, HealMode, HealSettings,
    VERIFY_FOR,
};
pub use target::Candidates;

#[cfg(test)]
mod tests;
