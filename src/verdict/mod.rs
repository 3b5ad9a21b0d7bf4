//! The meaning of runs: how a run is graded, when the status of a check changes, the conditions of its service, and the impact on
//! services that depend on it. Pure: no I/O and no clock; callers pass the current moment.

mod check;
mod debounce;
mod grade;
mod impact;
mod service;

pub use check::{CheckVerdict, Run};
pub use debounce::{Debounced, Level, Streak};
pub use grade::{Counts, Grade, Judgement, Rules, judge};
pub use impact::{Impact, MAX_ROOTS};
pub use service::{CheckInput, Conditions, Confirmation, service_status};

#[cfg(test)]
mod properties;
