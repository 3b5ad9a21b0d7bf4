//! Outages: times in which a service was down.

use jiff::Timestamp;
use serde::Serialize;

use super::rfc3339;

/// An outage of a service.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Incident {
    /// The key of the service.
    pub service: String,
    /// The exporter that monitors it; empty if the report is about one exporter.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub instance: String,
    /// Its start.
    #[serde(serialize_with = "rfc3339::serialize")]
    pub from: Timestamp,
    /// Its end. `None` while it lasts.
    #[serde(serialize_with = "rfc3339::serialize_option")]
    pub to: Option<Timestamp>,
    /// Its length until its end, or until the end of the range.
    pub seconds: f64,
    /// Why the service was down, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The ranges of consecutive times: the first one, and the one after the last. `step` and all times are in seconds.
pub fn ranges(times: impl IntoIterator<Item = i64>, step: i64) -> Vec<(i64, i64)> {
    let mut ranges: Vec<(i64, i64)> = Vec::new();
    for time in times {
        match ranges.last_mut() {
            Some((_, end)) if *end == time => *end = time + step,
            _ => ranges.push((time, time + step)),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consecutive_times_are_one_range() {
        assert_eq!(ranges([], 60), []);
        assert_eq!(ranges([60, 120, 300, 360, 420], 60), [(60, 180), (300, 480)]);
    }
}
