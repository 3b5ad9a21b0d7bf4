//! The values that one scan reads of a process.

use super::counts::Counts;
use crate::check::proc_scan::Identity;

/// The memory of a process, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Resident memory. Shared pages count in full.
    pub resident: u64,
    /// Virtual memory.
    pub virtual_size: u64,
    /// Swapped memory.
    pub swapped: u64,
    /// Resident memory. Shared pages count in proportion.
    pub proportional: u64,
    /// Swapped memory. Shared pages count in proportion.
    pub proportional_swapped: u64,
}

impl Memory {
    /// Adds `other`.
    pub fn add(&mut self, other: Self) {
        self.resident = self.resident.saturating_add(other.resident);
        self.virtual_size = self.virtual_size.saturating_add(other.virtual_size);
        self.swapped = self.swapped.saturating_add(other.swapped);
        self.proportional = self.proportional.saturating_add(other.proportional);
        self.proportional_swapped = self
            .proportional_swapped
            .saturating_add(other.proportional_swapped);
    }
}

/// The state of a process or thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    /// Running, or ready to run.
    Running,
    /// Waits and can be interrupted.
    Sleeping,
    /// Waits and can't be interrupted, usually for a disk.
    Waiting,
    /// Ended, but its parent has not reaped it.
    Zombie,
    /// Anything else, such as stopped or an idle kernel thread.
    Other,
}

impl RunState {
    /// All states with their labels.
    pub const ALL: [(Self, &'static str); 5] = [
        (Self::Running, "Running"),
        (Self::Sleeping, "Sleeping"),
        (Self::Waiting, "Waiting"),
        (Self::Zombie, "Zombie"),
        (Self::Other, "Other"),
    ];

    /// The state with this letter in a stat file.
    pub const fn from_letter(letter: u8) -> Self {
        match letter {
            b'R' => Self::Running,
            b'S' => Self::Sleeping,
            b'D' => Self::Waiting,
            b'Z' => Self::Zombie,
            _ => Self::Other,
        }
    }
}

/// A thread of a process that has several.
#[derive(Clone, Debug, PartialEq)]
pub struct ThreadReading {
    /// Its id and its start.
    pub identity: Identity,
    /// Its name.
    pub name: String,
    /// Its counters.
    pub counts: Counts,
    /// Its state.
    pub state: RunState,
    /// The kernel function in which it waits.
    pub wait_channel: Option<String>,
}

/// Which values could not be read. They are zero then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unreadable {
    /// The bytes read and written.
    pub io: bool,
    /// The kernel function in which it waits.
    pub wait_channel: bool,
    /// The proportional memory.
    pub smaps: bool,
    /// The open descriptors.
    pub descriptors: bool,
}

impl Unreadable {
    /// Whether any value could not be read.
    pub const fn any(self) -> bool {
        self.io || self.wait_channel || self.smaps || self.descriptors
    }
}

/// A process.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Its counters. The context switches are those of its first thread.
    pub counts: Counts,
    /// Its memory.
    pub memory: Memory,
    /// Its open descriptors.
    pub open_fds: Option<u64>,
    /// Its soft limit of open descriptors.
    pub max_fds: u64,
    /// The number of its threads.
    pub thread_count: u64,
    /// The state of its first thread.
    pub state: RunState,
    /// The kernel function in which its first thread waits.
    pub wait_channel: Option<String>,
    /// Its threads if there are at least two, or empty.
    pub threads: Vec<ThreadReading>,
    /// The values that could not be read.
    pub unreadable: Unreadable,
    /// Whether this is the first scan that read it. It may have just started.
    pub is_first: bool,
}

impl Reading {
    /// Whether the values that change with the process's page tables are those of an earlier reading.
    pub fn has_memory_of(&self, earlier: &Self) -> bool {
        let (memory, before) = (&self.memory, &earlier.memory);
        memory.resident == before.resident
            && memory.virtual_size == before.virtual_size
            && memory.swapped == before.swapped
            && self.counts.minor_faults == earlier.counts.minor_faults
            && self.counts.major_faults == earlier.counts.major_faults
    }
}
