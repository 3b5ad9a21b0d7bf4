//! Maintenance windows: times in which alerts of services do not start.

mod options;
mod resolve;
pub mod schedule;
mod window;

pub use options::MaintenanceOptions;
pub(super) use resolve::{Elsewhere, resolve, time_zone};
pub use schedule::{Occurrence, Schedule};
pub use window::{MAX_LENGTH, MAX_LENGTH_TEXT, MAX_REASON, MIN_LENGTH, MaintenanceWindow};
