//! Counters of processes, threads and groups.

/// Values that only grow while a process or thread runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// CPU time in user mode, in clock ticks.
    pub user_ticks: u64,
    /// CPU time in kernel mode, in clock ticks.
    pub system_ticks: u64,
    /// Bytes read from storage.
    pub read_bytes: u64,
    /// Bytes written to storage.
    pub written_bytes: u64,
    /// Page faults that needed a page from a disk.
    pub major_faults: u64,
    /// Other page faults.
    pub minor_faults: u64,
    /// Context switches, because it waited.
    pub voluntary_switches: u64,
    /// Context switches, because others had to run.
    pub involuntary_switches: u64,
}

impl Counts {
    fn zip(self, other: Self, combine: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            user_ticks: combine(self.user_ticks, other.user_ticks),
            system_ticks: combine(self.system_ticks, other.system_ticks),
            read_bytes: combine(self.read_bytes, other.read_bytes),
            written_bytes: combine(self.written_bytes, other.written_bytes),
            major_faults: combine(self.major_faults, other.major_faults),
            minor_faults: combine(self.minor_faults, other.minor_faults),
            voluntary_switches: combine(self.voluntary_switches, other.voluntary_switches),
            involuntary_switches: combine(self.involuntary_switches, other.involuntary_switches),
        }
    }

    /// Adds `other`.
    pub fn add(&mut self, other: Self) {
        *self = self.zip(other, u64::saturating_add);
    }

    /// The growth since `earlier`. Zero for values that fell: the kernel's sums can fall by a tick.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        self.zip(earlier, u64::saturating_sub)
    }

    /// The higher of each two values.
    #[must_use]
    pub fn highest(self, other: Self) -> Self {
        self.zip(other, u64::max)
    }

    /// The context switches alone.
    #[must_use]
    pub fn switches(self) -> Self {
        Self {
            voluntary_switches: self.voluntary_switches,
            involuntary_switches: self.involuntary_switches,
            ..Self::default()
        }
    }

    /// Everything but the context switches.
    #[must_use]
    pub fn without_switches(self) -> Self {
        Self {
            voluntary_switches: 0,
            involuntary_switches: 0,
            ..self
        }
    }
}
