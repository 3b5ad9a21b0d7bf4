//! A group of processes: the sums over its processes, and counters that never fall.

use std::collections::BTreeMap;

use super::counts::Counts;
use super::reading::{Memory, Reading, RunState};

/// A group. Its counters include processes that have ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Group {
    /// The counters.
    pub totals: Counts,
    /// The values of the processes at the last scan.
    pub current: Sums,
    /// The threads by name.
    pub threads: BTreeMap<String, ThreadGroup>,
    /// The number of the scan since which the group has no process.
    pub empty_since: Option<u64>,
}

/// Sums over the processes of a group.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sums {
    /// Processes.
    pub processes: u64,
    /// Memory.
    pub memory: Memory,
    /// Open descriptors, as far as they could be read.
    pub open_fds: u64,
    /// The highest share of its limit of descriptors that a process uses.
    pub worst_fd_ratio: f64,
    /// When the oldest process started, in clock ticks after boot.
    pub oldest_start: Option<u64>,
    /// Threads.
    pub threads: u64,
    /// Processes and threads in each state, in the order of [`RunState::ALL`].
    pub states: [u64; RunState::ALL.len()],
    /// Processes and threads by the kernel function in which they wait.
    pub wait_channels: BTreeMap<String, u64>,
}

/// The threads of a group with the same name.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ThreadGroup {
    /// How many there are.
    pub count: u64,
    /// Their counters.
    pub totals: Counts,
}

impl Sums {
    /// Adds a process. As in process-exporter, a process with several threads counts in the states and wait channels once for
    /// itself and once for each thread.
    pub fn add(&mut self, reading: &Reading, start_ticks: u64) {
        self.processes += 1;
        self.memory.add(reading.memory);
        self.open_fds = self.open_fds.saturating_add(reading.open_fds.unwrap_or(0));
        let ratio = reading.open_fds.unwrap_or(0) as f64 / reading.max_fds as f64;
        if ratio > self.worst_fd_ratio {
            self.worst_fd_ratio = ratio;
        }
        let oldest = self.oldest_start.unwrap_or(u64::MAX);
        self.oldest_start = Some(oldest.min(start_ticks));
        self.threads = self.threads.saturating_add(reading.thread_count);
        let threads = reading.threads.iter();
        let states = threads.clone().map(|thread| thread.state).chain([reading.state]);
        for state in states {
            self.states[state as usize] += 1;
        }
        let channels = threads.filter_map(|thread| thread.wait_channel.as_ref());
        for channel in channels.chain(&reading.wait_channel) {
            match self.wait_channels.get_mut(channel) {
                Some(count) => *count += 1,
                None => {
                    self.wait_channels.insert(channel.clone(), 1);
                }
            }
        }
    }
}
