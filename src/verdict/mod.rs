//! What runs mean: how one run is graded, when a check's status follows, and what that makes of its service. Pure: no
//! input, no output, no clock; whoever asks brings the moment.

mod check;
mod debounce;
mod grade;
mod service;

pub use check::{CheckVerdict, Run};
pub use debounce::{Counts, Debounced, Level, Streak};
pub use grade::{Grade, Judgement, Rules, judge};
pub use service::{Conditions, Confirmation, Holder, service_status};

#[cfg(test)]
mod properties;
