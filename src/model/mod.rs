//! The basic types of the exporter. All other modules use them; they use no other module.

mod catalog;
mod debug_log;
mod findings;
mod heartbeat;
mod history;
mod id;
mod kind;
mod lost_time;
mod maintenance;
mod metric;
mod outcome;
mod phase;
mod ratio;
mod scrubber;
mod status;
mod text;
mod time;
mod used_secrets;
mod wall_anchor;

pub use catalog::{Catalog, MAX_MODELS, Model};
pub use debug_log::DebugLog;
pub use findings::{Finding, Findings, MAX_FINDINGS};
pub use heartbeat::{BeatKind, BeatView, JobState, JobView};
pub use history::{Past, PastStatus, PastStrip, PastTotals};
pub use id::{CheckId, CheckName, ServiceKey};
pub use kind::CheckKind;
pub(crate) use kind::with_kinds;
pub use lost_time::{LostSince, LostTime};
pub use maintenance::Maintenance;
pub use metric::{Family, MetricType, Sample, Scope, Unit};
pub use outcome::{Conclusion, MAX_MESSAGE_BYTES, MAX_PIDS, Outcome, Problem, Reason, Report, Shortage};
pub use phase::{Phase, Phases};
pub use ratio::format_percent;
pub use scrubber::Scrubber;
pub(crate) use status::words;
pub use status::{Condition, Severity, Status, Thresholds, Tier, Tolerance};
pub use text::{
    PercentError, USER_AGENT, ellipsize, form_decode, is_invisible, percent_decode, prefix, truncate, visible,
};
pub use time::{Clock, Moment, SystemClock};
pub use used_secrets::UsedSecrets;
pub use wall_anchor::{UtcTime, WallAnchor};
