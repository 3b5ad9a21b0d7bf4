//! A bucket: what a service was in a fixed length of time, and its response times.

use crate::model::{PastStatus, PastTotals};
use crate::store::ResponseTotals;

/// The number of statuses.
pub const STATUSES: usize = PastStatus::ALL.len();

/// The length of the buckets of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Five minutes.
    FiveMinutes,
    /// One hour.
    Hour,
    /// One day, in UTC.
    Day,
}

impl Step {
    /// Every length, shortest first.
    pub const ALL: [Self; 3] = [Self::FiveMinutes, Self::Hour, Self::Day];

    /// The length in seconds. Each one divides the next.
    pub const fn seconds(self) -> i64 {
        match self {
            Self::FiveMinutes => 300,
            Self::Hour => 3600,
            Self::Day => 86_400,
        }
    }

    /// The length in milliseconds.
    pub const fn millis(self) -> i64 {
        self.seconds() * 1000
    }

    /// For how many seconds buckets of this length are kept: 25 hours, 8 days, 400 days.
    pub const fn kept_seconds(self) -> i64 {
        match self {
            Self::FiveMinutes => 25 * 3600,
            Self::Hour => 8 * 86_400,
            Self::Day => 400 * 86_400,
        }
    }

    /// The name in queries.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FiveMinutes => "5m",
            Self::Hour => "1h",
            Self::Day => "1d",
        }
    }

    /// The length with this name.
    pub fn from_word(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.as_str() == text)
    }

    /// The number of the bucket that has a Unix time in milliseconds. Times before 1970 and after the year 12000 are moved into
    /// the range of numbers.
    pub fn index(self, millis: i64) -> u32 {
        let index = millis.div_euclid(self.millis());
        u32::try_from(index.max(0)).unwrap_or(u32::MAX)
    }

    /// The Unix time in milliseconds at which a bucket begins.
    pub fn begin(self, index: u32) -> i64 {
        i64::from(index) * self.millis()
    }

    /// The number of the longer bucket that contains a five-minute bucket.
    pub fn containing(self, fine: u32) -> u32 {
        self.index(Self::FiveMinutes.begin(fine))
    }
}

/// A bucket, in 40 bytes. Numbers are integers, so that sums and differences are exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// Its number: its start as a Unix time, divided by its length.
    pub index: u32,
    /// The milliseconds of each status, in the order of `PastStatus::ALL`.
    pub millis: [u32; STATUSES],
    /// The number of response times.
    pub responses: u32,
    /// The longest one in microseconds.
    pub response_max: u32,
    /// Their sum in microseconds.
    pub response_sum: u64,
}

impl Bucket {
    /// An empty bucket.
    pub fn new(index: u32) -> Self {
        Self {
            index,
            ..Self::default()
        }
    }

    /// The milliseconds with data.
    pub fn known_millis(&self) -> u64 {
        self.millis.iter().map(|millis| u64::from(*millis)).sum()
    }

    /// Adds time, but not more than fits into a bucket of this length. The wall clock may have been set back, so that the same time
    /// comes twice. Returns what was added.
    pub fn add(&mut self, status: PastStatus, millis: i64, step: Step) -> u32 {
        let room = step.millis().saturating_sub_unsigned(self.known_millis());
        let added = u32::try_from(millis.clamp(0, room.max(0))).unwrap_or(u32::MAX);
        self.millis[status as usize] += added;
        added
    }

    /// Makes time of one status time of another one. Returns how much.
    pub fn change(&mut self, old: PastStatus, new: PastStatus, millis: i64) -> u32 {
        let millis = u32::try_from(millis.max(0)).unwrap_or(u32::MAX);
        let changed = millis.min(self.millis[old as usize]);
        self.millis[old as usize] -= changed;
        self.millis[new as usize] = self.millis[new as usize].saturating_add(changed);
        changed
    }

    /// Adds response times.
    pub fn add_responses(&mut self, responses: &ResponseTotals) {
        let micros = |time: std::time::Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.responses = self.responses.saturating_add(responses.count);
        self.response_sum = self.response_sum.saturating_add(micros(responses.sum));
        let max = u32::try_from(micros(responses.max)).unwrap_or(u32::MAX);
        self.response_max = self.response_max.max(max);
    }

    /// Applies the change of a shorter bucket that this one contains.
    pub fn apply_difference(&mut self, old: &Self, new: &Self) {
        for status in 0..STATUSES {
            let sum = self.millis[status].saturating_add(new.millis[status]);
            self.millis[status] = sum.saturating_sub(old.millis[status]);
        }
        let responses = self.responses.saturating_add(new.responses);
        self.responses = responses.saturating_sub(old.responses);
        let sum = self.response_sum.saturating_add(new.response_sum);
        self.response_sum = sum.saturating_sub(old.response_sum);
        self.response_max = self.response_max.max(new.response_max);
    }

    /// The totals of the bucket, which has `expected` milliseconds so far.
    #[allow(
        clippy::cast_precision_loss,
        reason = "a bucket has fewer than 2^52 microseconds of response times"
    )]
    pub fn totals(&self, expected: i64) -> PastTotals {
        let missing = expected.saturating_sub_unsigned(self.known_millis());
        PastTotals {
            millis: self.millis.map(u64::from),
            no_data_millis: missing.max(0).unsigned_abs(),
            responses: self.responses.into(),
            response_sum: self.response_sum as f64 / 1e6,
            response_max: f64::from(self.response_max) / 1e6,
        }
    }
}
