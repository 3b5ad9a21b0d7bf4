//! The recent past of a service, in the form that the overview shows: a mark for each part of a range, and totals.

use super::status::words;

words! {
    /// What a moment in the past of a service counts as. Time without data has none.
    PastStatus {
        /// The service was up.
        Up = "up",
        /// It was degraded.
        Degraded = "degraded",
        /// It was down.
        Down = "down",
        /// It had no result, or the last one was stale.
        Unknown = "unknown",
        /// It was in maintenance, whatever its status.
        Maintenance = "maintenance",
    }
}

impl From<super::Status> for PastStatus {
    fn from(status: super::Status) -> Self {
        match status {
            super::Status::Up => Self::Up,
            super::Status::Degraded => Self::Degraded,
            super::Status::Down => Self::Down,
            super::Status::Unknown => Self::Unknown,
        }
    }
}

/// Totals of a range of time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PastTotals {
    /// The milliseconds of each status, in the order of `PastStatus::ALL`.
    pub millis: [u64; PastStatus::ALL.len()],
    /// The milliseconds without data: the exporter did not run, or did not know the service.
    pub no_data_millis: u64,
    /// The number of runs with a response time.
    pub responses: u64,
    /// The sum of these response times in seconds.
    pub response_sum: f64,
    /// The longest of them in seconds.
    pub response_max: f64,
}

impl PastTotals {
    /// The seconds of one status.
    #[allow(
        clippy::cast_precision_loss,
        reason = "a range has fewer than 2^52 milliseconds"
    )]
    pub fn seconds(&self, status: PastStatus) -> f64 {
        self.millis[status as usize] as f64 / 1e3
    }

    /// The share of the time in which the service was up or degraded. Time that is unknown, in maintenance or without data does not
    /// count. `None` if there is no other time.
    #[allow(
        clippy::cast_precision_loss,
        reason = "a range has fewer than 2^52 milliseconds"
    )]
    pub fn uptime(&self) -> Option<f64> {
        let millis = |status: PastStatus| self.millis[status as usize];
        let works = millis(PastStatus::Up) + millis(PastStatus::Degraded);
        let counted = works + millis(PastStatus::Down);
        (counted > 0).then(|| works as f64 / counted as f64)
    }

    /// The average response time in seconds. `None` without a response.
    #[allow(clippy::cast_precision_loss, reason = "a count is far below 2^52")]
    pub fn response_average(&self) -> Option<f64> {
        (self.responses > 0).then(|| self.response_sum / self.responses as f64)
    }

    /// The longest response time in seconds. `None` without a response.
    pub fn response_maximum(&self) -> Option<f64> {
        (self.responses > 0).then_some(self.response_max)
    }

    /// Adds the totals of another range.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.millis.iter_mut().zip(other.millis) {
            *mine += theirs;
        }
        self.no_data_millis += other.no_data_millis;
        self.responses += other.responses;
        self.response_sum += other.response_sum;
        self.response_max = self.response_max.max(other.response_max);
    }

    /// What the range shows as: a problem if there was any, and otherwise what took the most time. `None` if that was time without
    /// data.
    pub fn mark(&self) -> Option<PastStatus> {
        if let Some(problem) = [PastStatus::Down, PastStatus::Degraded]
            .into_iter()
            .find(|status| self.millis[*status as usize] > 0)
        {
            return Some(problem);
        }
        let quiet = [PastStatus::Up, PastStatus::Maintenance, PastStatus::Unknown];
        let longest = quiet
            .into_iter()
            .rev()
            .max_by_key(|status| self.millis[*status as usize])?;
        let millis = self.millis[longest as usize];
        (millis > 0 && millis >= self.no_data_millis).then_some(longest)
    }
}

/// A range as the marks of its equal parts, oldest first, and its totals.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PastStrip {
    /// The mark of each part; `None` for time without data.
    pub marks: Vec<Option<PastStatus>>,
    /// The totals.
    pub totals: PastTotals,
}

/// What the overview shows about the past of a service.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Past {
    /// The last 24 hours, in half hours.
    pub day: PastStrip,
    /// The last 90 days, in days (UTC).
    pub quarter: PastStrip,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(millis: [u64; 5], no_data_millis: u64) -> PastTotals {
        PastTotals {
            millis,
            no_data_millis,
            ..PastTotals::default()
        }
    }

    #[test]
    fn only_known_time_counts_for_the_uptime() {
        let uptime = |millis| totals(millis, 7).uptime();
        assert_eq!(uptime([60, 20, 20, 900, 900]), Some(0.8));
        assert_eq!(uptime([0, 0, 5, 0, 0]), Some(0.0));
        assert_eq!(uptime([0, 0, 0, 9, 9]), None);
    }

    #[test]
    fn a_short_problem_is_the_mark_of_its_range() {
        use PastStatus::{Degraded, Down, Maintenance, Unknown, Up};
        for (millis, no_data, mark) in [
            ([1000, 5, 1, 0, 0], 0, Some(Down)),
            ([1000, 5, 0, 0, 0], 9000, Some(Degraded)),
            ([1000, 0, 0, 999, 0], 0, Some(Up)),
            ([1000, 0, 0, 0, 1001], 0, Some(Maintenance)),
            ([0, 0, 0, 8, 0], 0, Some(Unknown)),
            ([1000, 0, 0, 0, 0], 1001, None),
            ([0, 0, 0, 0, 0], 0, None),
        ] {
            assert_eq!(totals(millis, no_data).mark(), mark, "{millis:?} {no_data}");
        }
    }
}
