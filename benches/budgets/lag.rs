//! Punctuality over a window: missed runs, and the quantiles of the scheduler's lag.

use crate::exposition::Scrape;

const LAG: &str = "upkeep_scheduler_lag_seconds";

/// What happened between two scrapes.
#[derive(Debug)]
pub struct Window<'a> {
    /// At its beginning.
    pub before: &'a Scrape,
    /// At its end.
    pub after: &'a Scrape,
}

impl Window<'_> {
    /// By how much a counter grew, over the series that have `part` in their labels.
    pub fn growth(&self, name: &str, part: &str) -> f64 {
        self.after.sum(name, part) - self.before.sum(name, part)
    }

    /// The lag below which `share` of the runs started, in milliseconds: linear within a bucket, as PromQL's
    /// `histogram_quantile`. Infinite above the highest bound.
    pub fn lag(&self, share: f64) -> f64 {
        let before = self.before.buckets(LAG);
        let counts: Vec<(f64, f64)> = (self.after.buckets(LAG).into_iter().enumerate())
            .map(|(index, (bound, count))| {
                (bound, count - before.get(index).map_or(0.0, |(_, count)| *count))
            })
            .collect();
        let rank = share * counts.last().map_or(f64::NAN, |(_, count)| *count);
        let (mut lower, mut below) = (0.0, 0.0);
        for (bound, count) in counts {
            if count >= rank {
                return 1e3 * (lower + (bound - lower) * (rank - below) / (count - below));
            }
            (lower, below) = (bound, count);
        }
        f64::NAN
    }
}
