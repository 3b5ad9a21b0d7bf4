//! The words of the design as types: they depend on nothing else of ours, and everything else depends on them.

mod id;
mod kind;
mod metric;
mod outcome;
mod status;
mod time;

pub use id::{CheckId, CheckName, ServiceKey};
pub use kind::CheckKind;
pub(crate) use kind::with_kinds;
pub use metric::{Family, MetricType, Sample, Scope, Unit};
pub use outcome::{Conclusion, MAX_MESSAGE_BYTES, Outcome, Problem, Reason, Report};
pub(crate) use status::words;
pub use status::{Condition, Severity, Status, Thresholds, Tier, Tolerance};
pub use time::{Clock, Moment, SystemClock};
