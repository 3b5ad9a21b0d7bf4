//! Native (sparse) histograms: exponential buckets that exist only where there are observations.

use super::snapshot::NativeView;

/// The resolution at the start: eight buckets for each power of two, so that a bucket is 9 % wide.
const FIRST_SCHEMA: i32 = 3;

/// The coarsest resolution of Prometheus.
const LAST_SCHEMA: i32 = -4;

/// The maximum number of buckets, as client libraries recommend. With more, the resolution is halved.
const MAX_BUCKETS: usize = 160;

/// Shorter times are counted as zero. It is the default of Prometheus's client libraries, 2^-128.
pub const ZERO_THRESHOLD: f64 = 2.938_735_877_055_719e-39;

/// The buckets of one histogram.
#[derive(Clone, Debug)]
pub struct NativeBuckets {
    schema: i32,
    zeros: u64,
    /// Index and count, sorted by index. The bucket `i` has the upper bound 2^(i / 2^schema).
    buckets: Vec<(i32, u64)>,
}

impl Default for NativeBuckets {
    fn default() -> Self {
        Self {
            schema: FIRST_SCHEMA,
            zeros: 0,
            buckets: Vec::new(),
        }
    }
}

impl NativeBuckets {
    /// Adds an observation, which is not negative.
    pub fn observe(&mut self, value: f64) {
        if value <= ZERO_THRESHOLD {
            self.zeros += 1;
            return;
        }
        let index = index(self.schema, value);
        match self.buckets.binary_search_by_key(&index, |bucket| bucket.0) {
            Ok(position) => self.buckets[position].1 += 1,
            Err(position) => self.buckets.insert(position, (index, 1)),
        }
        while self.buckets.len() > MAX_BUCKETS && self.schema > LAST_SCHEMA {
            self.halve_resolution();
        }
    }

    /// The view of all observations.
    pub fn view(&self) -> NativeView {
        NativeView {
            schema: self.schema,
            zero_threshold: ZERO_THRESHOLD,
            zeros: self.zeros,
            buckets: self.buckets.clone(),
        }
    }

    /// Merges pairs of adjacent buckets.
    fn halve_resolution(&mut self) {
        self.schema -= 1;
        self.buckets.dedup_by(|later, earlier| {
            let is_pair = half(later.0) == half(earlier.0);
            if is_pair {
                earlier.1 += later.1;
            }
            is_pair
        });
        for bucket in &mut self.buckets {
            bucket.0 = half(bucket.0);
        }
    }
}

/// The index of the bucket of half the resolution that contains the bucket `index`. The upper bound of an even bucket is a bound there.
const fn half(index: i32) -> i32 {
    (index + 1) >> 1
}

/// The index of the bucket for a positive value. Upper bounds are inclusive.
#[allow(clippy::cast_possible_truncation, reason = "at most 1074 * 8")]
fn index(schema: i32, value: f64) -> i32 {
    (value.log2() * f64::from(schema).exp2()).ceil() as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observed(values: impl IntoIterator<Item = f64>) -> NativeBuckets {
        let mut buckets = NativeBuckets::default();
        values.into_iter().for_each(|value| buckets.observe(value));
        buckets
    }

    #[test]
    fn upper_bounds_are_inclusive() {
        let buckets = observed([0.0, 0.25, 0.5, 0.500_001, 1.0, 1.000_001, 2.0, 1.09, 1.0906]);
        assert_eq!((buckets.zeros, buckets.schema), (1, 3));
        // The bucket 1 ends at 2^(1/8) = 1.0905.
        assert_eq!(
            buckets.buckets,
            [(-16, 1), (-8, 1), (-7, 1), (0, 1), (1, 2), (2, 1), (8, 1)]
        );
    }

    #[test]
    fn many_buckets_halve_the_resolution_and_lose_nothing() {
        let values: Vec<f64> = (1..=5000)
            .map(|milliseconds| f64::from(milliseconds).powi(3) / 1e6)
            .collect();
        let buckets = observed(values.iter().copied());
        assert!(buckets.buckets.len() <= MAX_BUCKETS && buckets.schema < FIRST_SCHEMA);
        assert!(buckets.buckets.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(buckets.buckets.iter().map(|bucket| bucket.1).sum::<u64>(), 5000);
        for (bucket, count) in &buckets.buckets {
            let expected = values
                .iter()
                .filter(|value| index(buckets.schema, **value) == *bucket);
            assert_eq!(expected.count() as u64, *count, "{bucket}");
        }
    }
}
