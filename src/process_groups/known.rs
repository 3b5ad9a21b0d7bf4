//! What is known about processes from earlier scans.

use std::collections::HashMap;
use std::sync::Arc;

use super::reading::Reading;

/// The processes of earlier scans, by id.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Known {
    /// The number of scans that were recorded. A scan that began at another number is outdated.
    pub scans: u64,
    /// Each process with its start, in clock ticks after boot.
    pub processes: HashMap<i32, (u64, Membership)>,
    /// The last readings of those that belong to a group.
    pub readings: HashMap<i32, Arc<Reading>>,
}

/// Whether a process belongs to a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Membership {
    /// It belongs to this group.
    Group(Arc<str>),
    /// It would belong to a group, but there are too many groups.
    LeftOut,
    /// It belongs to no group.
    Ignored,
}

impl Known {
    /// The membership of a process. `None` if it is new.
    pub fn get(&self, id: i32, start_ticks: u64) -> Option<&Membership> {
        let (start, membership) = self.processes.get(&id)?;
        (*start == start_ticks).then_some(membership)
    }
}
