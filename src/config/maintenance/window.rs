//! A maintenance window, and its limits.

use std::collections::BTreeSet;
use std::time::Duration;

use super::schedule::Schedule;
use crate::model::ServiceKey;

/// The shortest window.
pub const MIN_LENGTH: Duration = Duration::from_secs(1);

/// The longest window. Longer ones are probably mistakes: services without alerts for months.
pub const MAX_LENGTH: Duration = Duration::from_secs(31 * 24 * 3600);

/// [`MAX_LENGTH`] for messages. [`DurationText`](crate::config::duration::DurationText) would display weeks.
pub const MAX_LENGTH_TEXT: &str = "31d";

/// The longest reason, in characters.
pub const MAX_REASON: usize = 256;

/// The maximum number of windows in a file. All of them are searched for the ones that hold.
pub const MAX_WINDOWS: usize = 200;

/// A maintenance window of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct MaintenanceWindow {
    /// The name, or else the path in the file. Unique.
    pub name: String,
    /// The keys of the services, with those of the groups. `None` for all services.
    pub services: Option<BTreeSet<ServiceKey>>,
    /// When the window holds.
    pub schedule: Schedule,
    /// Why, for people; empty if not given.
    pub reason: String,
}
