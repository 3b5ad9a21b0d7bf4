//! Times in the status document.

use serde::{Serialize, Serializer};

use crate::model::UtcTime;

/// A time, serialized in UTC as in RFC 3339.
#[derive(Clone, Copy, Debug)]
pub struct Time(UtcTime);

impl Time {
    /// Creates a time from a Unix time in seconds.
    #[allow(clippy::cast_possible_truncation, reason = "it saturates, in the year 2262")]
    pub fn new(seconds: f64) -> Self {
        // A double is exact to a quarter of a microsecond in this century. Without rounding, 0.25 could become 0.249.
        Self(UtcTime(((seconds * 1e6).round() as i64).saturating_mul(1_000)))
    }
}

impl std::fmt::Display for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
