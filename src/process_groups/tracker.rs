//! Records scans: which process belongs to which group, and how much each counter has grown. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use super::counts::Counts;
use super::group::{Group, Sums, ThreadGroup};
use super::known::{Known, Membership};
use super::reading::Reading;
use super::sweep::{Finding, Seen, Sweep};
use super::tracked::Tracked;
use crate::config::process_groups::Switches;

/// The maximum number of groups. Names contain texts that processes choose, and each group has about 25 series.
pub const MAX_GROUPS: usize = 5000;

/// The maximum number of names of threads in all groups together. Each has 9 series.
pub const MAX_THREAD_NAMES: usize = 10_000;

/// Limits of what is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The maximum number of groups.
    pub groups: usize,
    /// The maximum number of names of threads.
    pub thread_names: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            groups: MAX_GROUPS,
            thread_names: MAX_THREAD_NAMES,
        }
    }
}

/// Counters of the scans themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScanCounts {
    /// Scans that failed.
    pub failed: u64,
    /// Processes that could not be read, over all scans.
    pub read_errors: u64,
    /// Processes of groups of which a value could not be read, over all scans.
    pub partial_errors: u64,
    /// Groups without processes that were removed because there were too many groups.
    pub removed_groups: u64,
}

/// The groups and their processes.
#[derive(Debug)]
pub struct Tracker {
    switches: Switches,
    limits: Limits,
    scans: u64,
    /// When the first scan began, in clock ticks after boot.
    first_scan: Option<u64>,
    boot_time: Option<u64>,
    processes: HashMap<i32, (u64, Member)>,
    groups: HashMap<Arc<str>, Group>,
    counts: ScanCounts,
    left_out_threads: u64,
    /// Whether the scan that is being recorded found no room for a group.
    is_full: bool,
}

/// A known process.
#[derive(Debug)]
enum Member {
    Tracked(Box<Tracked>),
    LeftOut,
    Ignored,
}

impl Tracker {
    /// Creates a tracker without processes.
    pub fn new(switches: Switches, limits: Limits) -> Self {
        Self {
            switches,
            limits,
            scans: 0,
            first_scan: None,
            boot_time: None,
            processes: HashMap::new(),
            groups: HashMap::new(),
            counts: ScanCounts::default(),
            left_out_threads: 0,
            is_full: false,
        }
    }

    /// What the next scan needs to know.
    pub fn known(&self) -> Known {
        let membership = |member: &Member| match member {
            Member::Tracked(tracked) => Membership::Group(Arc::clone(&tracked.group)),
            Member::LeftOut => Membership::LeftOut,
            Member::Ignored => Membership::Ignored,
        };
        let mut known = Known {
            scans: self.scans,
            ..Known::default()
        };
        for (id, (start, member)) in &self.processes {
            known.processes.insert(*id, (*start, membership(member)));
            if let Member::Tracked(tracked) = member {
                known.readings.insert(*id, Arc::clone(&tracked.reading));
            }
        }
        known
    }

    /// Records a scan. Does nothing if others were recorded since it began.
    pub fn record(&mut self, sweep: Sweep) {
        if sweep.scans != self.scans {
            return;
        }
        self.scans += 1;
        self.counts.read_errors += sweep.read_errors;
        // The boot time in /proc/stat can change by a second from read to read.
        if let Some(now) = sweep.boot_time
            && self.boot_time.is_none_or(|before| before.abs_diff(now) > 1)
        {
            self.boot_time = Some(now);
        }
        self.is_full = self.groups.len() >= self.limits.groups && self.longest_empty().is_none();
        let first_scan = *self.first_scan.get_or_insert(sweep.began_ticks);
        let mut earlier = std::mem::take(&mut self.processes);
        for seen in sweep.seen {
            let (id, start) = seen.identity;
            let before = earlier.remove(&id).filter(|(known, _)| *known == start);
            if let Some(member) = self.update(seen, before.map(|(_, member)| member), first_scan) {
                self.processes.insert(id, (start, member));
            }
        }
        self.sum_up();
        self.remove_empty_groups();
    }

    /// Records that a scan failed.
    pub fn record_failure(&mut self) {
        self.counts.failed += 1;
    }

    /// The groups in the order of their names.
    pub fn groups(&self) -> Vec<(&str, &Group)> {
        let mut groups: Vec<_> = self.groups.iter().map(|(name, group)| (&**name, group)).collect();
        groups.sort_unstable_by_key(|(name, _)| *name);
        groups
    }

    /// The counters of the scans.
    pub const fn scan_counts(&self) -> ScanCounts {
        self.counts
    }

    /// When the machine started, as a Unix time in seconds.
    pub fn boot_time(&self) -> u64 {
        self.boot_time.unwrap_or(0)
    }

    /// How many processes and threads have no group because of the limits.
    pub fn left_out(&self) -> (u64, u64) {
        let members = self.processes.values();
        let processes = members.filter(|(_, member)| matches!(member, Member::LeftOut));
        (processes.count() as u64, self.left_out_threads)
    }

    /// Whether there are metrics of threads, and of proportional memory.
    pub const fn switches(&self) -> Switches {
        self.switches
    }

    fn update(&mut self, seen: Seen, before: Option<Member>, first_scan: u64) -> Option<Member> {
        match (seen.finding, before) {
            (Finding::Unchanged, Some(Member::Tracked(mut tracked))) => {
                tracked.skip();
                self.counts.partial_errors += 1;
                Some(Member::Tracked(tracked))
            }
            // It is compared with the rules again as soon as there is room.
            (Finding::Unchanged, Some(Member::LeftOut)) if !self.is_full => None,
            (Finding::Unchanged, before) => before,
            (Finding::Read(reading), Some(Member::Tracked(mut tracked))) => {
                self.count_partial(&reading);
                tracked.update(reading);
                Some(Member::Tracked(tracked))
            }
            (Finding::Read(_), before) => before,
            (Finding::NewWithout(Membership::LeftOut), _) => Some(Member::LeftOut),
            (Finding::NewWithout(_), _) => Some(Member::Ignored),
            (Finding::New(group, reading), _) => {
                let Some(group) = self.admit(group) else {
                    return Some(Member::LeftOut);
                };
                self.count_partial(&reading);
                // All that a process did since it started is new, unless it started before the first scan.
                let is_new = seen.identity.1 > first_scan;
                let tracked = Tracked::new(group, seen.identity, reading, is_new);
                Some(Member::Tracked(Box::new(tracked)))
            }
        }
    }

    fn count_partial(&mut self, reading: &Reading) {
        self.counts.partial_errors += u64::from(reading.unreadable.any());
    }

    /// The group that has had no process for the longest time.
    fn longest_empty(&self) -> Option<Arc<str>> {
        let empty = self.groups.iter();
        let empty = empty.filter_map(|(name, group)| Some((group.empty_since?, name)));
        empty.min().map(|(_, name)| Arc::clone(name))
    }

    /// Returns the name of a group, which it adds if there is room. Removes a group without processes if there is none.
    fn admit(&mut self, name: Arc<str>) -> Option<Arc<str>> {
        if let Some((known, _)) = self.groups.get_key_value(&name) {
            let known = Arc::clone(known);
            // It must not be removed for another group of the same scan.
            if let Some(group) = self.groups.get_mut(&known) {
                group.empty_since = None;
            }
            return Some(known);
        }
        if self.groups.len() >= self.limits.groups {
            let oldest = match self.is_full {
                true => None,
                false => self.longest_empty(),
            };
            let Some(oldest) = oldest else {
                self.is_full = true;
                return None;
            };
            self.groups.remove(&oldest);
            self.counts.removed_groups += 1;
        }
        self.groups.insert(Arc::clone(&name), Group::default());
        Some(name)
    }

    /// Computes the groups from their processes.
    fn sum_up(&mut self) {
        for group in self.groups.values_mut() {
            group.current = Sums::default();
            for thread in group.threads.values_mut() {
                thread.count = 0;
            }
        }
        self.left_out_threads = 0;
        // All known names count, because processes come in any order. A name without threads makes room for the next scan.
        let mut thread_names: usize = self.groups.values().map(|group| group.threads.len()).sum();
        for (start, member) in self.processes.values() {
            let Member::Tracked(tracked) = member else {
                continue;
            };
            let Some(group) = self.groups.get_mut(&tracked.group) else {
                continue;
            };
            group.totals.add(tracked.growth);
            group.current.add(&tracked.reading, *start);
            if !self.switches.threads {
                continue;
            }
            for (thread, growth) in tracked.reading.threads.iter().zip(&tracked.thread_growth) {
                match group.threads.get_mut(&thread.name) {
                    Some(known) => add_thread(known, *growth),
                    None if thread_names >= self.limits.thread_names => self.left_out_threads += 1,
                    None => {
                        thread_names += 1;
                        add_thread(group.threads.entry(thread.name.clone()).or_default(), *growth);
                    }
                }
            }
        }
        for group in self.groups.values_mut() {
            // As in process-exporter, the counters of a name that no thread has any more start again at zero.
            group.threads.retain(|_, thread| thread.count > 0);
            group.empty_since = match group.current.processes {
                0 => Some(group.empty_since.unwrap_or(self.scans)),
                _ => None,
            };
        }
    }

    fn remove_empty_groups(&mut self) {
        if self.switches.remove_empty_groups {
            self.groups.retain(|_, group| group.empty_since.is_none());
        }
    }
}

fn add_thread(group: &mut ThreadGroup, growth: Counts) {
    group.count += 1;
    group.totals.add(growth);
}

#[cfg(test)]
mod tests;
